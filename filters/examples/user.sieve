# An example of a user's script. Copy it to sieve/main.sieve in the account's home and make it the active one:
#
#   ln -s sieve/main.sieve .dovecot.sieve
#
# Try it first, without delivering anything:
#
#   postroom sieve test sieve/main.sieve message.eml
require ["fileinto", "mailbox", "imap4flags", "subaddress", "envelope", "vacation"];

# Mailing lists each into a mailbox of their own; it is made when first needed.
if header :contains "List-Id" "<users.example.org>" {
    fileinto :create "Lists.users";
    stop;
}

# Mail to ann+shop@example.org goes into Shop, already marked as read.
if envelope :detail "to" "shop" {
    fileinto :create :flags "\\Seen" "Shop";
    stop;
}

# What the boss writes gets a flag and stays in INBOX.
if address :is "from" "boss@example.org" {
    addflag "\\Flagged";
}

# Away? Take off the # and set the days. Each sender is told once in seven days.
# vacation :days 7 :subject "Away until Monday" "I read your message on Monday.";

# What no rule has filed stays in INBOX.
keep;

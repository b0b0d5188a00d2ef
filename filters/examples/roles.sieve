# One account behind several addresses: a mailbox for each of them.
#
# To says what somebody wrote; the envelope says which address brought the message here. Only the second is there for
# hidden copies. Where an alias leads here, the MTA must pass on the address before it (ORCPT, or -a of deliver).
require ["envelope", "fileinto", "imap4flags", "mailbox", "variables"];

if envelope :localpart "to" ["postmaster", "abuse", "hostmaster", "webmaster"] {
    addflag "\\Flagged";
    fileinto :create "Roles";
    stop;
}

# Two domains in one account.
if envelope :domain "to" "example.net" {
    fileinto :create "Shop";
    stop;
}

# Flags that every mail program shows, and mailboxes by what they are for.
#
# addflag collects flags; what keeps or files the message later sets them all (RFC 5232). \\Seen and \\Flagged are those of
# IMAP; words with a $ in front show as coloured labels in many programs.
require ["fileinto", "imap4flags", "mailbox", "special-use"];

if address :is :domain "from" "example.org" {
    addflag "$Work";
}
if header :contains ["X-Priority", "Importance"] ["1", "high"] {
    addflag "\\Flagged";
}

# What comes from a program that tells you that all is well is read already. It goes into the archive: the mailbox that
# your programs use for it, whatever its name is (RFC 8579), and "Archive" where there is none.
if header :is "Subject" "backup: no errors" {
    addflag "\\Seen";
    fileinto :specialuse "\\Archive" :create "Archive";
}

# Mail to an address that nobody has written to for years goes to those who fight spam, as a report (RFC 5965).
#
# A report is mail of its own: your words, a few lines that their programs read, and the message whole, or with
# ":headers_only" its header alone. It does not touch the message itself: what becomes of it here is said besides.
require ["envelope", "fileinto", "mailbox", "vnd.dovecot.report"];

if envelope :localpart "to" "ann.1999" {
    report "abuse" "It came to an address that is a trap." "spam-reports@example.net";
    fileinto :create "Junk";
    stop;
}

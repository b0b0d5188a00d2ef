# Each message once: a list and its author both send you the answer, and you keep one.
#
# duplicate (RFC 7352) remembers Message-ID for seven days, or for as many seconds as you say.
require ["duplicate", "fileinto", "imap4flags", "mailbox", "variables"];

if duplicate {
    fileinto :create :flags "\\Seen" "Duplicates";
    stop;
}

# The monitor sends a message every five minutes while a host is down: one in an hour for each host is enough.
if header :matches "Subject" "DOWN: *" {
    if duplicate :handle "monitor" :uniqueid "${1}" :seconds 3600 {
        discard;
    }
}

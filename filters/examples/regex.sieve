# Tickets by their number: "[ACME-1234] printer on fire" goes into Tickets.ACME, whatever the project is.
#
# :regex takes POSIX extended regular expressions. They take the time of the text's length and no more; a backslash is
# written twice, since a string in Sieve takes one away. With i;octet capitals count; without it acme would be found, too.
# Where * and ? will do, :matches is easier to read.
require ["fileinto", "imap4flags", "mailbox", "regex", "variables"];

if header :regex :comparator "i;octet" "Subject" "\\[([A-Z]{2,10})-([0-9]+)\\]" {
    set "project" "${1}";
    set "number" "${2}";
    # Round numbers are for the one who has to bring cake.
    if string :regex "${number}" "000$" {
        addflag "\\Flagged";
    }
    fileinto :create "Tickets.${project}";
}

# By what is attached: invoices are filed, programs are set apart, calendars get a flag.
#
# :mime with :anychild looks at every part of the message (RFC 5703). The name of a file stands in Content-Disposition or,
# in old mail, in Content-Type.
require ["fileinto", "foreverypart", "imap4flags", "mailbox", "mime"];

if header :mime :anychild :param "filename" :matches "Content-Disposition" ["*.exe", "*.scr", "*.js", "*.vbs", "*.bat"] {
    fileinto :create "Quarantine";
    stop;
}

# An invoice: a PDF, and a word in the subject.
if allof (
    header :mime :anychild :contenttype "Content-Type" "application/pdf",
    header :contains "Subject" ["invoice", "receipt"]
) {
    fileinto :create "Invoices";
    stop;
}

# The same, part by part. Here a test without :anychild looks at the part that it is the turn of.
foreverypart {
    if header :mime :type "Content-Type" "text" {
        if header :mime :subtype "Content-Type" "calendar" {
            addflag "$Calendar";
            break;
        }
    }
}

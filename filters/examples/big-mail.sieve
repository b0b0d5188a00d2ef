# Large messages into a mailbox that a telephone need not read, small ones where they belong.
#
# size is that of the whole message as it came; an attachment is larger in it by a third than the file was.
require ["fileinto", "imap4flags", "mailbox"];

if size :over 20M {
    # Marked, so that it can be found and deleted when the box is full.
    fileinto :create :flags ["\\Flagged", "$Large"] "Large";
    stop;
}
if allof (size :over 2M, not address :is :domain "from" "example.org") {
    fileinto :create "Large";
}

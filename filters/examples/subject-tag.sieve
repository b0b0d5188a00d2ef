# Takes "[users]" off the subjects of a list, so that more of them fits on the screen.
#
# editheader (RFC 5293) changes the copy that is stored; the original is gone after that, and a signature (DKIM) over the
# subject no longer holds. Tests further down see the new subject.
require ["editheader", "fileinto", "mailbox", "variables"];

if allof (
    header :contains "List-Id" "users.lists.example.net",
    header :matches "Subject" "*[users]*"
) {
    set "before" "${1}";
    set "after" "${2}";
    # "Re: [users] hello" leaves two spaces in a row: one goes.
    if string :matches "${after}" " *" {
        set "after" "${1}";
    }
    deleteheader "Subject";
    addheader "Subject" "${before}${after}";
    fileinto :create "Lists.users";
}

# Every mailing list into a mailbox of its own, without a rule for each.
#
# A list names itself in the field List-Id (RFC 2919), such as "Users of it <users.lists.example.net>". The first word of
# the name in angle brackets, here "users", becomes the mailbox Lists.users, which is made when the first message comes.
require ["fileinto", "mailbox", "variables"];

if header :matches "List-Id" "*<*.*" {
    # ${2} is what the second * stood for. Lower case, so that Users and users are one mailbox.
    set :lower "list" "${2}";
    fileinto :create "Lists.${list}";
    stop;
}

# Old list programs write no List-Id; what they do write differs.
if header :matches "X-Mailing-List" "<*@*" {
    set :lower "list" "${1}";
    fileinto :create "Lists.${list}";
}

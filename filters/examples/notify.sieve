# A short note to another address, such as a telephone's, when something important comes.
#
# The note is a message of its own with your words in it, and not the mail itself (RFC 5435, RFC 5436). What programs send
# of their own accord gets none, so that two notes never chase each other.
require ["enotify", "variables"];

if anyof (
    address :is "from" ["boss@example.org", "school@example.net"],
    header :contains "Subject" "urgent"
) {
    set "from" "someone";
    if header :matches "From" "*" {
        set "from" "${1}";
    }
    set "subject" "nothing";
    if header :matches "Subject" "*" {
        set "subject" "${1}";
    }
    notify :importance "1" :message "${from} writes: ${subject}" "mailto:4917012345@sms.example.net";
}

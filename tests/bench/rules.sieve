# The filter of both servers during the benchmark: a few common rules, none of which the load meets.
require ["fileinto", "mailbox", "imap4flags"];

if header :is "X-Spam-Flag" "YES" {
    fileinto :create "Junk";
    stop;
}
if header :contains "List-Id" "<users.example.org>" {
    fileinto :create "Lists.users";
} elsif address :is "from" "boss@example.org" {
    addflag "\\Flagged";
} elsif header :matches "Subject" "[announce] *" {
    fileinto :create :flags "\\Seen" "Announcements";
}

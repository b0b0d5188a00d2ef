# A copy to somebody else, or all of it.
#
# redirect alone takes the message away from here. With :copy (RFC 3894) it stays as well. A message is redirected to four
# addresses at most, unless the site says otherwise; and never to yourself.
require ["copy"];

# Accounts: a copy to a colleague, and one stays here.
if address :is :localpart "to" "billing" {
    redirect :copy "colleague@example.net";
}

# The club has an address of its own by now: all of it goes there, nothing stays.
if header :contains "Subject" "[rowing club]" {
    redirect "club@example.net";
}

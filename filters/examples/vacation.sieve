# Answers while you are away, from the first day to the last, and not a day longer.
#
# Put in your two days and your words. Each sender gets one answer in seven days; lists, other programs' answers, and
# mail that names none of your addresses in To or Cc get none. Addresses of yours that postroom does not know go into
# :addresses.
require ["date", "relational", "vacation"];

if allof (
    currentdate :value "ge" "date" "2026-07-20",
    currentdate :value "le" "date" "2026-08-07"
) {
    vacation :days 7
        :addresses ["ann@example.org", "ann.lee@example.org"]
        :subject "Away until 7 August"
        text:
I am away until 7 August and read my mail after that.

In urgent cases write to office@example.org.
.
;
}

# The message itself stays in INBOX: vacation moves nothing.

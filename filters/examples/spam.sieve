# Spam by its score: what is certain is thrown away, what is likely goes into Junk.
#
# spamtest (RFC 5235) gives a score of 1 to 10 whichever scanner the site has, and 0 where none looked. Where the site has
# not told postroom which field it is in, the second rule reads SpamAssassin's stars: one for each point.
require ["comparator-i;ascii-numeric", "fileinto", "mailbox", "relational", "spamtest"];

if spamtest :value "ge" :comparator "i;ascii-numeric" "10" {
    discard;
    stop;
}
if anyof (
    spamtest :value "ge" :comparator "i;ascii-numeric" "5",
    header :contains "X-Spam-Level" "*****"
) {
    fileinto :create "Junk";
    stop;
}

# What a friend writes is not looked at by these rules: put such lines above them.
#
# if address :is "from" "friend@example.net" { keep; stop; }

# Files what SpamAssassin or rspamd called spam into Junk, before the user's own script.
#
# Only fields that your own scanner writes may be trusted: let it remove those that came from outside
# (rspamd's milter_headers and SpamAssassin do so by default).
require ["fileinto", "mailbox"];

if anyof (
    # SpamAssassin: "YES"; "Yes, score=7.1 required=5.0 ..."
    header :is "X-Spam-Flag" "YES",
    header :matches "X-Spam-Status" "Yes*",
    # rspamd: "Yes"; "default: True [15.20 / 15.00]; ..."
    header :is "X-Spam" "Yes",
    header :matches "X-Spamd-Result" "*: True [*"
) {
    fileinto :create "Junk";
    # Without this line the user's script would still run, and could take spam elsewhere.
    stop;
}

# ann+shop@example.org goes into the mailbox Plus.shop: give every shop an address of its own, and see who sold it.
#
# The part behind the + is the detail (RFC 5233); postroom's setting [directory] delimiters says which characters it
# follows. It stands in the envelope, not in To: hidden copies and list mail are found as well.
require ["envelope", "fileinto", "mailbox", "subaddress", "variables"];

# An address that was sold: what still comes is thrown away.
if envelope :detail "to" ["oldshop", "raffle"] {
    discard;
    stop;
}

# A detail is what strangers write, so it makes no mailbox with levels of its own: only plain words do.
if envelope :matches :detail "to" ["*.*", "*/*"] {
    keep;
    stop;
}
if envelope :matches :detail "to" "?*" {
    set :lower "detail" "${1}${2}";
    fileinto :create "Plus.${detail}";
}

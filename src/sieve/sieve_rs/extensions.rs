//! What is supported, and which extension each command and test belongs to.

/// Every extension that a script can require. Not among them, though sieve-rs has them:
/// what changes the message (editheader, replace, enclose, convert), what a plan has no
/// room for (fcc, redirect-dsn, redirect-deliverby), and what the account cannot answer
/// yet (mailboxid, extlists, imapsieve, envelope-dsn, envelope-deliverby).
pub(in crate::sieve) const SUPPORTED: [&str; 34] = [
    "body",
    "comparator-i;ascii-casemap",
    "comparator-i;ascii-numeric",
    "comparator-i;octet",
    "copy",
    "date",
    "duplicate",
    "encoded-character",
    "enotify",
    "envelope",
    "environment",
    "ereject",
    "extracttext",
    "fileinto",
    "foreverypart",
    "ihave",
    "imap4flags",
    "include",
    "index",
    "mailbox",
    "mboxmetadata",
    "mime",
    "regex",
    "reject",
    "relational",
    "servermetadata",
    "special-use",
    "spamtest",
    "spamtestplus",
    "subaddress",
    "vacation",
    "vacation-seconds",
    "variables",
    "virustest",
];

/// What sieve-rs knows but we do not support; `ihave` must deny it.
pub(super) const UNSUPPORTED: [&str; 15] = [
    "comparator-elbonia",
    "convert",
    "editheader",
    "enclose",
    "envelope-deliverby",
    "envelope-dsn",
    "extlists",
    "fcc",
    "imapsieve",
    "mailboxid",
    "redirect-deliverby",
    "redirect-dsn",
    "replace",
    "vnd.stalwart.expressions",
    "vnd.stalwart.while",
];

pub(super) fn is_supported(extension: &str) -> bool {
    SUPPORTED.contains(&extension)
}

/// The extension of a command, `""` for RFC 5228's own; none where there is no such command.
pub(super) fn of_command(name: &str) -> Option<&'static str> {
    Some(match name {
        "require" | "if" | "elsif" | "else" | "stop" | "keep" | "discard" | "redirect" => "",
        "fileinto" => "fileinto",
        "reject" => "reject",
        "ereject" => "ereject",
        "vacation" => "vacation",
        "notify" => "enotify",
        "set" => "variables",
        "setflag" | "addflag" | "removeflag" => "imap4flags",
        "include" | "return" | "global" => "include",
        "foreverypart" | "break" => "foreverypart",
        "extracttext" => "extracttext",
        "error" => "ihave",
        _ => return None,
    })
}

/// The extension of a test, in the same way.
pub(super) fn of_test(name: &str) -> Option<&'static str> {
    Some(match name {
        "address" | "allof" | "anyof" | "exists" | "false" | "header" | "not" | "size" | "true" => "",
        "envelope" => "envelope",
        "body" => "body",
        "date" | "currentdate" => "date",
        "duplicate" => "duplicate",
        "string" => "variables",
        "environment" => "environment",
        "valid_notify_method" | "notify_method_capability" => "enotify",
        "ihave" => "ihave",
        "hasflag" => "imap4flags",
        "mailboxexists" => "mailbox",
        "metadata" | "metadataexists" => "mboxmetadata",
        "servermetadata" | "servermetadataexists" => "servermetadata",
        "spamtest" => "spamtest",
        "virustest" => "virustest",
        "specialuse_exists" => "special-use",
        _ => return None,
    })
}

/// The extension of a tag that sieve-rs would no longer miss, because we require it for
/// our own ends.
pub(super) fn of_tag(name: &str) -> Option<&'static str> {
    match name {
        "copy" => Some("copy"),
        "create" => Some("mailbox"),
        "value" | "count" => Some("relational"),
        _ => None,
    }
}

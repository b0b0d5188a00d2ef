//! Folders and files as names of mailboxes.

use crate::mail::{MailboxName, MailboxNameError};
use crate::maildir::decode_folder_name;

/// The levels that a directory of a tree adds; none where it is none's.
pub(super) fn levels_of_directory(name: &str) -> Vec<String> {
    if let Some(hidden) = name.strip_prefix('.') {
        // Maildir++.
        let decoded = decode_folder_name(hidden).unwrap_or_else(|| hidden.to_owned());
        return decoded
            .split('.')
            .map(level)
            .filter(|level| !level.is_empty())
            .collect();
    }
    // Thunderbird keeps the folders below X in X.sbd, Apple Mail a mailbox in X.mbox.
    let bare = [".sbd", ".mbox"]
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending));
    let name = bare.filter(|bare| !bare.is_empty()).unwrap_or(name);
    vec![level(&decoded(name))]
}

/// The levels that an mbox file adds. Those that we export have `.` between levels.
pub(super) fn levels_of_mbox(name: &str) -> Vec<String> {
    match name.strip_suffix(".mbox").filter(|bare| !bare.is_empty()) {
        Some(bare) => bare.split('.').map(level).filter(|level| !level.is_empty()).collect(),
        None => vec![level(&decoded(name))],
    }
}

/// The mailbox of a place in the tree. `below`: where the root of the tree goes, and all else below it.
pub(super) fn mailbox(levels: &[String], below: Option<&MailboxName>) -> Result<MailboxName, MailboxNameError> {
    let below = below.filter(|below| !below.is_inbox());
    let is_root = match levels {
        [] => true,
        [only] => only.eq_ignore_ascii_case("INBOX"),
        _ => false,
    };
    if is_root {
        return Ok(below.cloned().unwrap_or_else(MailboxName::inbox));
    }
    let name = levels.join(".");
    match below {
        Some(below) => MailboxName::parse(&format!("{below}.{name}"), '.'),
        None => MailboxName::parse(&name, '.'),
    }
}

// Modified UTF-7 where it can be that, as Dovecot writes names; else as it stands.
fn decoded(name: &str) -> String {
    match name.contains('&') {
        true => decode_folder_name(name).unwrap_or_else(|| name.to_owned()),
        false => name.to_owned(),
    }
}

// What no level of ours may have becomes `_`.
fn level(text: &str) -> String {
    let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '.' | '\u{fffd}');
    text.chars().map(|c| if allowed(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_names() {
        for (directories, below, expected) in [
            (&[][..], None, "INBOX"),
            (&["Inbox"], None, "INBOX"),
            (&[".Archive.T&AOo-te"], None, "Archive.T\u{ea}te"),
            (&["Archive", "T&AOo-te"], None, "Archive.T\u{ea}te"),
            (&["Lists", ".Rust"], None, "Lists.Rust"),
            (&["INBOX", "A"], None, "INBOX.A"),
            (&["Local Folders.sbd", "v1.2"], None, "Local Folders.v1_2"),
            (&["R&D"], None, "R&D"),
            (&[], Some("Old"), "Old"),
            (&["INBOX"], Some("Old"), "Old"),
            (&["A"], Some("Old.2020"), "Old.2020.A"),
            (&["A"], Some("INBOX"), "A"),
        ] {
            let levels: Vec<String> = directories.iter().flat_map(|name| levels_of_directory(name)).collect();
            let below = below.map(|name| MailboxName::parse(name, '.').unwrap());
            assert_eq!(mailbox(&levels, below.as_ref()).unwrap().as_str(), expected);
        }
        assert_eq!(levels_of_mbox("Archive.2026.mbox"), ["Archive", "2026"]);
        assert_eq!(levels_of_mbox("sent-mail"), ["sent-mail"]);
        assert!(mailbox(&["a".repeat(300)], None).is_err());
    }
}

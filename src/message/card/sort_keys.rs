//! What SORT and THREAD compare: RFC 5256, RFC 5957.

use super::super::decode::text;
use super::super::header::Header;
use super::address_list::{Item, address_list};

/// Characters of a subject.
const SUBJECT_MAX: usize = 1000;
/// Characters of the other keys.
const KEY_MAX: usize = 250;

/// The keys of one message, to be compared byte by byte.
///
/// All letters are upper case, by Unicode's full mapping. i;unicode-casemap (RFC 5051) would also
/// decompose them; so `é` in one character and `e` with an accent in two are different here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortKeys {
    /// The base subject (RFC 5256 §2.1), at most 1,000 characters before the mapping.
    pub subject: String,
    /// Whether what was taken from the subject says that it is a reply or was forwarded.
    pub is_reply_or_forward: bool,
    /// What stands before the `@` of the first address of From, or the name of the group; empty where there is
    /// none. This and the others have at most 250 characters before the mapping.
    pub from: String,
    /// Likewise of To.
    pub to: String,
    /// Likewise of Cc.
    pub cc: String,
    /// The display name of the first address of From, or else the address (RFC 5957 §3).
    pub display_from: String,
    /// Likewise of To.
    pub display_to: String,
}

impl SortKeys {
    /// Reads the fields.
    pub(super) fn of(header: &Header) -> SortKeys {
        let raw = |name| header.first(name).map(|field| field.unfolded().into_owned());
        let subject = raw("Subject").map(|raw| text(&raw)).unwrap_or_default();
        let (subject, is_reply_or_forward) = base_subject(&subject);
        let people = |name| raw(name).map(|raw| first_address(&raw)).unwrap_or_default();
        let ((from, display_from), (to, display_to), (cc, _)) = (people("From"), people("To"), people("Cc"));
        SortKeys {
            subject: mapped(&subject, SUBJECT_MAX),
            is_reply_or_forward,
            from,
            to,
            cc,
            display_from,
            display_to,
        }
    }
}

fn mapped(text: &str, characters: usize) -> String {
    text.chars().take(characters).flat_map(char::to_uppercase).collect()
}

/// The mailbox of the first address, and what is shown for it.
fn first_address(raw: &[u8]) -> (String, String) {
    match address_list(raw, 1).into_iter().next() {
        Some(Item::Group(name)) => {
            let shown = mapped(&text(&name), KEY_MAX);
            (mapped(&String::from_utf8_lossy(&name), KEY_MAX), shown)
        }
        Some(Item::Mailbox(it)) => {
            let (local, domain) = (String::from_utf8_lossy(&it.local), String::from_utf8_lossy(&it.domain));
            let name = text(&it.name.unwrap_or_default());
            let shown = match (name.is_empty(), domain.is_empty()) {
                (false, _) => name,
                (true, true) => local.clone().into_owned(),
                (true, false) => format!("{local}@{domain}"),
            };
            (mapped(&local, KEY_MAX), mapped(&shown, KEY_MAX))
        }
        Some(Item::GroupEnd) | None => Default::default(),
    }
}

/// The base subject of a decoded one, and whether it is a reply or was forwarded: RFC 5256 §2.1.
fn base_subject(subject: &str) -> (String, bool) {
    // Step 1
    let words: Vec<_> = subject.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let whole: String = words.join(" ").chars().take(SUBJECT_MAX).collect();
    let mut rest = whole.as_str();
    let mut changed = false;
    loop {
        rest = without_trailers(rest, &mut changed);
        rest = without_leaders(rest, &mut changed);
        // Step 6: subj-fwd = subj-fwd-hdr subject subj-fwd-trl
        let inside = after(rest, "[fwd:").and_then(|rest| rest.strip_suffix(']'));
        let Some(inside) = inside else { break };
        rest = inside;
        changed = true;
    }
    (rest.to_owned(), changed)
}

// Step 2: subj-trailer = "(fwd)" / WSP
fn without_trailers<'a>(mut rest: &'a str, changed: &mut bool) -> &'a str {
    loop {
        rest = rest.trim_end_matches(' ');
        let Some(start) = rest.len().checked_sub("(fwd)".len()) else {
            return rest;
        };
        if !rest.get(start..).is_some_and(|end| end.eq_ignore_ascii_case("(fwd)")) {
            return rest;
        }
        rest = &rest[..start];
        *changed = true;
    }
}

// Steps 3 to 5: subj-leader = (*subj-blob subj-refwd) / WSP
fn without_leaders<'a>(mut rest: &'a str, changed: &mut bool) -> &'a str {
    loop {
        rest = rest.trim_start_matches(' ');
        let mut after_blobs = rest;
        while let Some(after) = blob(after_blobs) {
            after_blobs = after;
        }
        if let Some(after) = refwd(after_blobs) {
            rest = after;
            *changed = true;
            continue;
        }
        match blob(rest) {
            Some(after) if !after.is_empty() => rest = after,
            _ => return rest,
        }
    }
}

// subj-blob = "[" *BLOBCHAR "]" *WSP
fn blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    let after = inside[end..].strip_prefix(']')?;
    Some(after.trim_start_matches(' '))
}

// subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
fn refwd(text: &str) -> Option<&str> {
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| after(text, word))?;
    let rest = rest.trim_start_matches(' ');
    blob(rest).unwrap_or(rest).strip_prefix(':')
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| &text[word.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::Message;
    use super::*;

    #[test]
    fn takes_the_base_of_subjects() {
        for (subject, base, reply) in [
            ("", "", false),
            ("Hello", "Hello", false),
            ("  Hello \t world ", "Hello world", false),
            ("Re: Hello", "Hello", true),
            ("RE : fwd:Fw:Hello (fwd) (FWD)", "Hello", true),
            ("Re[2]: Hello", "Hello", true),
            ("re [x] : Hello", "Hello", true),
            ("[list] Re: [list] Hello", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[a][b] Hello", "Hello", false),
            ("[a] [b]", "[b]", false),
            ("[a]", "[a]", false),
            ("[Fwd: Re: Hello (fwd)]", "Hello", true),
            ("[Fwd: [list] Hello]", "Hello", true),
            ("[fwd: Hello] x", "x", false),
            ("[Fwd:]", "", true),
            ("Re:", "", true),
            ("Regarding: x", "Regarding: x", false),
            ("Re-opened", "Re-opened", false),
            ("fwdx: y", "fwdx: y", false),
            ("AW: Hello", "AW: Hello", false),
            ("(fwd)", "", true),
            ("\u{e9}[ x", "\u{e9}[ x", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), reply), "{subject}");
        }
    }

    #[test]
    fn reads_keys() {
        let text = "Subject: Re: =?utf-8?q?stra=C3=9Fe?=\nFrom: =?utf-8?q?J=C3=B6?= Ann <ann@example.org>\n\
                    To: friends: bob@example.org;\nCc: \"c d\"@example.org, e@example.org\n\n";
        let keys = SortKeys::of(Message::from_bytes(text).header());
        let expected = SortKeys {
            subject: "STRASSE".into(),
            is_reply_or_forward: true,
            from: "ANN".into(),
            to: "FRIENDS".into(),
            cc: "C D".into(),
            display_from: "JÖ ANN".into(),
            display_to: "FRIENDS".into(),
        };
        assert_eq!(keys, expected);
        let keys = SortKeys::of(Message::from_bytes("From: ann@example.org\n\n").header());
        assert_eq!(keys.display_from, "ANN@EXAMPLE.ORG");
    }

    proptest! {
        #[test]
        fn a_base_is_its_own_base(subject in "(re|fwd|\\[fwd:|\\[a\\]|\\]|\\[|:| |x|\u{e9}|\\(fwd\\)){0,12}") {
            let (base, _) = base_subject(&subject);
            prop_assert_eq!(base_subject(&base), (base.clone(), false));
        }
    }
}

//! Flags in header fields: those of mbox, and Mozilla's.

use std::fmt;

use crate::mail::{Flags, SystemFlag};
use crate::message::Header;

/// The letters of `Status` and `X-Status`.
const LETTERS: [(char, SystemFlag); 5] = [
    ('R', SystemFlag::Seen),
    ('A', SystemFlag::Answered),
    ('F', SystemFlag::Flagged),
    ('T', SystemFlag::Draft),
    ('D', SystemFlag::Deleted),
];
/// The bits of `X-Mozilla-Status`.
const MOZILLA: [(u16, &str); 5] = [
    (0x0001, "\\Seen"),
    (0x0002, "\\Answered"),
    (0x0004, "\\Flagged"),
    (0x0008, "\\Deleted"),
    (0x1000, "$Forwarded"),
];

/// The three lines that begin each message that we write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status(Flags);

impl Status {
    pub(super) fn of(flags: &Flags) -> Status {
        Status(flags.clone())
    }

    /// Reads them, if these are the three; nothing else begins with them in this order and form.
    pub(super) fn parse(lines: [&[u8]; 3]) -> Option<Flags> {
        let mut flags = Flags::new();
        for (line, name) in lines.into_iter().zip(NAMES) {
            let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
            let value = std::str::from_utf8(value.trim_ascii()).ok()?;
            take(&mut flags, name, value);
        }
        Some(flags)
    }

    /// Whether a line can be the one at this place of the three.
    pub(super) fn is_line(at: usize, line: &[u8]) -> bool {
        let after = NAMES.get(at).and_then(|name| line.strip_prefix(name.as_bytes()));
        after.is_some_and(|rest| rest.starts_with(b":") && rest.ends_with(b"\n"))
    }
}

pub(super) const NAMES: [&str; 3] = ["Status", "X-Status", "X-Keywords"];

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |(letter, flag): &(char, SystemFlag)| self.0.has(*flag).then_some(*letter);
        let letters: String = LETTERS[1..].iter().filter_map(letter).collect();
        let seen = if self.0.has(SystemFlag::Seen) { "RO" } else { "O" };
        let keywords: Vec<&str> = self.0.keywords().collect();
        write!(
            f,
            "Status: {seen}\nX-Status: {letters}\nX-Keywords: {}\n",
            keywords.join(" ")
        )
    }
}

/// The flags that a message's header says: `Status` and `X-Status` as mail programs write them into an mbox,
/// `X-Keywords` of Dovecot and c-client, `X-Mozilla-Status` and `X-Mozilla-Keys` of Thunderbird.
/// What is no flag is passed over.
#[must_use]
pub fn status_flags(header: &Header) -> Flags {
    let mut flags = Flags::new();
    for field in header.fields() {
        let known = NAMES.into_iter().chain(["X-Mozilla-Status", "X-Mozilla-Keys"]);
        if let Some(name) = known.into_iter().find(|name| field.is(name)) {
            take(&mut flags, name, &String::from_utf8_lossy(&field.unfolded()));
        }
    }
    flags
}

fn take(flags: &mut Flags, name: &str, value: &str) {
    match name {
        "Status" | "X-Status" => {
            for (letter, flag) in LETTERS {
                // `D` in Status is a deletion of very old programs, the others stand there in X-Status only.
                if value.contains(letter) && value.trim().bytes().all(|byte| byte.is_ascii_uppercase()) {
                    flags.set(flag);
                }
            }
        }
        "X-Mozilla-Status" => {
            let bits = u16::from_str_radix(value.trim(), 16).unwrap_or(0);
            for (_, flag) in MOZILLA.iter().filter(|(bit, _)| bits & bit != 0) {
                let _ = flags.insert(flag);
            }
        }
        _ => {
            for keyword in value.split_whitespace() {
                let _ = flags.insert(keyword);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_all_kinds() {
        for (fields, expected) in [
            ("Status: RO\nX-Status: AF\n", "\\Answered \\Flagged \\Seen"),
            ("Status: O\nX-Status: \n", ""),
            (
                "status: R\nX-Status: DT\nX-Keywords: $Work todo         \n",
                "\\Deleted \\Seen \\Draft $Work todo",
            ),
            (
                "X-Mozilla-Status: 1007\nX-Mozilla-Keys: $label1 b\n",
                "\\Answered \\Flagged \\Seen $Forwarded $label1 b",
            ),
            ("X-Mozilla-Status: zz\nX-Keywords: ( ok\nStatus: Ready\n", "ok"),
        ] {
            let mut wanted = Flags::new();
            expected
                .split_whitespace()
                .for_each(|name| wanted.insert(name).unwrap());
            assert_eq!(
                status_flags(&Header::of_block(fields.as_bytes(), true)),
                wanted,
                "{fields:?}"
            );
        }
    }

    #[test]
    fn ours_are_known_again() {
        let mut flags = Flags::new();
        for name in ["\\Seen", "\\Draft", "\\Deleted", "$Work", "todo"] {
            flags.insert(name).unwrap();
        }
        for flags in [flags, Flags::new()] {
            let text = Status::of(&flags).to_string();
            let lines: Vec<&[u8]> = text.split_inclusive('\n').map(str::as_bytes).collect();
            assert!((0..3).all(|at| Status::is_line(at, lines[at])));
            assert_eq!(Status::parse([lines[0], lines[1], lines[2]]), Some(flags));
        }
    }
}

//! `postroom-mailbox`: what must outlive the index of a mailbox.
//!
//! A small text file beside the messages, one `key value` a line:
//!
//! ```text
//! postroom-mailbox 1
//! uidvalidity 1767225600
//! mailboxid M695f1f00-1
//! uids 1024
//! modseqs 4096
//! highest-uidvalidity 1767225600
//! special-use Sent
//! ```
//!
//! `uids` and `modseqs` are reserved high-water marks: no UID or MODSEQ above
//! them was ever given, so an index that was lost or rolled back goes on above
//! them. `highest-uidvalidity` stands in the INBOX only and covers folders that
//! are gone. `special-use` is what the mailbox is for (RFC 6154), where that is known.
//! Lines with other keys are of later versions, and stay when the file is written.

use std::io;
use std::path::Path;

use crate::mail::{SpecialUse, UidValidity};

use super::disk::read_regular;
use super::{Disk, DiskError};

/// Lines that are kept though nobody understands them.
const OTHERS: usize = 64;
/// The name of the file.
const FILE: &str = "postroom-mailbox";

/// The content of `postroom-mailbox`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The mailbox's UIDVALIDITY.
    pub validity: UidValidity,
    /// Its MAILBOXID (RFC 8474).
    pub mailbox_id: String,
    /// The highest UID that may have been given.
    pub uids: u32,
    /// The highest MODSEQ that may have been given.
    pub modseqs: u64,
    /// In the INBOX: the highest UIDVALIDITY ever given in the account.
    pub highest_validity: Option<UidValidity>,
    /// What the mailbox is for (RFC 6154).
    pub special_use: Option<SpecialUse>,
    /// Lines that are not understood; who writes marks that were read writes them too.
    pub others: Vec<String>,
}

impl Marks {
    /// Reads the marks of a folder; none where it has no file, or one that cannot
    /// be understood (a folder that nobody numbered yet).
    ///
    /// # Errors
    /// Where the file is there and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Marks>, DiskError> {
        let path = folder.join(FILE);
        match read_regular(&path) {
            Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(Marks::parse)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::at("read", path)(error)),
        }
    }

    /// Writes the marks durably.
    ///
    /// # Errors
    /// As [`Disk::replace`]; the marks are then not reserved.
    pub fn write(&self, disk: &Disk, folder: &Path) -> Result<(), DiskError> {
        disk.replace(&folder.join(FILE), self.to_text().as_bytes())
    }

    fn to_text(&self) -> String {
        let Marks {
            validity,
            mailbox_id,
            uids,
            modseqs,
            highest_validity,
            special_use,
            others,
        } = self;
        let mut text = format!(
            "postroom-mailbox 1\nuidvalidity {validity}\nmailboxid {mailbox_id}\nuids {uids}\nmodseqs {modseqs}\n"
        );
        if let Some(highest) = highest_validity {
            text.push_str(&format!("highest-uidvalidity {highest}\n"));
        }
        if let Some(special_use) = special_use {
            text.push_str(&format!("special-use {}\n", special_use.as_str()));
        }
        for line in others {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn parse(text: &str) -> Option<Marks> {
        let body = text.strip_prefix("postroom-mailbox 1\n")?;
        let value = |key: &str| body.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        Some(Marks {
            validity: UidValidity::new(value("uidvalidity")?.parse().ok()?)?,
            mailbox_id: value("mailboxid").filter(|id| is_object_id(id))?.to_owned(),
            uids: value("uids")?.parse().ok()?,
            modseqs: value("modseqs")?.parse().ok()?,
            highest_validity: value("highest-uidvalidity").and_then(|v| UidValidity::new(v.parse().ok()?)),
            special_use: value("special-use").and_then(SpecialUse::parse),
            // Verbatim, or a line that ends in carriage returns would lose one each time it is written.
            others: body
                .split_terminator('\n')
                .filter(|line| !is_known(line.trim_end_matches('\r')))
                .take(OTHERS)
                .map(str::to_owned)
                .collect(),
        })
    }
}

fn is_known(line: &str) -> bool {
    let (key, value) = line.split_once(' ').unwrap_or((line, ""));
    match key {
        "uidvalidity" | "mailboxid" | "uids" | "modseqs" | "highest-uidvalidity" => true,
        // A use of a later standard.
        "special-use" => SpecialUse::parse(value).is_some(),
        _ => false,
    }
}

// RFC 8474 §7: objectid = 1*255(ALPHA / DIGIT / "_" / "-")
fn is_object_id(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks {
            validity: UidValidity::new(17).unwrap(),
            mailbox_id: "M17-1".to_owned(),
            uids: 1024,
            modseqs: 4096,
            highest_validity: UidValidity::new(19),
            special_use: Some(SpecialUse::Sent),
            others: Vec::new(),
        }
    }

    #[test]
    fn come_back() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Marks::read(home.path()).unwrap(), None);
        marks().write(&Disk::default(), home.path()).unwrap();
        assert_eq!(Marks::read(home.path()).unwrap(), Some(marks()));
    }

    #[test]
    fn what_is_not_ours_counts_as_missing() {
        for text in [
            "",
            "postroom-mailbox 2\n",
            "postroom-mailbox 1\nuidvalidity 0\n",
            "postroom-mailbox 1\nuids 5\n",
        ] {
            assert_eq!(Marks::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn lines_of_later_versions_stay() {
        let text = format!("{}colour blue\nnumber\n", marks().to_text());
        let read = Marks::parse(&text).unwrap();
        assert_eq!(read.others, ["colour blue", "number"]);
        assert_eq!(read.to_text(), text);
        let returns = format!("{}colour blue\r\r\n\nnumber\r\n", marks().to_text());
        assert_eq!(Marks::parse(&returns).unwrap().to_text(), returns);
        let text = text.replace("special-use Sent", "special-use Unheard");
        let read = Marks::parse(&text).unwrap();
        assert_eq!(read.special_use, None);
        assert!(read.to_text().contains("special-use Unheard\n"));
    }
}

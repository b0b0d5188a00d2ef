//! Messages in files of their own, and the list that an export writes beside them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Bystander, DiskError};
use crate::mail::{Flags, MailboxName};
use crate::maildir::open_regular;
use crate::store::Entry;

/// The name of the list.
pub(super) const INDEX: &str = "index.json";
/// Bytes that a list may have: some two million messages.
const LARGEST: u64 = 512 << 20;

/// What the list says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) flags: Flags,
    pub(super) date: Option<i64>,
}

/// The list of a folder, by file name; empty where there is none. One that is no such list is a fault.
pub(super) fn listed(folder: &Path, bystander: &mut dyn Bystander) -> HashMap<String, Listed> {
    let path = folder.join(INDEX);
    let read = open_regular(&path).and_then(|file| {
        use io::Read;
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text)?;
        serde_json::from_str::<Value>(&text).map_err(io::Error::other)
    });
    match read {
        Ok(value) => parse(&value),
        Err(error) if error.kind() == io::ErrorKind::NotFound => HashMap::new(),
        Err(error) => {
            let path = path.display();
            bystander.fault(&format!(
                "{path}: {error}; flags and dates of this folder are not taken from it"
            ));
            HashMap::new()
        }
    }
}

fn parse(value: &Value) -> HashMap<String, Listed> {
    let messages = value["messages"].as_array().into_iter().flatten();
    let listed = messages.filter_map(|message| {
        let mut flags = Flags::new();
        for flag in message["flags"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            let _ = flags.insert(flag);
        }
        let date = message["internaldate"]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        let date = date.map(Timestamp::as_second);
        Some((message["file"].as_str()?.to_owned(), Listed { flags, date }))
    });
    listed.collect()
}

/// The list of an exported folder.
pub(super) fn list(mailbox: &MailboxName, validity: u32, messages: &[(String, Entry)]) -> Value {
    let messages = messages.iter().map(|(file, entry)| {
        json!({
            "file": file,
            "uid": entry.uid.value(),
            "flags": entry.flags.names().collect::<Vec<_>>(),
            "internaldate": Timestamp::from_second(entry.internal_date).unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            "size": entry.size,
            "emailid": entry.email_id.to_string(),
        })
    });
    json!({
        "mailbox": mailbox.as_str(),
        "uidvalidity": validity,
        "messages": messages.collect::<Vec<_>>(),
    })
}

/// The `.eml` files of a folder: numbers first, by number, then the rest by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(DiskError::at("read", folder))? {
        let path = entry.map_err(DiskError::at("read", folder))?.path();
        if is_eml(&path) && !path.is_dir() {
            let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
            found.push((number.unwrap_or(u64::MAX), path));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Whether a file's name says that it is a message.
pub(super) fn is_eml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("eml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_list_says_nothing() {
        for text in [
            "[]",
            "{}",
            "{\"messages\": 1}",
            "{\"messages\": [1, {}, {\"file\": 2}]}",
        ] {
            assert_eq!(parse(&serde_json::from_str(text).unwrap()), HashMap::new());
        }
        let text = r#"{"messages": [{"file": "1.eml", "flags": ["\\Seen", "\\x", 5, "ok"], "internaldate": "2023-11-14T22:13:20Z"}]}"#;
        let listed = parse(&serde_json::from_str(text).unwrap());
        assert_eq!(listed["1.eml"].flags.to_string(), "\\Seen ok");
        assert_eq!(listed["1.eml"].date, Some(1_700_000_000));
    }
}

//! `courierimapkeywords/`: the keywords that Courier IMAP set on the messages of a folder.
//!
//! Its file `:list` has the keywords, one a line, an empty line, and then for each message
//! that has any `<base name>:<number> <number> ...`, numbers counting the keywords from 0.
//! What changed since stands in files of the base name's name, or of that name behind
//! `.N.`, with the keywords that the message has now, one a line: the one without a number
//! is the newest, else the highest number counts. Courier folds these into `:list` now and
//! then; here they are only read.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use super::DiskError;
use super::disk::{open_regular, read_if_there};

/// What is read of the keywords of one message.
const LONGEST: u64 = 64 << 10;

/// The keywords of a folder's messages, by base name; none where Courier set none. What is
/// not understood is passed over. The keywords are as written: they need not be valid ones.
///
/// # Errors
/// Where the folder or a file is there and cannot be read.
pub fn courier_keywords(folder: &Path) -> Result<HashMap<String, Vec<String>>, DiskError> {
    let path = folder.join("courierimapkeywords");
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(DiskError::at("read", path)(error)),
    };
    let mut newest: HashMap<String, (u64, String)> = HashMap::new();
    for entry in entries {
        let entry = entry.map_err(DiskError::at("read", &path))?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        let Some((number, base)) = parse_name(&name) else {
            continue;
        };
        let slot = newest.entry(base.to_owned()).or_insert((number, name.clone()));
        if number > slot.0 {
            *slot = (number, name);
        }
    }
    let list = read_if_there(&path.join(":list"))?.unwrap_or_default();
    let mut keywords = parse_list(&String::from_utf8_lossy(&list));
    for (base, (_, name)) in newest {
        // Gone meanwhile: Courier took it into the list, or the message is no more.
        if let Some(text) = read_update(&path.join(name))? {
            keywords.insert(
                base,
                text.lines()
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect(),
            );
        }
    }
    keywords.retain(|_, keywords| !keywords.is_empty());
    Ok(keywords)
}

fn read_update(path: &Path) -> Result<Option<String>, DiskError> {
    let mut content = Vec::new();
    match open_regular(path).and_then(|file| file.take(LONGEST).read_to_end(&mut content)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&content).into_owned())),
        // Gone, or a folder, which is no update.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
        Err(error) => Err(DiskError::at("read", path)(error)),
    }
}

// The number of an update and the base name of its message.
fn parse_name(name: &str) -> Option<(u64, &str)> {
    if name.is_empty() || name.starts_with(':') {
        return None;
    }
    match name.strip_prefix('.') {
        Some(rest) => {
            let (number, base) = rest.split_once('.')?;
            Some((number.parse().ok()?, base))
        }
        None => Some((u64::MAX, name)),
    }
}

fn parse_list(text: &str) -> HashMap<String, Vec<String>> {
    let (names, messages) = text.split_once("\n\n").unwrap_or((text, ""));
    let names: Vec<&str> = names.lines().collect();
    let mut keywords = HashMap::new();
    for line in messages.lines() {
        let Some((base, numbers)) = line.split_once(':') else {
            continue;
        };
        let mut numbers: Vec<usize> = numbers
            .split_ascii_whitespace()
            .filter_map(|it| it.parse().ok())
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        let set = numbers
            .iter()
            .filter_map(|number| names.get(*number))
            .map(|name| (*name).to_owned());
        keywords.insert(base.to_owned(), set.collect());
    }
    keywords
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_word_counts() {
        let home = tempfile::tempdir().unwrap();
        assert!(courier_keywords(home.path()).unwrap().is_empty());
        let folder = home.path().join("courierimapkeywords");
        fs::create_dir(&folder).unwrap();
        let list = "$Junk\nwork\n\n1.listed:1 0 0\n2.cleared:0\n3.changed:0\n4.twice:0\n5.bad:9 x\nbad\n";
        for (name, content) in [
            (":list", list),
            (".17.2.cleared", ""),
            (".17.3.changed", "older\n"),
            (".18.3.changed", "new\nwork\n"),
            (".18.4.twice", "older\n"),
            ("4.twice", "newest\n"),
            ("6.alone", "$Done"),
            (".hidden", "x\n"),
            (".x.7", "x\n"),
        ] {
            fs::write(folder.join(name), content).unwrap();
        }
        fs::create_dir(folder.join("8.folder")).unwrap();
        let keywords = courier_keywords(home.path()).unwrap();
        let mut found: Vec<_> = keywords
            .iter()
            .map(|(base, set)| format!("{base} {}", set.join(" ")))
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "1.listed $Junk work",
                "3.changed new work",
                "4.twice newest",
                "6.alone $Done"
            ]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:0-9 .\n]{0,60}") {
            let _ = parse_list(&text);
            let _ = parse_name(&text);
        }
    }
}

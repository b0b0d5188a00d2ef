//! External lists (RFC 6134): files of a site and of its users, one entry a line.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::mail::Address;

/// Below the home.
const OWN: &str = "sieve/lists";
/// Bytes of a list.
const SIZE_MAX: u64 = 1 << 20;
/// Bytes of a name.
const NAME_MAX: usize = 128;
/// The list that RFC 6134 knows by these names.
const ADDRESS_BOOK: [&str; 2] = [":addrbook:default", "urn:ietf:params:sieve:addrbook:default"];
const ADDRESS_BOOK_FILE: &str = "addressbook";

/// Where the lists of an account lie: the site's first, so that nobody puts his own in place of one.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    folders: Vec<PathBuf>,
}

impl Lists {
    pub(super) fn new(site: Option<&Path>, home: &Path) -> Lists {
        let site = site.map(Path::to_owned);
        Lists {
            folders: site.into_iter().chain([home.join(OWN)]).collect(),
        }
    }

    /// The addresses of a list; none where there is no such list. What is no address is left out.
    pub(super) fn members(&self, name: &str) -> io::Result<Option<Vec<String>>> {
        let is_address = |entry: &&str| Address::parse(entry).is_ok_and(|address| !address.domain().is_empty());
        let text = self.read(name)?;
        Ok(text.map(|text| entries(&text).filter(is_address).map(str::to_owned).collect()))
    }

    /// Whether a list holds a value, in whatever case; none where there is no such list.
    pub(super) fn contains(&self, name: &str, value: &str) -> io::Result<Option<bool>> {
        let Some(text) = self.read(name)? else {
            return Ok(None);
        };
        let value = value.trim().to_lowercase();
        Ok(Some(entries(&text).any(|entry| entry.to_lowercase() == value)))
    }

    fn read(&self, name: &str) -> io::Result<Option<String>> {
        let Some(name) = file_name(name) else {
            return Ok(None);
        };
        for folder in &self.folders {
            let path = folder.join(name);
            if let Some(text) = read(&path).map_err(|error| at(&path, &error))? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

// RFC 6134: names are URIs, and tag: ones stand for themselves. Nothing here leads out of a folder.
fn file_name(name: &str) -> Option<&str> {
    if ADDRESS_BOOK.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Some(ADDRESS_BOOK_FILE);
    }
    let is_sign = |c: char| c.is_alphanumeric() || "-_.,:@+= ".contains(c);
    let fits = (1..=NAME_MAX).contains(&name.len()) && name.starts_with(char::is_alphanumeric);
    (fits && name.chars().all(is_sign)).then_some(name)
}

// `#` begins a comment at the start of a line and behind white space; some addresses have one within.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(uncommented).filter(|entry| !entry.is_empty())
}

fn uncommented(line: &str) -> &str {
    let starts = line.match_indices('#').map(|(at, _)| at);
    let comment = starts
        .into_iter()
        .find(|at| line[..*at].chars().next_back().is_none_or(char::is_whitespace));
    line[..comment.unwrap_or(line.len())].trim()
}

fn read(path: &Path) -> io::Result<Option<String>> {
    // A pipe would be waited for, so it is looked at before it is opened.
    match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => return Err(io::Error::other("it is no plain file")),
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::other(format!("it has more than {SIZE_MAX} bytes")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot read the list {}: {error}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Place {
        site: tempfile::TempDir,
        home: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Place {
            let place = Place {
                site: tempfile::tempdir().unwrap(),
                home: tempfile::tempdir().unwrap(),
            };
            fs::create_dir_all(place.home.path().join(OWN)).unwrap();
            place
        }

        fn own(&self, name: &str, text: &str) {
            fs::write(self.home.path().join(OWN).join(name), text).unwrap();
        }

        fn lists(&self) -> Lists {
            Lists::new(Some(self.site.path()), self.home.path())
        }
    }

    #[test]
    fn entries_are_found_in_any_case() {
        let place = Place::new();
        place.own(
            "friends",
            "# friends\r\nAnn@Example.org\r\n\n  bob@example.org   # the other one\na#b@example.org\nJörg\ntwo words\n",
        );
        let lists = place.lists();
        for (value, held) in [
            ("ann@example.org", true),
            (" ANN@example.ORG", true),
            ("bob@example.org", true),
            ("a#b@example.org", true),
            ("jörg", true),
            ("two words", true),
            ("# friends", false),
            ("friends", false),
            ("example.org", false),
            ("the other one", false),
            ("", false),
        ] {
            assert_eq!(lists.contains("friends", value).unwrap(), Some(held), "{value:?}");
        }
        let members = ["Ann@Example.org", "bob@example.org", "a#b@example.org"];
        assert_eq!(lists.members("friends").unwrap().unwrap(), members);
    }

    #[test]
    fn names_lead_nowhere_else() {
        let place = Place::new();
        place.own("addressbook", "ann@example.org\n");
        place.own("tag:example.org,2024:friends", "bob@example.org\n");
        fs::write(place.home.path().join("secret"), "x\n").unwrap();
        let lists = place.lists();
        for name in ADDRESS_BOOK.into_iter().chain([":ADDRBOOK:default", "addressbook"]) {
            assert_eq!(lists.contains(name, "ann@example.org").unwrap(), Some(true), "{name}");
        }
        let tag = "tag:example.org,2024:friends";
        assert_eq!(lists.contains(tag, "bob@example.org").unwrap(), Some(true));
        for name in [
            "",
            "missing",
            "../../secret",
            "/etc/passwd",
            ".",
            "..",
            ".hidden",
            "a/b",
            "a\0b",
            ":other",
            &"x".repeat(500),
        ] {
            assert_eq!(lists.contains(name, "x").unwrap(), None, "{name:?}");
            assert_eq!(lists.members(name).unwrap(), None, "{name:?}");
        }
    }

    #[test]
    fn nobody_puts_his_own_in_place_of_the_sites() {
        let place = Place::new();
        fs::write(place.site.path().join("blocked"), "eve@example.com\n").unwrap();
        place.own("blocked", "");
        assert_eq!(
            place.lists().contains("blocked", "eve@example.com").unwrap(),
            Some(true)
        );
        let without = Lists::new(None, place.home.path());
        assert_eq!(without.contains("blocked", "eve@example.com").unwrap(), Some(false));
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        let place = Place::new();
        let lists = place.lists();
        place.own("long", &"x\n".repeat(1 << 19));
        assert_eq!(lists.contains("long", "x").unwrap(), Some(true));
        place.own("long", &("x\n".repeat(1 << 19) + "x"));
        assert!(lists.contains("long", "x").unwrap_err().to_string().contains("long"));
        fs::create_dir(place.site.path().join("folder")).unwrap();
        assert!(lists.contains("folder", "x").is_err());
        place.own("broken", "\u{0}\n");
        fs::write(place.site.path().join("broken"), b"\xff\xfe\nann@example.org\n").unwrap();
        assert_eq!(lists.contains("broken", "ann@example.org").unwrap(), Some(true));
    }
}

//! `kind = "table"`: the accounts that a file lists, read again when it changes.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::accounts::{Accounts, TableSource};
use super::table_file::{TableError, TableFormat};
use super::{Directory, Found, LookupError, OpenError, Options};
use crate::mail::{Address, Cause};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// A file changed later than this before it was read may change again unseen.
const SETTLED: Duration = Duration::from_secs(2);

/// The accounts of a file.
///
/// The file is looked at when somebody asks, at most once a second. One that is
/// broken or gone leaves the accounts as they were and an error in the log.
pub struct Table {
    source: TableSource,
    interval: Duration,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    accounts: Arc<Accounts>,
    stamp: Option<Stamp>,
    checked: Instant,
}

/// What tells one version of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: (u64, u64),
    size: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    /// Whether it was long unchanged when it was read.
    settled: bool,
}

impl Table {
    /// Loads the file.
    ///
    /// # Errors
    /// [`TableError`] where it cannot be read, or names the line that is wrong.
    pub fn open(options: &Options, file: &Path, format: TableFormat, root: &Path) -> Result<Table, OpenError> {
        let source = TableSource::new(options, file, format, root);
        let stamp = Stamp::read(&source)?;
        let accounts = source.load()?;
        if let Some(address) = &source.postmaster
            && source.find_account(&accounts, address).is_none()
        {
            return Err(OpenError::Postmaster(address.clone()));
        }
        let loaded = Loaded {
            accounts: Arc::new(accounts),
            stamp: Some(stamp),
            checked: Instant::now(),
        };
        Ok(Table {
            source,
            interval: INTERVAL,
            loaded: Mutex::new(loaded),
        })
    }

    fn accounts(&self) -> Arc<Accounts> {
        // A thread that panicked here left the last good accounts behind.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.checked.elapsed() >= self.interval {
            self.refresh(&mut loaded);
            loaded.checked = Instant::now();
        }
        Arc::clone(&loaded.accounts)
    }

    fn refresh(&self, loaded: &mut Loaded) {
        let file = self.source.file.display();
        let stamp = match Stamp::read(&self.source) {
            Ok(stamp) => stamp,
            Err(error) => {
                if loaded.stamp.take().is_some() {
                    let cause = Cause::of(&error);
                    tracing::warn!("{cause}; the accounts stay as they were until it is back");
                }
                return;
            }
        };
        if loaded.stamp.is_some_and(|known| known.settled && known == stamp) {
            return;
        }
        let is_new = loaded.stamp.is_none_or(|known| !known.same_file(&stamp));
        match self.source.load() {
            Ok(accounts) => {
                if is_new {
                    tracing::info!("read {file} again: {} accounts", accounts.found.len());
                }
                loaded.accounts = Arc::new(accounts);
            }
            Err(error) if is_new => {
                let cause = Cause::of(&error);
                tracing::error!("{cause}; the accounts stay as they were until this is mended");
            }
            Err(_) => {}
        }
        loaded.stamp = Some(stamp);
    }
}

impl Directory for Table {
    fn find(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        Ok(self.source.find(&self.accounts(), address))
    }

    fn find_user(&self, user: &str) -> Result<Option<Found>, LookupError> {
        let Ok(address) = Address::parse(user) else {
            return Ok(None);
        };
        let accounts = self.accounts();
        let found = self.source.find(&accounts, &address);
        if found.is_some() || !address.domain().is_empty() {
            return Ok(found);
        }
        let local = self.source.matching.fold(address.local());
        let mut same = accounts
            .found
            .iter()
            .filter(|found| found.addresses[0].local() == local);
        let first = same.next();
        Ok(first.filter(|_| same.next().is_none()).cloned())
    }

    fn accounts(&self) -> Result<Option<Vec<Found>>, LookupError> {
        let mut all = Table::accounts(self).found.clone();
        all.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(Some(all))
    }
}

impl Stamp {
    fn read(source: &TableSource) -> Result<Stamp, TableError> {
        let metadata = fs::metadata(&source.file).map_err(|error| source.unreadable(error))?;
        Ok(Stamp::of(&metadata, SystemTime::now()))
    }

    fn of(metadata: &Metadata, now: SystemTime) -> Stamp {
        // A clock that was set back makes a file look new for a while: read it again then.
        let age = metadata.modified().ok().and_then(|time| now.duration_since(time).ok());
        Stamp {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            settled: age.is_some_and(|age| age > SETTLED),
        }
    }

    fn same_file(&self, other: &Stamp) -> bool {
        Stamp { settled: true, ..*self }
            == Stamp {
                settled: true,
                ..*other
            }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, folder_name::HOSTILE};
    use super::*;
    use crate::mail::Quota;

    const USERS: &str = r#"
["ann@example.org"]
quota = "1 GiB"
aliases = ["info@example.org", "@example.net"]
["bob@example.org"]
home = "elsewhere/bob"
aliases = ["a-b@example.org"]
"#;

    fn options(file: &Path, domains: &[&str]) -> Options {
        Options {
            source: Source::Table {
                file: file.to_owned(),
                format: TableFormat::Auto,
            },
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            delimiters: "+-".to_owned(),
            case_sensitive: false,
            postmaster: Some(Address::parse("bob@example.org").unwrap()),
            quota: Quota {
                bytes: Some(7),
                ..Quota::default()
            },
        }
    }

    fn open(file: &Path, domains: &[&str]) -> Result<Table, OpenError> {
        let mut options = options(file, domains);
        if !fs::read_to_string(file).is_ok_and(|text| text.contains("bob")) {
            options.postmaster = None;
        }
        let table = Table::open(&options, file, TableFormat::Auto, Path::new("/v"));
        table.map(|table| Table {
            interval: Duration::ZERO,
            ..table
        })
    }

    fn user(table: &Table, address: &str) -> Option<(String, Option<String>)> {
        let found = table.find(&Address::parse(address).expect(address)).unwrap()?;
        Some((found.user, found.detail))
    }

    #[test]
    fn finds() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        fs::write(&file, USERS).unwrap();
        let table = open(&file, &[]).unwrap();
        let (ann, bob) = ("ann@example.org", "bob@example.org");
        for (address, expected) in [
            ("Ann@Example.org", Some((ann, None))),
            ("ann+Lists@example.org", Some((ann, Some("Lists")))),
            ("info-x@example.org", Some((ann, Some("x")))),
            ("anyone+x@example.net", Some((ann, None))),
            ("a-b@example.org", Some((bob, None))),
            ("a-b-c@example.org", Some((bob, Some("c")))),
            ("a-c@example.org", None),
            ("postmaster", Some((bob, None))),
            ("postmaster@example.org", Some((bob, None))),
            ("postmaster@example.net", Some((bob, None))),
            ("postmaster@example.com", None),
            ("ann@example.com", None),
        ] {
            let expected = expected.map(|(user, detail)| (user.to_owned(), detail.map(str::to_owned)));
            assert_eq!(user(&table, address), expected, "{address}");
        }
        let mut wrong = options(&file, &[]);
        wrong.postmaster = Some(Address::parse("cy@example.org").unwrap());
        let opened = Table::open(&wrong, &file, TableFormat::Auto, Path::new("/v"));
        assert!(matches!(opened, Err(OpenError::Postmaster(_))));
        let found = table.find_user("ann").unwrap().unwrap();
        assert_eq!(found.home, Path::new("/v/example.org/ann"));
        assert_eq!(found.quota.bytes, Some(1 << 30));
        assert_eq!(found.addresses.len(), 2);
        let found = table.find_user("bob@example.org").unwrap().unwrap();
        assert_eq!(found.home, Path::new("/v/elsewhere/bob"));
        assert_eq!(found.quota.bytes, Some(7));
    }

    #[test]
    fn names_without_domain_are_in_all_domains() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users");
        fs::write(&file, "ann:x:1000:1000::/srv/ann:\n").unwrap();
        let table = open(&file, &["example.org", "example.net"]).unwrap();
        for address in ["ann@example.org", "ann@example.net"] {
            assert_eq!(user(&table, address), Some(("ann@example.org".to_owned(), None)));
        }
        let error = open(&file, &[]).err().unwrap().to_string();
        assert!(error.contains("users:1:") && error.contains("domains"), "{error}");
    }

    #[test]
    fn reads_again_and_keeps_the_old_when_broken_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        fs::write(&file, "[\"ann@example.org\"]").unwrap();
        let table = open(&file, &[]).unwrap();
        assert!(user(&table, "ann@example.org").is_some());
        fs::write(&file, "[\"bob@example.org\"]").unwrap();
        assert!(user(&table, "ann@example.org").is_none());
        assert!(user(&table, "bob@example.org").is_some());
        fs::write(&file, "[\"cy@example.org\"").unwrap();
        assert!(user(&table, "bob@example.org").is_some(), "a broken file");
        fs::remove_file(&file).unwrap();
        assert!(user(&table, "bob@example.org").is_some(), "no file");
        fs::write(&file, "[\"cy@example.org\"]").unwrap();
        assert!(user(&table, "cy@example.org").is_some());
    }

    #[test]
    fn a_table_that_never_loaded_is_an_error_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        assert!(matches!(
            open(&file, &[]),
            Err(OpenError::Table(TableError::Unreadable { .. }))
        ));
        for (text, line) in [
            ("[\"ann@example.org\"]\n[\"Ann@example.org\"]", 2),
            (
                "[\"ann@example.org\"]\nhome=\"x\"\n[\"bob@example.org\"]\nhome=\"x\"",
                3,
            ),
            ("[\"ann@example.org\"]\nhome=\"../x\"", 1),
            ("[\"ann@example.org\"]\nhome=\"\"", 1),
            ("\n[\"../x@example.org\"]", 2),
            ("\n[\"not an address@\"]", 2),
            ("[\"ann@example.org\"]\naliases=[\"@../x\"]", 1),
        ] {
            fs::write(&file, text).unwrap();
            let error = open(&file, &[]).err().expect(text).to_string();
            assert!(error.contains(&format!("users.toml:{line}:")), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_names_are_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("users.toml");
        fs::write(&file, USERS).unwrap();
        let table = open(&file, &[]).unwrap();
        for name in HOSTILE {
            assert_eq!(table.find_user(name).unwrap(), None, "{name:?}");
            assert_eq!(
                table.find_user(&format!("{name}@example.org")).unwrap(),
                None,
                "{name:?}"
            );
        }
    }
}

//! `kind = "table"`: the accounts that a file lists, read again when it changes.

use std::path::Path;
use std::sync::Arc;

use super::accounts::{Accounts, TableSource};
use super::password::PasswordField;
use super::table_file::{TableError, TableFormat};
use super::watched::Watched;
use super::{Directory, Found, LookupError, OpenError, Options};
use crate::mail::Address;

/// The accounts of a file.
///
/// The file is looked at when somebody asks, at most once a second. One that is
/// broken or gone leaves the accounts as they were and an error in the log.
pub struct Table {
    source: TableSource,
    watched: Watched<Accounts>,
}

impl Table {
    /// Loads the file.
    ///
    /// # Errors
    /// [`TableError`] where it cannot be read, or names the line that is wrong.
    pub fn open(options: &Options, file: &Path, format: TableFormat, root: &Path) -> Result<Table, OpenError> {
        let table = Table {
            source: TableSource::new(options, file, format, root),
            watched: Watched::new(file),
        };
        let accounts = table.load()?;
        match &table.source.postmaster {
            Some(address) if table.source.find_account(&accounts, address).is_none() => {
                Err(OpenError::Postmaster(address.clone()))
            }
            _ => Ok(table),
        }
    }

    fn load(&self) -> Result<Arc<Accounts>, TableError> {
        self.watched.get(|text| self.source.read(text))
    }

    // It was loaded when the table was opened, and what was loaded once stays.
    fn accounts(&self) -> Result<Arc<Accounts>, LookupError> {
        self.load().map_err(LookupError::Table)
    }

    fn find_user_in(&self, accounts: &Accounts, user: &str) -> Option<Found> {
        let address = Address::parse(user).ok()?;
        let found = self.source.find(accounts, &address);
        if found.is_some() || !address.domain().is_empty() {
            return found;
        }
        let local = self.source.matching.fold(address.local());
        let mut same = accounts
            .found
            .iter()
            .filter(|found| found.addresses[0].local() == local);
        let first = same.next();
        first.filter(|_| same.next().is_none()).cloned()
    }
}

impl Directory for Table {
    fn find(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        Ok(self.source.find(&*self.accounts()?, address))
    }

    fn find_user(&self, user: &str) -> Result<Option<Found>, LookupError> {
        Ok(self.find_user_in(&*self.accounts()?, user))
    }

    fn accounts(&self) -> Result<Option<Vec<Found>>, LookupError> {
        let mut all = Table::accounts(self)?.found.clone();
        all.sort_by(|a, b| a.user.cmp(&b.user));
        Ok(Some(all))
    }

    fn authenticate(&self, user: &str, password: &str) -> Result<Option<Found>, LookupError> {
        let accounts = self.accounts()?;
        let found = self.find_user_in(&accounts, user);
        let field = found.as_ref().and_then(|found| accounts.password(&found.user));
        let opens = PasswordField::opens(field, &accounts.decoy, user, password);
        Ok(found.filter(|_| opens))
    }

    fn logins(&self) -> Result<usize, LookupError> {
        Ok(self.accounts()?.logins())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

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
        let mut table = Table::open(&options, file, TableFormat::Auto, Path::new("/v"))?;
        table.watched.interval = Duration::ZERO;
        Ok(table)
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

    #[test]
    fn knows_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let toml = folder.path().join("users.toml");
        let text =
            "[\"ann@example.org\"]\npassword = \"{PLAIN}a\"\naliases = [\"info@example.org\"]\n[\"bob@example.org\"]\n";
        fs::write(&toml, text).unwrap();
        let lines = folder.path().join("users");
        fs::write(
            &lines,
            "ann@example.org:{PLAIN}a::::::aliases=info@example.org\nbob@example.org:{SSHA}b\n",
        )
        .unwrap();
        for file in [toml, lines] {
            let table = open(&file, &[]).unwrap();
            assert_eq!(table.logins().unwrap(), 1);
            let opens = |user: &str, password: &str| {
                let found = table.authenticate(user, password).unwrap();
                found.map(|found| found.user)
            };
            for user in ["ann@example.org", "Ann", "info@example.org"] {
                assert_eq!(opens(user, "a").as_deref(), Some("ann@example.org"), "{user}");
                assert_eq!(opens(user, "b"), None, "{user}");
            }
            for user in ["bob", "eve", "", "not an address@"] {
                for password in ["a", "b", "", "{SSHA}b"] {
                    assert_eq!(opens(user, password), None, "{user}");
                }
            }
        }
        fs::write(
            folder.path().join("users.toml"),
            "[\"ann@example.org\"]\npassword = \"secret\"",
        )
        .unwrap();
        let error = open(&folder.path().join("users.toml"), &[]).err().unwrap().to_string();
        assert!(error.contains("users.toml:2:") && !error.contains("secret"), "{error}");
    }
}

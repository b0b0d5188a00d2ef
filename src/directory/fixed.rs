//! `kind = "static"`: domains, with any user or a list of them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::matching::{Candidate, Matching, fold_domain, is_postmaster};
use super::passwords::Passwords;
use super::{Directory, FolderName, Found, LookupError, OpenError, Options, Source};
use crate::mail::{Address, Quota};

/// Users whose home is `{root}/{domain}/{local}`.
pub struct Static {
    root: PathBuf,
    matching: Matching,
    domains: Vec<FolderName>,
    users: Option<HashSet<(String, String)>>,
    passwords: Option<Passwords>,
    postmaster: Option<Address>,
    quota: Quota,
}

impl Static {
    /// Takes the settings; homes lie below `root`.
    ///
    /// # Errors
    /// [`OpenError`] where there is no domain, or one that cannot be a folder.
    pub fn open(options: &Options, root: &Path) -> Result<Static, OpenError> {
        let domain = |text: &String| {
            let checked = FolderName::domain(&fold_domain(text));
            checked.ok_or_else(|| OpenError::Domain(text.clone()))
        };
        let domains: Vec<FolderName> = options.domains.iter().map(domain).collect::<Result<_, _>>()?;
        if domains.is_empty() {
            return Err(OpenError::NoDomains);
        }
        let matching = Matching::new(options);
        let (users, passwords) = match &options.source {
            Source::Static { users, passwords } => (users.as_ref(), passwords.as_ref()),
            _ => (None, None),
        };
        let users = users.map(|users| listed(users, &domains, &matching)).transpose()?;
        let directory = Static {
            root: root.to_owned(),
            passwords: passwords.map(|file| Passwords::new(file, matching.clone())),
            matching,
            domains,
            users,
            postmaster: options.postmaster.clone(),
            quota: options.quota.clone(),
        };
        match &options.postmaster {
            Some(address) if directory.postmaster().is_none() => Err(OpenError::Postmaster(address.clone())),
            _ => Ok(directory),
        }
    }

    fn find_in(&self, local: &str, domain: &str) -> Option<Found> {
        let folded = fold_domain(domain);
        let folder = self.domains.iter().find(|known| known.as_str() == folded)?;
        let candidate = match &self.users {
            None => self.matching.first_cut(local)?,
            Some(users) => {
                let listed = |c: &Candidate| users.contains(&(c.local.clone(), folded.clone()));
                self.matching.candidates(local).into_iter().find(listed)?
            }
        };
        self.found(candidate, folder)
    }

    fn found(&self, candidate: Candidate, domain: &FolderName) -> Option<Found> {
        let local = FolderName::local_part(&candidate.local)?;
        // The domain is the account's, so only the local part can fail to be an address.
        let with_domain = Address::parse(&format!("a@{}", domain.as_str())).ok()?;
        let address = with_domain.with_local(local.as_str()).ok()?;
        Some(Found {
            user: address.to_string(),
            home: local.below(&domain.below(&self.root)),
            detail: candidate.detail,
            quota: self.quota.clone(),
            addresses: vec![address],
        })
    }

    // The users whose home is there.
    fn homes(&self) -> Result<Vec<Found>, LookupError> {
        let mut found = Vec::new();
        for domain in &self.domains {
            let folder = domain.below(&self.root);
            let unlisted = |source| LookupError::Unlisted {
                place: folder.clone(),
                source,
            };
            let entries = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries.map_err(unlisted)?,
            };
            for entry in entries {
                let entry = entry.map_err(unlisted)?;
                let name = entry.file_name();
                let of_user = name.to_str().and_then(|name| self.find_in(name, domain.as_str()));
                // A folder whose name is read otherwise, as `ann+lists` is ann's, is nobody's home.
                found.extend(of_user.filter(|of_user| of_user.home == entry.path() && of_user.home.is_dir()));
            }
        }
        Ok(found)
    }

    fn passwords(&self) -> Result<&Passwords, LookupError> {
        let without = "[directory] has no passwords; write passwords = \"/etc/postroom/passwords\", with a user:hash in \
                       each line";
        self.passwords.as_ref().ok_or(LookupError::NoPasswords(without))
    }

    // RFC 5321 §4.5.1: `postmaster` must exist in every domain, and without one.
    fn postmaster(&self) -> Option<Found> {
        match &self.postmaster {
            Some(address) => self.find_in(address.local(), address.domain()),
            None => self.find_in("postmaster", self.domains.first()?.as_str()),
        }
    }

    fn has_domain(&self, domain: &str) -> bool {
        let folded = fold_domain(domain);
        self.domains.iter().any(|known| known.as_str() == folded)
    }
}

impl Directory for Static {
    fn find(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        let (local, domain) = (address.local(), address.domain());
        if is_postmaster(local) && (domain.is_empty() || self.postmaster.is_some() && self.has_domain(domain)) {
            let own = self.users.as_ref().and_then(|_| self.find_in(local, domain));
            return Ok(own.or_else(|| self.postmaster()));
        }
        Ok(self.find_in(local, domain))
    }

    fn answers_at_once(&self) -> bool {
        true
    }

    fn find_user(&self, user: &str) -> Result<Option<Found>, LookupError> {
        let Ok(address) = Address::parse(user) else {
            return Ok(None);
        };
        let found = self.find(&address)?;
        if found.is_some() || !address.domain().is_empty() {
            return Ok(found);
        }
        let everywhere = self.domains.iter();
        let mut found = everywhere.filter_map(|domain| self.find_in(address.local(), domain.as_str()));
        let first = found.next();
        Ok(first.filter(|_| found.next().is_none()))
    }

    fn accounts(&self) -> Result<Option<Vec<Found>>, LookupError> {
        let mut all = match &self.users {
            Some(users) => users
                .iter()
                .filter_map(|(local, domain)| self.find_in(local, domain))
                .collect(),
            None => self.homes()?,
        };
        all.sort_by(|a: &Found, b| a.user.cmp(&b.user));
        Ok(Some(all))
    }

    fn authenticate(&self, user: &str, password: &str) -> Result<Option<Found>, LookupError> {
        let found = self.find_user(user)?;
        self.passwords()?.open(found, user, password)
    }

    fn logins(&self) -> Result<usize, LookupError> {
        self.passwords()?.count()
    }
}

fn listed(
    users: &[String],
    domains: &[FolderName],
    matching: &Matching,
) -> Result<HashSet<(String, String)>, OpenError> {
    let mut known = HashSet::new();
    for user in users {
        let wrong = || OpenError::User(user.clone());
        let address = Address::parse(user).map_err(|_| wrong())?;
        let (local, domain) = matching.key(&address);
        FolderName::local_part(&local).ok_or_else(wrong)?;
        let of_user = |name: &&FolderName| domain.is_empty() || name.as_str() == domain;
        let mut of_user = domains.iter().filter(of_user).peekable();
        of_user.peek().ok_or_else(wrong)?;
        known.extend(of_user.map(|name| (local.clone(), name.as_str().to_owned())));
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::super::folder_name::HOSTILE;
    use super::*;

    fn options(domains: &[&str], users: Option<&[&str]>) -> Options {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Options {
            source: Source::Static {
                users: users.map(owned),
                passwords: None,
            },
            domains: owned(domains),
            delimiters: "+".to_owned(),
            case_sensitive: false,
            postmaster: None,
            quota: Quota::default(),
        }
    }

    fn home(directory: &Static, address: &str) -> Option<String> {
        let found = directory.find(&Address::parse(address).expect(address)).unwrap()?;
        Some(found.home.to_str().unwrap().to_owned())
    }

    #[test]
    fn any_user() {
        let directory = Static::open(&options(&["Example.org", "localhost"], None), Path::new("/v")).unwrap();
        for (address, expected) in [
            ("ann@example.org", Some("/v/example.org/ann")),
            ("Ann@EXAMPLE.ORG", Some("/v/example.org/ann")),
            ("ann+lists@example.org", Some("/v/example.org/ann")),
            ("jörg@localhost", Some("/v/localhost/jörg")),
            ("postmaster", Some("/v/example.org/postmaster")),
            ("PostMaster@localhost", Some("/v/localhost/postmaster")),
            ("ann@example.com", None),
            ("ann", None),
            ("+x@example.org", None),
        ] {
            assert_eq!(home(&directory, address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn a_list_of_users() {
        let mut options = options(&["example.org", "example.net"], Some(&["ann", "Bob@example.net"]));
        options.postmaster = Some(Address::parse("ann@example.org").unwrap());
        let directory = Static::open(&options, Path::new("/v")).unwrap();
        for (address, expected) in [
            ("ann@example.net", Some("/v/example.net/ann")),
            ("bob+x@example.net", Some("/v/example.net/bob")),
            ("bob@example.org", None),
            ("eve@example.org", None),
            ("postmaster", Some("/v/example.org/ann")),
            ("postmaster@example.net", Some("/v/example.org/ann")),
            ("postmaster@example.com", None),
        ] {
            assert_eq!(home(&directory, address).as_deref(), expected, "{address}");
        }
    }

    #[test]
    fn all_accounts() {
        let root = tempfile::tempdir().unwrap();
        for folder in [
            "example.org/ann",
            "example.org/Bob",
            "example.org/ann+lists",
            "localhost/ann",
            "other/eve",
        ] {
            fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("example.org/file"), "").unwrap();
        let names = |users: Option<&[&str]>| {
            let options = options(&["example.org", "localhost", "example.net"], users);
            let all = Static::open(&options, root.path())
                .unwrap()
                .accounts()
                .unwrap()
                .unwrap();
            all.into_iter().map(|found| found.user).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["ann@example.org", "ann@localhost"], "those with a home");
        assert_eq!(
            names(Some(&["zoe@localhost", "ann"])),
            ["ann@example.net", "ann@example.org", "ann@localhost", "zoe@localhost"]
        );
        fs::write(root.path().join("example.net"), "").unwrap();
        let directory = Static::open(&options(&["example.net"], None), root.path()).unwrap();
        assert!(matches!(directory.accounts(), Err(LookupError::Unlisted { .. })));
    }

    #[test]
    fn users_by_name() {
        let options = options(&["example.org", "example.net"], Some(&["ann", "bob@example.net"]));
        let directory = Static::open(&options, Path::new("/v")).unwrap();
        let user = |name| directory.find_user(name).unwrap().map(|found| found.user);
        assert_eq!(user("bob").as_deref(), Some("bob@example.net"));
        assert_eq!(user("Ann@example.org").as_deref(), Some("ann@example.org"));
        assert_eq!(user("ann"), None, "two domains have it");
        assert_eq!(user("not an address"), None);
    }

    #[test]
    fn hostile_local_parts_are_unknown() {
        let directory = Static::open(&options(&["example.org"], None), Path::new("/v")).unwrap();
        let domain = Address::parse("a@example.org").unwrap();
        for name in HOSTILE {
            // With a detail too: what is left after the cut is what counts.
            for local in [(*name).to_owned(), format!("{name}+detail")] {
                if let Ok(address) = domain.with_local(&local) {
                    assert_eq!(directory.find(&address).unwrap(), None, "{local:?}");
                }
            }
            assert_eq!(directory.find_user(name).unwrap(), None, "{name:?}");
            assert_eq!(
                directory.find_user(&format!("{name}@example.org")).unwrap(),
                None,
                "{name:?}"
            );
        }
    }

    #[test]
    fn refuses_bad_settings() {
        for (domains, users) in [
            (&[][..], None),
            (&["../x"][..], None),
            (&["example.org"][..], Some(&["../ann"][..])),
            (&["example.org"][..], Some(&["ann@example.com"][..])),
        ] {
            assert!(Static::open(&options(domains, users), Path::new("/v")).is_err());
        }
        let mut options = options(&["example.org"], Some(&["ann"]));
        options.postmaster = Some(Address::parse("bob@example.org").unwrap());
        let opened = Static::open(&options, Path::new("/v"));
        assert!(matches!(opened, Err(OpenError::Postmaster(_))));
    }

    #[test]
    fn knows_passwords() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwords");
        let mut options = options(&["example.org", "example.net"], None);
        let without = Static::open(&options, Path::new("/v")).unwrap();
        assert!(matches!(
            without.authenticate("ann", "x"),
            Err(LookupError::NoPasswords(_))
        ));
        options.source = Source::Static {
            users: Some(vec!["ann".to_owned(), "bob@example.org".to_owned()]),
            passwords: Some(file.clone()),
        };
        let directory = Static::open(&options, Path::new("/v")).expect("the file is not read yet");
        assert!(matches!(directory.logins(), Err(LookupError::Passwords(_))));
        fs::write(
            &file,
            "ann:{PLAIN}a\nann@example.net:{PLAIN}n\nbob:{PLAIN}b\neve:{PLAIN}e\n",
        )
        .unwrap();
        assert_eq!(directory.logins().unwrap(), 4);
        for (user, password, expected) in [
            ("ann@example.org", "a", Some("ann@example.org")),
            ("Ann@example.org", "n", None),
            ("ann@example.net", "n", Some("ann@example.net")),
            ("ann@example.net", "a", None),
            ("ann", "a", None),
            ("bob", "b", Some("bob@example.org")),
            ("bob+detail@example.org", "b", Some("bob@example.org")),
            ("bob@example.net", "b", None),
            ("eve@example.org", "e", None),
            ("bob", "", None),
        ] {
            let found = directory.authenticate(user, password).unwrap();
            assert_eq!(found.map(|found| found.user).as_deref(), expected, "{user} {password}");
        }
    }
}

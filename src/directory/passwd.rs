//! `kind = "passwd"`: the accounts of the system, through NSS.

use nix::unistd::{User, geteuid};

use super::matching::{Matching, fold_domain, is_postmaster};
use super::{Directory, FolderName, Found, LookupError, Options};
use crate::mail::{Address, Quota};

/// System accounts; for `deliver`, which runs as the user whose mail it is.
///
/// A lookup of any other account than the one that the process runs as is an
/// error: its mail would get the wrong owner.
pub struct Passwd {
    matching: Matching,
    domains: Vec<String>,
    postmaster: Option<Address>,
    quota: Quota,
    minimum_uid: u32,
}

/// The process runs as another user than the one whose mail it is.
#[derive(Debug, thiserror::Error)]
#[error(
    "this process runs as uid {effective}, but the mail belongs to {user} (uid {uid}); run `postroom deliver` as {user}"
)]
struct WrongUser {
    effective: u32,
    user: String,
    uid: u32,
}

impl Passwd {
    /// Takes the settings; accounts with a lower user id than `minimum_uid` get no mail.
    #[must_use]
    pub fn open(options: &Options, minimum_uid: u32) -> Passwd {
        Passwd {
            matching: Matching::new(options),
            domains: options.domains.iter().map(|domain| fold_domain(domain)).collect(),
            postmaster: options.postmaster.clone(),
            quota: options.quota.clone(),
            minimum_uid,
        }
    }

    fn find_local(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        if let Some(found) = self.find_as_written(address.local())? {
            return Ok(Some(found));
        }
        for candidate in self.matching.candidates(address.local()) {
            if let Some(user) = self.account(&candidate.local, address)? {
                return self.found(user, candidate.detail).map(Some);
            }
        }
        Ok(None)
    }

    // System names may have capitals even where case does not matter.
    fn find_as_written(&self, local: &str) -> Result<Option<Found>, LookupError> {
        let Ok(address) = Address::parse("a").and_then(|any| any.with_local(local)) else {
            return Ok(None);
        };
        match self.account(local, &address)? {
            Some(user) => self.found(user, None).map(Some),
            None => Ok(None),
        }
    }

    fn account(&self, name: &str, address: &Address) -> Result<Option<User>, LookupError> {
        if FolderName::local_part(name).is_none() || name.contains(':') {
            return Ok(None);
        }
        let user = User::from_name(name).map_err(|errno| unreadable(address.to_string(), errno))?;
        let user = user.filter(|user| user.uid.as_raw() >= self.minimum_uid && user.dir.is_absolute());
        Ok(user)
    }

    fn found(&self, user: User, detail: Option<String>) -> Result<Found, LookupError> {
        let effective = geteuid();
        if effective != user.uid {
            let wrong = WrongUser {
                effective: effective.as_raw(),
                user: user.name.clone(),
                uid: user.uid.as_raw(),
            };
            return Err(unreadable(user.name, wrong));
        }
        let in_domain = |domain: &String| Address::parse(&format!("a@{domain}"))?.with_local(&user.name);
        let mut addresses: Vec<Address> = self
            .domains
            .iter()
            .filter_map(|domain| in_domain(domain).ok())
            .collect();
        if addresses.is_empty() {
            let bare = Address::parse("a").and_then(|any| any.with_local(&user.name));
            addresses.extend(bare);
        }
        Ok(Found {
            home: user.dir,
            detail,
            quota: self.quota.clone(),
            addresses,
            user: user.name,
        })
    }
}

impl Directory for Passwd {
    fn find(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        let domain = fold_domain(address.domain());
        if !domain.is_empty() && !self.domains.contains(&domain) {
            return Ok(None);
        }
        match &self.postmaster {
            Some(postmaster) if is_postmaster(address.local()) => self.find_local(postmaster),
            _ => self.find_local(address),
        }
    }

    fn find_user(&self, user: &str) -> Result<Option<Found>, LookupError> {
        Address::parse(user).map_or(Ok(None), |address| self.find(&address))
    }

    /// Each lookup must run as its user, so nobody can ask about all.
    fn accounts(&self) -> Result<Option<Vec<Found>>, LookupError> {
        Ok(None)
    }

    // The hashes of the system are root's to read, and we are the user.
    fn authenticate(&self, _: &str, _: &str) -> Result<Option<Found>, LookupError> {
        Err(LookupError::NoPasswords(
            "[directory] kind = \"passwd\" has no passwords, since the system's are for root alone; \
             choose `static` with `passwords`, or `table`",
        ))
    }

    fn logins(&self) -> Result<usize, LookupError> {
        self.authenticate("", "").map(|_| 0)
    }
}

fn unreadable(address: String, cause: impl std::error::Error + Send + Sync + 'static) -> LookupError {
    LookupError::Unreadable {
        address,
        source_name: "the system's accounts".to_owned(),
        cause: Box::new(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Source, folder_name::HOSTILE};
    use super::*;

    fn passwd(minimum_uid: u32) -> Passwd {
        let options = Options {
            source: Source::Passwd { minimum_uid },
            domains: vec!["example.org".to_owned()],
            delimiters: "+".to_owned(),
            case_sensitive: false,
            postmaster: None,
            quota: Quota::default(),
        };
        Passwd::open(&options, minimum_uid)
    }

    #[test]
    fn finds_the_user_that_it_runs_as() {
        // Some containers run tests as a user id without an account.
        let Ok(Some(me)) = User::from_uid(geteuid()) else {
            return;
        };
        let directory = passwd(0);
        for (name, detail) in [
            (me.name.clone(), None),
            (format!("{}+Lists", me.name), Some("Lists")),
            (format!("{}+Lists@example.org", me.name), Some("Lists")),
        ] {
            let found = directory.find_user(&name).unwrap().expect(&name);
            assert_eq!(
                (found.user.as_str(), found.home.as_path()),
                (me.name.as_str(), me.dir.as_path())
            );
            assert_eq!(found.detail.as_deref(), detail);
            assert_eq!(found.addresses[0].to_string(), format!("{}@example.org", me.name));
        }
        assert_eq!(directory.find_user(&format!("{}@example.com", me.name)).unwrap(), None);
        assert_eq!(passwd(u32::MAX).find_user(&me.name).unwrap(), None, "below the minimum");
    }

    #[test]
    fn another_users_mail_is_an_error_and_not_unknown() {
        let others = ["nobody", "daemon", "bin"];
        let other = others.into_iter().find_map(|name| User::from_name(name).ok().flatten());
        if let Some(other) = other.filter(|other| other.uid != geteuid() && other.dir.is_absolute()) {
            let error = passwd(0).find_user(&other.name).unwrap_err();
            let cause = crate::mail::Cause::of(&error).to_string();
            assert!(cause.contains("run `postroom deliver` as"), "{cause}");
        }
    }

    #[test]
    fn hostile_names_are_unknown() {
        for name in HOSTILE.iter().copied().chain(["a:b", "no-such-user"]) {
            assert_eq!(passwd(0).find_user(name).unwrap(), None, "{name:?}");
        }
    }
}

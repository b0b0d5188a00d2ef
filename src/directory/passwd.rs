//! `kind = "passwd"`: the accounts of the system, through NSS.

use std::io;
use std::path::PathBuf;

use nix::unistd::{User, geteuid};

use super::matching::{Matching, fold_domain, is_postmaster};
use super::{Directory, FolderName, Found, LookupError, Options};
use crate::mail::{Address, Quota};

/// An account of the system, as passwd(5) has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemAccount {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its main group.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
}

/// Who knows the accounts of the system.
pub trait SystemAccounts: Send + Sync {
    /// The account of a name; none where there is none, or none that gets mail.
    ///
    /// # Errors
    /// Where it cannot be told now, or the mail of this account is not for this process to write.
    fn account(&self, name: &str) -> io::Result<Option<SystemAccount>>;
}

/// NSS, for a process that runs as the user whose mail it is, as `deliver` does.
///
/// Any other account than that is an error: its mail would get the wrong owner.
#[derive(Clone, Copy, Debug)]
pub struct Own {
    /// Accounts with a lower user id get no mail.
    pub minimum_uid: u32,
}

impl SystemAccount {
    /// The account of a name, by NSS; none where there is none, where its user id is lower than `minimum_uid`, or where
    /// it has no home.
    ///
    /// # Errors
    /// What NSS says.
    pub fn find(name: &str, minimum_uid: u32) -> io::Result<Option<SystemAccount>> {
        let user = User::from_name(name)?;
        let user = user.filter(|user| user.uid.as_raw() >= minimum_uid && user.dir.is_absolute());
        Ok(user.map(|user| SystemAccount {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
        }))
    }
}

impl SystemAccounts for Own {
    fn account(&self, name: &str) -> io::Result<Option<SystemAccount>> {
        let Some(account) = SystemAccount::find(name, self.minimum_uid)? else {
            return Ok(None);
        };
        let effective = geteuid().as_raw();
        match effective == account.uid {
            true => Ok(Some(account)),
            false => Err(io::Error::other(WrongUser {
                effective,
                user: account.name,
                uid: account.uid,
            })),
        }
    }
}

/// One account alone, for the process that delivers for it: who it is was decided before.
impl SystemAccounts for SystemAccount {
    // NSS may know a name in any case, and answer the one that it has.
    fn account(&self, name: &str) -> io::Result<Option<SystemAccount>> {
        Ok(name.eq_ignore_ascii_case(&self.name).then(|| self.clone()))
    }
}

/// System accounts, as [`SystemAccounts`] tells of them.
pub struct Passwd {
    accounts: Box<dyn SystemAccounts>,
    matching: Matching,
    domains: Vec<String>,
    postmaster: Option<Address>,
    quota: Quota,
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
    /// Takes the settings.
    #[must_use]
    pub fn open(options: &Options, accounts: Box<dyn SystemAccounts>) -> Passwd {
        Passwd {
            accounts,
            matching: Matching::new(options),
            domains: options.domains.iter().map(|domain| fold_domain(domain)).collect(),
            postmaster: options.postmaster.clone(),
            quota: options.quota.clone(),
        }
    }

    fn find_local(&self, address: &Address) -> Result<Option<Found>, LookupError> {
        if let Some(found) = self.find_as_written(address.local())? {
            return Ok(Some(found));
        }
        for candidate in self.matching.candidates(address.local()) {
            if let Some(account) = self.account(&candidate.local, address)? {
                return Ok(Some(self.found(account, candidate.detail)));
            }
        }
        Ok(None)
    }

    // System names may have capitals even where case does not matter.
    fn find_as_written(&self, local: &str) -> Result<Option<Found>, LookupError> {
        let Ok(address) = Address::parse("a").and_then(|any| any.with_local(local)) else {
            return Ok(None);
        };
        let account = self.account(local, &address)?;
        Ok(account.map(|account| self.found(account, None)))
    }

    fn account(&self, name: &str, address: &Address) -> Result<Option<SystemAccount>, LookupError> {
        if FolderName::local_part(name).is_none() || name.contains(':') {
            return Ok(None);
        }
        let account = self.accounts.account(name);
        account.map_err(|cause| LookupError::Unreadable {
            address: address.to_string(),
            source_name: "the system's accounts".to_owned(),
            cause: Box::new(cause),
        })
    }

    fn found(&self, account: SystemAccount, detail: Option<String>) -> Found {
        let in_domain = |domain: &String| Address::parse(&format!("a@{domain}"))?.with_local(&account.name);
        let mut addresses: Vec<Address> = self
            .domains
            .iter()
            .filter_map(|domain| in_domain(domain).ok())
            .collect();
        if addresses.is_empty() {
            let bare = Address::parse("a").and_then(|any| any.with_local(&account.name));
            addresses.extend(bare);
        }
        Found {
            home: account.home,
            detail,
            quota: self.quota.clone(),
            addresses,
            user: account.name,
        }
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
        Passwd::open(&options, Box::new(Own { minimum_uid }))
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

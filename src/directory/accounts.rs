//! The accounts of a table: entries of a file, checked against one another.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::matching::{Matching, fold_domain, is_postmaster};
use super::password::{PasswordField, PasswordHash};
use super::table_file::{Entry, Fault, TableError, TableFormat, parse};
use super::watched::Content;
use super::{FolderName, Found, Options};
use crate::mail::{Address, Quota};

/// Where the accounts come from and how they are understood.
pub(super) struct TableSource {
    file: PathBuf,
    format: TableFormat,
    root: PathBuf,
    domains: Vec<String>,
    pub matching: Matching,
    pub postmaster: Option<Address>,
    quota: Quota,
}

pub(super) struct Accounts {
    pub found: Vec<Found>,
    /// By the name of the account.
    passwords: HashMap<String, PasswordField>,
    /// What the passwords of unknown users are held against: some account's hash, so that it takes as long.
    pub decoy: PasswordHash,
    by_address: HashMap<(String, String), usize>,
    catch_all: HashMap<String, usize>,
    domains: HashSet<String>,
}

impl TableSource {
    /// Takes the settings.
    pub fn new(options: &Options, file: &Path, format: TableFormat, root: &Path) -> TableSource {
        TableSource {
            file: file.to_owned(),
            format,
            root: root.to_owned(),
            domains: options.domains.iter().map(|domain| fold_domain(domain)).collect(),
            matching: Matching::new(options),
            postmaster: options.postmaster.clone(),
            quota: options.quota.clone(),
        }
    }

    /// Reads the text of the file.
    pub fn read(&self, text: &str) -> Result<Accounts, TableError> {
        self.accounts(text).map_err(|(line, what)| TableError::Line {
            file: self.file.clone(),
            line,
            what,
        })
    }

    fn accounts(&self, text: &str) -> Result<Accounts, Fault> {
        let entries = parse(&self.file, self.format, text)?;
        let mut accounts = Accounts::new(entries.iter().find_map(|entry| entry.password.hash()));
        let mut homes = HashSet::new();
        for entry in entries {
            let found = self.account(&entry).map_err(|what| (entry.line, what))?;
            if !homes.insert(found.home.clone()) {
                let what = format!("the home {} is another account's already", found.home.display());
                return Err((entry.line, what));
            }
            accounts.passwords.insert(found.user.clone(), entry.password.clone());
            self.add(&mut accounts, found, &entry)
                .map_err(|what| (entry.line, what))?;
        }
        Ok(accounts)
    }

    fn account(&self, entry: &Entry) -> Result<Found, String> {
        let address = self.main_address(&entry.address)?;
        let limit = |own: Option<Option<u64>>, default| own.unwrap_or(default);
        Ok(Found {
            user: address.to_string(),
            home: self.home(entry, &address)?,
            detail: None,
            quota: Quota {
                bytes: limit(entry.quota, self.quota.bytes),
                messages: limit(entry.quota_messages, self.quota.messages),
                // The first that matches counts, so the account's own come first.
                rules: entry.rules.iter().chain(&self.quota.rules).cloned().collect(),
            },
            addresses: vec![address],
        })
    }

    fn main_address(&self, text: &str) -> Result<Address, String> {
        let address = Address::parse(text).map_err(|error| format!("{text:?} is no address: {error}"))?;
        let (local, domain) = self.matching.key(&address);
        let domain = if domain.is_empty() {
            let main = self.domains.first();
            main.cloned().ok_or_else(|| {
                format!("{text:?} has no domain; write {text}@example.org, or set `domains` in [directory]")
            })?
        } else {
            domain
        };
        let in_domain = Address::parse(&format!("a@{domain}")).and_then(|address| address.with_local(&local));
        in_domain.map_err(|error| format!("{text:?} is no address: {error}"))
    }

    fn home(&self, entry: &Entry, address: &Address) -> Result<PathBuf, String> {
        let Some(home) = &entry.home else {
            let folders = FolderName::domain(address.domain()).zip(FolderName::local_part(address.local()));
            let (domain, local) =
                folders.ok_or_else(|| format!("{address} cannot be a folder's name; give the account a home"))?;
            return Ok(local.below(&domain.below(&self.root)));
        };
        let steps = Path::new(home).components();
        if home.contains('\0') || steps.clone().any(|step| step == Component::ParentDir) || steps.count() == 0 {
            return Err(format!("{home:?} is no home: write a path without \"..\""));
        }
        Ok(self.root.join(home))
    }

    fn add(&self, accounts: &mut Accounts, mut found: Found, entry: &Entry) -> Result<(), String> {
        let at = accounts.found.len();
        let main = found.addresses[0].clone();
        accounts.claim(self.matching.key(&main), at, &entry.address)?;
        // A name without a domain is the same user in each of the domains.
        if !entry.address.contains('@') {
            for domain in self.domains.iter().skip(1) {
                let address = format!("{}@{domain}", entry.address);
                found.addresses.push(self.main_address(&address)?);
                accounts.claim((main.local().to_owned(), domain.clone()), at, &address)?;
            }
        }
        for alias in &entry.aliases {
            if let Some(domain) = alias.strip_prefix('@') {
                accounts.claim_rest(fold_domain(domain), at, alias)?;
                continue;
            }
            let address = Address::parse(alias).map_err(|error| format!("{alias:?} is no address: {error}"))?;
            accounts.claim(self.matching.key(&address), at, alias)?;
            found.addresses.push(address);
        }
        accounts.found.push(found);
        Ok(())
    }

    /// The account of an address, with postmaster and catch-all.
    pub fn find(&self, accounts: &Accounts, address: &Address) -> Option<Found> {
        if let Some(found) = self.find_account(accounts, address) {
            return Some(found);
        }
        let domain = fold_domain(address.domain());
        if is_postmaster(address.local()) && (domain.is_empty() || accounts.domains.contains(&domain)) {
            let found = self
                .postmaster
                .as_ref()
                .and_then(|address| self.find_account(accounts, address));
            if found.is_some() {
                return found;
            }
        }
        accounts.catch_all.get(&domain).map(|at| accounts.found[*at].clone())
    }

    /// The account that has an address, with or without its detail.
    pub fn find_account(&self, accounts: &Accounts, address: &Address) -> Option<Found> {
        let domain = fold_domain(address.domain());
        let mut candidates = self.matching.candidates(address.local()).into_iter();
        candidates.find_map(|candidate| {
            let at = accounts.by_address.get(&(candidate.local, domain.clone()))?;
            Some(Found {
                detail: candidate.detail,
                ..accounts.found[*at].clone()
            })
        })
    }
}

impl Content for Accounts {
    const WHAT: &'static str = "accounts";

    fn count(&self) -> usize {
        self.found.len()
    }
}

impl Accounts {
    fn new(hash: Option<&PasswordHash>) -> Accounts {
        Accounts {
            found: Vec::new(),
            passwords: HashMap::new(),
            decoy: hash.cloned().unwrap_or_else(PasswordHash::decoy),
            by_address: HashMap::new(),
            catch_all: HashMap::new(),
            domains: HashSet::new(),
        }
    }

    /// The password of an account, by its name.
    pub fn password(&self, user: &str) -> Option<&PasswordField> {
        self.passwords.get(user)
    }

    /// How many accounts have a password.
    pub fn logins(&self) -> usize {
        self.passwords.values().filter(|field| field.hash().is_some()).count()
    }

    fn claim(&mut self, key: (String, String), at: usize, address: &str) -> Result<(), String> {
        if !key.1.is_empty() {
            self.domains.insert(key.1.clone());
        }
        match self.by_address.insert(key, at) {
            Some(other) if other != at => Err(format!("{address:?} is another account's already")),
            _ => Ok(()),
        }
    }

    fn claim_rest(&mut self, domain: String, at: usize, alias: &str) -> Result<(), String> {
        if Address::parse(&format!("a@{domain}")).is_err() {
            return Err(format!("{alias:?} is no domain: write \"@example.org\""));
        }
        self.domains.insert(domain.clone());
        match self.catch_all.insert(domain, at) {
            Some(other) if other != at => Err(format!("{alias:?} is another account's already")),
            _ => Ok(()),
        }
    }
}

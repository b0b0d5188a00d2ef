//! What is named on the command line: an account, a mailbox, messages.

use std::sync::Arc;

use crate::config::Config;
use crate::mail::{MailboxName, Uid, UidSet, nearest};
use crate::store::{Account, MailboxStatus, SearchKey, Store, StoreError, search};

use super::fault::{Fault, exit};
use super::rooms;

/// An account, open and brought up to what other programs did.
pub(super) struct Named<'a> {
    pub(super) account: Arc<dyn Account>,
    pub(super) user: &'a str,
    separator: char,
}

impl<'a> Named<'a> {
    /// The account of a user; none where nothing was ever delivered to it, so that asking makes nothing.
    pub(super) fn find(config: &Config, user: &'a str) -> Result<Option<Named<'a>>, Fault> {
        let account = rooms::account(config, user)?;
        Ok(account.map(|account| Named::of(config, user, account)))
    }

    /// The account of a user, which must have the mailbox.
    pub(super) fn with_mailbox(
        config: &Config,
        user: &'a str,
        mailbox: &str,
    ) -> Result<(Named<'a>, MailboxStatus), Fault> {
        let name = name(config, mailbox)?;
        let named = Named::find(config, user)?.ok_or_else(|| no_mail(user, mailbox))?;
        let status = named.mailbox(&name)?;
        Ok((named, status))
    }

    /// The account of a user, made where nothing was ever delivered to it.
    pub(super) fn made(config: &Config, user: &'a str) -> Result<Named<'a>, Fault> {
        let found = rooms::find(config, user)?;
        rooms::become_owner(config, &found.home)?;
        let account = rooms::store(config).account(&found.user, &found.home)?;
        account.reconcile()?;
        Ok(Named::of(config, user, account))
    }

    fn of(config: &Config, user: &'a str, account: Arc<dyn Account>) -> Named<'a> {
        Named {
            account,
            user,
            separator: config.store.separator,
        }
    }

    /// A mailbox that must exist; where it does not, the error names the one that may be meant.
    pub(super) fn mailbox(&self, name: &MailboxName) -> Result<MailboxStatus, Fault> {
        match self.account.status(name) {
            Err(StoreError::NoMailbox { .. }) => Err(self.missing(name)?),
            status => Ok(status?),
        }
    }

    /// A mailbox's name as the site writes it.
    pub(super) fn spoken(&self, name: &MailboxName) -> String {
        name.to_separated(self.separator)
    }

    fn missing(&self, name: &MailboxName) -> Result<Fault, Fault> {
        let known = self.account.mailboxes()?;
        let known: Vec<(String, &MailboxName)> = known
            .iter()
            .map(|mailbox| (mailbox.name.as_str().to_lowercase(), &mailbox.name))
            .collect();
        let near = nearest(name.as_str(), known.iter().map(|(lower, _)| lower.as_str()));
        let near = near.and_then(|near| known.iter().find(|(lower, _)| lower == near));
        let remedy = match near {
            Some((_, near)) => format!("did you mean `{}`?", self.spoken(near)),
            None => format!("`postroom mailbox list {}` names those there are", self.user),
        };
        let what = format!("{} has no mailbox {}; {remedy}", self.user, self.spoken(name));
        Ok(Fault::new(exit::DATAERR, what))
    }
}

/// A mailbox's name as it is typed.
pub(super) fn name(config: &Config, text: &str) -> Result<MailboxName, Fault> {
    MailboxName::parse(text, config.store.separator).map_err(|error| Fault::new(exit::USAGE, error.to_string()))
}

/// Nothing was ever delivered to the account, so it has no mailbox.
pub(super) fn no_mail(user: &str, mailbox: &str) -> Fault {
    let what = format!("{user} has no mail yet, so no mailbox {mailbox}");
    Fault::new(exit::DATAERR, what)
}

/// Messages of a mailbox.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Those with these UIDs, such as 1:50,100:*
    #[arg(long, value_name = "SET")]
    uids: Option<String>,
    /// Those that a search finds, written as for `message search`; with --uids, of those only
    #[arg(long, value_name = "KEY")]
    search: Option<String>,
}

impl Selection {
    /// Whether nothing is said about which.
    pub(super) fn is_empty(&self) -> bool {
        self.uids.is_none() && self.search.is_none()
    }

    /// Refuses a command that does not say which messages.
    pub(super) fn required(&self) -> Result<&Selection, Fault> {
        if self.is_empty() {
            let what = "say which messages: --uids 1:50, --search 'from ann', or --uids 1:* for all of them";
            return Err(Fault::new(exit::USAGE, what));
        }
        Ok(self)
    }

    /// What the messages must be like.
    pub(super) fn key(&self, named: &Named<'_>, mailbox: &MailboxName) -> Result<SearchKey, Fault> {
        let mut keys = Vec::new();
        if let Some(text) = &self.uids {
            keys.push(SearchKey::Uid(uid_set(named, mailbox, text)?));
        }
        if let Some(text) = &self.search {
            keys.push(search_key(named, mailbox, text)?);
        }
        Ok(SearchKey::And(keys))
    }

    /// The messages there are, ascending; all where nothing is said about which.
    pub(super) fn find(&self, named: &Named<'_>, mailbox: &MailboxName) -> Result<Vec<Uid>, Fault> {
        Ok(search(&*named.account, mailbox, &self.key(named, mailbox)?)?)
    }
}

/// A set of UIDs as it is typed.
pub(super) fn uid_set(named: &Named<'_>, mailbox: &MailboxName, text: &str) -> Result<UidSet, Fault> {
    let highest = highest(named, mailbox, text)?;
    UidSet::parse(text, highest).map_err(|error| Fault::new(exit::USAGE, format!("--uids: {error}")))
}

/// A search as it is typed.
pub(super) fn search_key(named: &Named<'_>, mailbox: &MailboxName, text: &str) -> Result<SearchKey, Fault> {
    let highest = highest(named, mailbox, text)?;
    SearchKey::parse(text, highest).map_err(|error| Fault::new(exit::USAGE, format!("the search: {error}")))
}

// Asked for only where a text can speak of it.
fn highest(named: &Named<'_>, mailbox: &MailboxName, text: &str) -> Result<Option<Uid>, Fault> {
    if !text.contains('*') {
        return Ok(None);
    }
    let all = named.account.flags(mailbox, &UidSet::all())?;
    Ok(all.last().map(|(uid, _, _)| *uid))
}

/// `1 message`, `2 messages`.
pub(super) fn count(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

//! The mailboxes.

use std::collections::BTreeSet;

use crate::mail::{AnnotationName, Annotations, MailboxName, SpecialUse, UidSet};
use crate::store::{MailboxStatus, Mailboxes, StoreError};

use super::MemoryAccount;
use super::state::State;

impl Mailboxes for MemoryAccount {
    fn mailboxes(&self) -> Result<Vec<MailboxStatus>, StoreError> {
        self.read(|state| {
            let all = state.mailboxes.iter();
            Ok(all.map(|(name, mailbox)| mailbox.status(name)).collect())
        })
    }

    fn status(&self, name: &MailboxName) -> Result<MailboxStatus, StoreError> {
        self.read(|state| Ok(self.mailbox(state, name)?.status(name)))
    }

    fn has_mailbox(&self, name: &MailboxName) -> Result<bool, StoreError> {
        self.read(|state| Ok(state.mailboxes.contains_key(name)))
    }

    fn create_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.write(|state| {
            state.create(name);
            Ok(())
        })
    }

    fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        self.write(|state| {
            // The INBOX stays where it is, so its messages may go below it.
            if !from.is_inbox() && below(to, from).is_some_and(|rest| !rest.is_empty()) {
                return Err(self.forbidden(to, "a mailbox cannot be moved below itself"));
            }
            if state.mailboxes.contains_key(to) {
                return Err(self.exists(to));
            }
            if from.is_inbox() {
                return self.empty_inbox(state, to);
            }
            let renamed = self.renamed(state, from, to)?;
            // All leave their names before any takes its new one.
            let taken: Vec<_> = renamed
                .into_iter()
                .map(|(old, new)| (new, state.mailboxes.remove(&old)))
                .collect();
            for (name, mailbox) in taken {
                state.mailboxes.extend(mailbox.map(|mailbox| (name, mailbox)));
            }
            Ok(())
        })
    }

    fn delete_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.write(|state| {
            if name.is_inbox() {
                return Err(self.forbidden(name, "the INBOX cannot be deleted"));
            }
            let deleted = state.mailboxes.remove(name);
            deleted.map(drop).ok_or_else(|| self.no_mailbox(name))
        })
    }

    fn set_special_use(&self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<(), StoreError> {
        self.write(|state| {
            self.mailbox(state, name)?;
            for (other, mailbox) in &mut state.mailboxes {
                if other == name {
                    mailbox.special_use = special_use;
                } else if mailbox.special_use == special_use {
                    mailbox.special_use = None;
                }
            }
            Ok(())
        })
    }

    fn subscriptions(&self) -> Result<BTreeSet<MailboxName>, StoreError> {
        self.read(|state| Ok(state.subscriptions.clone()))
    }

    fn subscribe(&self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.write(|state| {
            match subscribed {
                true => state.subscriptions.insert(name.clone()),
                false => state.subscriptions.remove(name),
            };
            Ok(())
        })
    }

    fn annotations(&self, mailbox: Option<&MailboxName>) -> Result<Annotations, StoreError> {
        self.read(|state| match mailbox {
            None => Ok(state.annotations.clone()),
            Some(name) => Ok(self.mailbox(state, name)?.annotations.clone()),
        })
    }

    fn set_annotation(
        &self,
        mailbox: Option<&MailboxName>,
        name: &AnnotationName,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        self.write(|state| {
            let annotations = match mailbox {
                None => &mut state.annotations,
                Some(name) => &mut self.mailbox_mut(state, name)?.annotations,
            };
            let set = annotations.set(name, value);
            set.map_err(|source| StoreError::Annotation {
                user: self.user.clone(),
                source,
            })
        })
    }
}

impl MemoryAccount {
    // RFC 9051 §6.3.6: renaming INBOX moves its messages, and nothing else.
    fn empty_inbox(&self, state: &mut State, to: &MailboxName) -> Result<(), StoreError> {
        state.create(to);
        self.transfer(state, &MailboxName::inbox(), &UidSet::all(), to, true)
            .map(drop)
    }

    /// The names that a renaming changes, and what they become.
    fn renamed(
        &self,
        state: &State,
        from: &MailboxName,
        to: &MailboxName,
    ) -> Result<Vec<(MailboxName, MailboxName)>, StoreError> {
        let mut renamed = Vec::new();
        for old in state.mailboxes.keys() {
            let Some(rest) = below(old, from) else { continue };
            let new = MailboxName::parse(&format!("{to}{rest}"), '.')
                .map_err(|_| self.forbidden(old, "its new name would be too long"))?;
            if state.mailboxes.contains_key(&new) {
                return Err(self.exists(&new));
            }
            renamed.push((old.clone(), new));
        }
        // The name itself may be nobody's where others stand below it.
        match renamed.is_empty() {
            true => Err(self.no_mailbox(from)),
            false => Ok(renamed),
        }
    }

    fn exists(&self, name: &MailboxName) -> StoreError {
        StoreError::MailboxExists {
            user: self.user.clone(),
            name: name.clone(),
        }
    }

    fn forbidden(&self, name: &MailboxName, reason: &'static str) -> StoreError {
        StoreError::Forbidden {
            user: self.user.clone(),
            name: name.clone(),
            reason,
        }
    }
}

/// What stands in `name` after `above`: nothing where they are the same, `.c` for `a.b.c` below `a.b`.
fn below<'name>(name: &'name MailboxName, above: &MailboxName) -> Option<&'name str> {
    let rest = name.as_str().strip_prefix(above.as_str())?;
    (rest.is_empty() || rest.starts_with('.')).then_some(rest)
}

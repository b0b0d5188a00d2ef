//! Deeds done, many messages at a time.

use std::collections::HashSet;

use crate::mail::{Flags, MailboxName, Uid, UidSet};
use crate::store::Alteration;
use crate::submission::Content;

use super::{Application, ApplyError, Deed, NotRedirected, REDIRECTED, Ruling};

impl Application<'_> {
    /// Does what was ruled; answers what could not be redirected. A message that was removed meanwhile is passed over.
    ///
    /// # Errors
    /// [`ApplyError::Store`]; what was done before it stands, and running the script again does the rest.
    pub fn carry_out(&self, rulings: &[Ruling]) -> Result<Vec<NotRedirected>, ApplyError> {
        self.make_mailboxes(rulings)?;
        self.copy_all(rulings)?;
        self.flag_all(rulings)?;
        let failed = self.redirect_all(rulings)?;
        // A message that was not sent on stays where it is seen.
        let stays: HashSet<Uid> = failed.iter().map(|failed| failed.uid).collect();
        let goes = |uid: &Uid| !stays.contains(uid);
        let moved = deeds(rulings).filter_map(|(uid, deed)| match deed {
            Deed::Move { mailbox, .. } if goes(&uid) => Some((mailbox, uid)),
            _ => None,
        });
        for (mailbox, uids) in grouped(moved) {
            self.account.move_to(self.mailbox, &uids, mailbox)?;
        }
        let gone = deeds(rulings).filter(|(uid, deed)| matches!(deed, Deed::Expunge) && goes(uid));
        let gone: UidSet = gone.map(|(uid, _)| uid).collect();
        if !gone.is_empty() {
            self.account.remove(self.mailbox, &gone)?;
        }
        Ok(failed)
    }

    fn make_mailboxes(&self, rulings: &[Ruling]) -> Result<(), ApplyError> {
        for (_, deed) in deeds(rulings) {
            let (Deed::Copy { mailbox, .. } | Deed::Move { mailbox, .. }) = deed else {
                continue;
            };
            let Some(special_use) = self.missing.get(mailbox) else {
                continue;
            };
            if !self.account.has_mailbox(mailbox)? {
                self.account.create_mailbox(mailbox)?;
                if special_use.is_some() {
                    self.account.set_special_use(mailbox, *special_use)?;
                }
            }
        }
        Ok(())
    }

    fn copy_all(&self, rulings: &[Ruling]) -> Result<(), ApplyError> {
        let copies = deeds(rulings).filter_map(|(uid, deed)| match deed {
            Deed::Copy { mailbox, flags } => Some(((mailbox, flags), uid)),
            _ => None,
        });
        for ((mailbox, flags), uids) in grouped(copies) {
            let copied = self.account.copy(self.mailbox, &uids, mailbox)?;
            let copied: UidSet = copied.uids.into_iter().map(|(_, new)| new).collect();
            self.add(mailbox, &copied, flags)?;
        }
        Ok(())
    }

    fn flag_all(&self, rulings: &[Ruling]) -> Result<(), ApplyError> {
        let flagged = deeds(rulings).filter_map(|(uid, deed)| match deed {
            Deed::Flag(flags) => Some(((self.mailbox, flags), uid)),
            Deed::FlagCopy { mailbox, uid, flags } => Some(((mailbox, flags), *uid)),
            _ => None,
        });
        for ((mailbox, flags), uids) in grouped(flagged) {
            self.add(mailbox, &uids, flags)?;
        }
        Ok(())
    }

    // At least once: the keyword is set when all redirects of a message were taken.
    fn redirect_all(&self, rulings: &[Ruling]) -> Result<Vec<NotRedirected>, ApplyError> {
        let mut failed = Vec::new();
        let mut keyword = Flags::new();
        // A constant that a test inserts.
        let _ = keyword.insert(REDIRECTED);
        for ruling in rulings {
            let before = failed.len();
            let mut sent = false;
            for deed in &ruling.deeds {
                if let Deed::Redirect { address, .. } = deed {
                    sent = true;
                    if let Err(error) = self.submit(deed) {
                        failed.push(NotRedirected {
                            uid: ruling.uid,
                            address: address.clone(),
                            error,
                        });
                    }
                }
            }
            if sent && failed.len() == before {
                self.add(self.mailbox, &ruling.uid.into(), &keyword)?;
            }
        }
        Ok(failed)
    }

    fn submit(&self, deed: &Deed) -> Result<(), crate::submission::SubmitError> {
        let Deed::Redirect {
            address,
            reverse_path,
            message,
        } = deed
        else {
            return Ok(());
        };
        let owner = self.found.addresses.first().unwrap_or(address);
        let smtputf8 = !address.is_ascii() || reverse_path.address().is_some_and(|address| !address.is_ascii());
        let content = Content::redirect(message, message.header(), owner, smtputf8);
        let sender = self.sorter.submitter.redirect_sender(reverse_path, owner);
        let to = std::slice::from_ref(address);
        self.sorter.submitter.submit(&sender, to, &content).map(drop)
    }

    fn add(&self, mailbox: &MailboxName, uids: &UidSet, flags: &Flags) -> Result<(), ApplyError> {
        if !uids.is_empty() && !flags.is_empty() {
            let alteration = Alteration::Add(flags.clone());
            self.account.alter(mailbox, uids, &alteration, None)?;
        }
        Ok(())
    }
}

fn deeds(rulings: &[Ruling]) -> impl Iterator<Item = (Uid, &Deed)> {
    let of = |ruling: &'_ Ruling| ruling.uid;
    rulings
        .iter()
        .flat_map(move |ruling| ruling.deeds.iter().map(move |deed| (of(ruling), deed)))
}

// One operation of the store for all messages with which the same is done.
fn grouped<K: PartialEq>(pairs: impl Iterator<Item = (K, Uid)>) -> Vec<(K, UidSet)> {
    let mut groups: Vec<(K, Vec<Uid>)> = Vec::new();
    for (key, uid) in pairs {
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, uids)) => uids.push(uid),
            None => groups.push((key, vec![uid])),
        }
    }
    let set = |uids: Vec<Uid>| uids.into_iter().collect();
    groups.into_iter().map(|(key, uids)| (key, set(uids))).collect()
}

//! What a script wants of a message that is there: from its plan to deeds.

use std::collections::HashMap;
use std::io::Read;

use crate::mail::{Address, EmailId, Flags, MailboxName, ReversePath, Uid, UidSet};
use crate::message::{Message, Spool};
use crate::sieve::{Action, Evaluation, Incoming, Plan, Transport};
use crate::store::{Entry, StoreError};
use crate::submission::already_redirected;

use super::super::inquiry::Inquiry;
use super::envelope::{recipient, reverse_path};
use super::standing::Asked;
use super::{Application, ApplyError, Deed, REDIRECTED, Ruling, Standing, Undone};

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

/// A plan, sorted by what it does to a message that is there.
#[derive(Default)]
struct Wishes {
    /// It is kept, or filed into where it is: with these flags.
    here: Option<Flags>,
    files: Vec<(MailboxName, Flags)>,
    redirects: Vec<(Address, Option<Message>)>,
    /// Something that would have taken it elsewhere is not done, so it must not go.
    held: bool,
    undone: Vec<Undone>,
}

impl Application<'_> {
    /// What the script wants of messages, by UID; those that are gone are passed over. Nothing is touched.
    ///
    /// # Errors
    /// [`ApplyError`] where a message cannot be read.
    pub fn judge(&mut self, uids: &[Uid]) -> Result<Vec<Ruling>, ApplyError> {
        let set: UidSet = uids.iter().copied().collect();
        let mut rulings = Vec::with_capacity(uids.len());
        for entry in self.account.entries(self.mailbox, &set)? {
            let Some(message) = self.message(entry.uid)? else {
                continue;
            };
            let Some((evaluation, reverse_path)) = self.evaluate(&message) else {
                continue;
            };
            let mut ruling = Ruling {
                uid: entry.uid,
                deeds: Vec::new(),
                undone: Vec::new(),
                error: evaluation.error,
            };
            if ruling.error.is_none() {
                let wishes = self.wishes(evaluation.plan)?;
                self.rule(&mut ruling, &entry, (&message, &reverse_path), wishes)?;
            }
            rulings.push(ruling);
        }
        Ok(rulings)
    }

    // None where it was removed meanwhile.
    fn message(&self, uid: Uid) -> Result<Option<Message>, ApplyError> {
        let mut body = match self.account.open(self.mailbox, uid) {
            Err(StoreError::NoMessage { .. }) => return Ok(None),
            body => body?,
        };
        let mut spool = Spool::new(&self.spool);
        let mut piece = vec![0; PIECE];
        loop {
            match body.read(&mut piece) {
                Ok(0) => return Ok(Some(spool.finish()?)),
                Ok(read) => spool.write(&piece[..read])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => return Err(ApplyError::Read { uid, source }),
            }
        }
    }

    // None where the account has no address, so that nothing can be said of the recipient.
    fn evaluate(&self, message: &Message) -> Option<(Evaluation, ReversePath)> {
        let options = &self.sorter.options;
        let reverse_path = reverse_path(message);
        let recipient = recipient(message, self.found, &*self.sorter.directory)?;
        let incoming = Incoming {
            message,
            reverse_path: &reverse_path,
            recipient: &recipient.address,
            original: None,
            detail: recipient.detail.as_deref(),
            own_addresses: &self.found.addresses,
            separator: options.separator,
            hostname: &options.hostname,
            user: &self.found.user,
            transport: Transport::default(),
        };
        let asked = Asked(Inquiry {
            sorter: self.sorter,
            account: self.account,
            home: &self.found.home,
            folders: &self.folders,
            delivery: None,
        });
        let evaluation = self.sorter.engine.run(&self.scripts, &incoming, &asked);
        Some((evaluation, reverse_path))
    }

    fn wishes(&mut self, plan: Plan) -> Result<Wishes, ApplyError> {
        let mut wishes = Wishes::default();
        for planned in plan.actions {
            let edition = planned.edition;
            if edition.is_some() && !matches!(planned.action, Action::Redirect { .. }) {
                wishes.leave("change the message", "mail that is there stays as it came");
            }
            match planned.action {
                Action::Keep { flags } => wishes.stay(&flags),
                Action::FileInto { mailbox, flags, .. } if mailbox == *self.mailbox => wishes.stay(&flags),
                Action::FileInto {
                    mailbox,
                    flags,
                    create,
                    special_use,
                    ..
                } => {
                    if self.account.has_mailbox(&mailbox)? {
                        wishes.files.push((mailbox, flags));
                    } else if create || self.sorter.options.create_mailboxes {
                        self.missing.insert(mailbox.clone(), special_use);
                        wishes.files.push((mailbox, flags));
                    } else {
                        let name = mailbox.to_separated(self.sorter.options.separator);
                        let why = "there is no such mailbox; `fileinto :create` would make it";
                        wishes.hold(format!("file into {name}"), why);
                    }
                }
                Action::Redirect { address, .. } if self.may.redirect => wishes.redirects.push((address, edition)),
                Action::Redirect { address, .. } => {
                    wishes.hold(format!("redirect to {address}"), "only --redirect sends old mail on");
                }
                Action::Discard => {}
                Action::Pipe { program, .. } => {
                    wishes.hold(
                        format!("pipe to {program}"),
                        "no program runs over mail that is there already",
                    );
                }
                Action::Reject { .. } => wishes.hold("reject".to_owned(), "its sender was told long ago that it came"),
                Action::Vacation(reply) => {
                    wishes.leave(&format!("answer {}", reply.address), "old mail is not answered");
                }
                Action::Notify { method, .. } => {
                    wishes.leave(&format!("notify {method}"), "nobody is notified of old mail");
                }
                Action::Report(report) => {
                    wishes.leave(&format!("report to {}", report.address), "old mail is not reported");
                }
            }
        }
        Ok(wishes)
    }

    fn rule(
        &mut self,
        ruling: &mut Ruling,
        entry: &Entry,
        (message, reverse_path): (&Message, &ReversePath),
        mut wishes: Wishes,
    ) -> Result<(), ApplyError> {
        ruling.undone = std::mem::take(&mut wishes.undone);
        let redirects = self.redirects(entry, message, &mut wishes);
        let goes = wishes.here.is_none() && !wishes.held;
        let mut files = wishes.files.into_iter();
        let (mut target, mut flags) = (None, Flags::new());
        match wishes.here {
            Some(here) => flags = here,
            None => {
                if let Some((mailbox, more)) = files.next() {
                    (target, flags) = (Some(mailbox), more);
                }
            }
        }
        for (mailbox, flags) in files {
            ruling.deeds.extend(self.copy(entry, mailbox, flags)?);
        }
        let flags = flags.difference(&entry.flags);
        if !flags.is_empty() {
            ruling.deeds.push(Deed::Flag(flags));
        }
        ruling
            .deeds
            .extend(redirects.into_iter().map(|(address, edition)| Deed::Redirect {
                address,
                reverse_path: reverse_path.clone(),
                message: edition.unwrap_or_else(|| message.clone()),
            }));
        match target {
            Some(mailbox) => ruling.deeds.push(Deed::Move {
                mailbox,
                discarded: false,
            }),
            None if goes => self.discard(ruling),
            None => {}
        }
        Ok(())
    }

    // Those that were not made before. One that would make a loop is no reason to part with the message.
    fn redirects(&self, entry: &Entry, message: &Message, wishes: &mut Wishes) -> Vec<(Address, Option<Message>)> {
        let redirects = std::mem::take(&mut wishes.redirects);
        let Some(owner) = self.found.addresses.first().filter(|_| !redirects.is_empty()) else {
            return Vec::new();
        };
        if already_redirected(message.header(), owner) {
            for (address, _) in redirects {
                let why = "the message has come back from an earlier redirect";
                wishes.hold(format!("redirect to {address}"), why);
            }
            return Vec::new();
        }
        match entry.flags.has_keyword(REDIRECTED) {
            true => Vec::new(),
            false => redirects,
        }
    }

    // RFC 8474 §5.1: the same EMAILID is the same message, so a copy that is there need not be made.
    fn copy(&mut self, entry: &Entry, mailbox: MailboxName, flags: Flags) -> Result<Option<Deed>, ApplyError> {
        let standing = self.standing(&mailbox)?;
        if let Some(copy) = standing.get_mut(&entry.email_id) {
            let flags = flags.difference(&copy.flags);
            copy.flags = copy.flags.union(&flags);
            return Ok(match copy.uid {
                Some(uid) if !flags.is_empty() => Some(Deed::FlagCopy { mailbox, uid, flags }),
                _ => None,
            });
        }
        let copy = Standing {
            uid: None,
            flags: entry.flags.union(&flags),
        };
        standing.insert(entry.email_id, copy);
        Ok(Some(Deed::Copy { mailbox, flags }))
    }

    // What lies in a mailbox, asked once.
    fn standing(&mut self, mailbox: &MailboxName) -> Result<&mut HashMap<EmailId, Standing>, ApplyError> {
        if !self.copies.contains_key(mailbox) {
            let entries = match self.account.entries(mailbox, &UidSet::all()) {
                Err(StoreError::NoMailbox { .. }) => Vec::new(),
                entries => entries?,
            };
            let standing = entries.into_iter().map(|entry| {
                let uid = Some(entry.uid);
                let flags = entry.flags;
                (entry.email_id, Standing { uid, flags })
            });
            self.copies.insert(mailbox.clone(), standing.collect());
        }
        Ok(self.copies.entry(mailbox.clone()).or_default())
    }

    // It is to be nowhere here: discarded, or sent on without a copy.
    fn discard(&self, ruling: &mut Ruling) {
        match &self.trash {
            Some(trash) if trash == self.mailbox => {}
            Some(trash) => ruling.deeds.push(Deed::Move {
                mailbox: trash.clone(),
                discarded: true,
            }),
            None if self.may.expunge => ruling.deeds.push(Deed::Expunge),
            None => ruling.undone.push(Undone {
                what: "discard".to_owned(),
                why: "no mailbox is for \\Trash; --expunge removes it for good".to_owned(),
            }),
        }
    }
}

impl Wishes {
    fn stay(&mut self, flags: &Flags) {
        let here = self.here.take().unwrap_or_default();
        self.here = Some(here.union(flags));
    }

    fn leave(&mut self, what: &str, why: &str) {
        let undone = Undone {
            what: what.to_owned(),
            why: why.to_owned(),
        };
        if !self.undone.contains(&undone) {
            self.undone.push(undone);
        }
    }

    fn hold(&mut self, what: String, why: &str) {
        self.held = true;
        self.leave(&what, why);
    }
}

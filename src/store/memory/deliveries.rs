//! Stage and publish.

use std::sync::Arc;

use crate::index::{HistoryKey, Record, Remembered, Step};
use crate::mail::{DeliveryId, MailboxName, Placement};
use crate::message::Letter;
use crate::store::{Deliveries, Explained, Publication, Published, Staged, StoreError, Target};

use super::content::Content;
use super::history;
use super::state::{State, unique};
use super::{MemoryAccount, now};

/// A message that no reader sees yet.
struct MemoryStaged<'account> {
    account: &'account MemoryAccount,
    key: u64,
    content: Arc<Content>,
    editions: Vec<(Vec<MailboxName>, Arc<Content>)>,
    written: i64,
}

impl Deliveries for MemoryAccount {
    fn stage(&self, letter: &Letter, key: u64) -> Result<Box<dyn Staged + '_>, StoreError> {
        Ok(Box::new(MemoryStaged {
            account: self,
            key,
            content: Content::of_letter(letter)?,
            editions: Vec::new(),
            written: now(),
        }))
    }

    fn step(&self, key: u64, step: &Step) -> Result<Option<DeliveryId>, StoreError> {
        self.read(|state| Ok(state.memory.step(key, step)))
    }

    fn put_step(&self, key: u64, step: &Step, id: &DeliveryId) -> Result<(), StoreError> {
        self.write(|state| {
            state.memory.put_step(key, step, id);
            Ok(())
        })
    }

    fn remembers(&self, what: &Remembered) -> Result<bool, StoreError> {
        self.read(|state| Ok(state.memory.remembers(what)))
    }

    fn remember(&self, what: &Remembered, seconds: u64) -> Result<bool, StoreError> {
        self.write(|state| {
            let new = !state.memory.remembers(what);
            if new {
                state.memory.remember(what, seconds);
            }
            Ok(new)
        })
    }

    fn record(&self, record: &Record) -> Result<(), StoreError> {
        self.write(|state| {
            history::write(&mut state.history, record.clone());
            Ok(())
        })
    }

    fn history(&self, key: &HistoryKey, limit: usize) -> Result<Vec<Explained>, StoreError> {
        self.read(|state| Ok(history::read(state, key, limit)))
    }
}

impl Staged for MemoryStaged<'_> {
    fn add_edition(&mut self, letter: &Letter, mailboxes: &[MailboxName]) -> Result<(), StoreError> {
        self.editions.push((mailboxes.to_vec(), Content::of_letter(letter)?));
        Ok(())
    }

    fn publish(self: Box<Self>, publication: Publication) -> Result<Published, StoreError> {
        self.account.write(|state| {
            if let Some(before) = state.memory.step(self.key, &Step::Done) {
                state.memory.touch(self.key);
                return Ok(Published::Before(before));
            }
            let (left, before) = self.left(state, &publication)?;
            if let (Some(before), []) = (&before, &left[..]) {
                state.memory.put_step(self.key, &Step::Done, before);
                return Ok(Published::Before(before.clone()));
            }
            if let (None, Some(quota)) = (&before, &publication.quota) {
                let copies = left.iter().map(|target| &target.mailbox);
                let copies = copies.map(|name| (name, self.content_for(name).size));
                self.account.check_quota(state, quota, copies)?;
            }
            let placed = left
                .into_iter()
                .map(|target| self.place(state, target, &publication.id));
            let placed: Vec<Placement> = placed.collect();
            state.memory.put_step(self.key, &Step::Done, &publication.id);
            for (what, seconds) in &publication.remember {
                state.memory.remember(what, *seconds);
            }
            if let Some(mut record) = publication.history {
                record.placed(&placed);
                history::write(&mut state.history, record);
            }
            Ok(Published::Placed(placed))
        })
    }
}

impl MemoryStaged<'_> {
    fn content_for(&self, mailbox: &MailboxName) -> &Arc<Content> {
        let edition = self.editions.iter().find(|(mailboxes, _)| mailboxes.contains(mailbox));
        edition.map_or(&self.content, |(_, content)| content)
    }

    /// The targets that have no copy yet, and the delivery that made one in another.
    fn left<'publication>(
        &self,
        state: &State,
        publication: &'publication Publication,
    ) -> Result<(Vec<&'publication Target>, Option<DeliveryId>), StoreError> {
        let (mut left, mut before) = (Vec::new(), None);
        for target in &publication.targets {
            let mailbox = self.account.mailbox(state, &target.mailbox)?;
            match state.memory.step(self.key, &Step::Placed(mailbox.validity)) {
                Some(id) => before = Some(id),
                None if mailbox.has_room(1) => left.push(target),
                None => return Err(self.account.no_uid_left(&target.mailbox)),
            }
        }
        Ok((left, before))
    }

    fn place(&self, state: &mut State, target: &Target, id: &DeliveryId) -> Placement {
        let content = self.content_for(&target.mailbox);
        let Content { email_id, card, .. } = &**content;
        let thread = state.threads.place(*email_id, &card.ids());
        let mailbox = state.mailboxes.get_mut(&target.mailbox);
        let mailbox = mailbox.expect("`left` looked up each target's mailbox");
        let modseq = mailbox.next_modseq();
        let uid = mailbox.add(content.clone(), unique(&target.flags), self.written, thread, modseq);
        let step = Step::Placed(mailbox.validity);
        state.memory.put_step(self.key, &step, id);
        Placement {
            mailbox: target.mailbox.clone(),
            uid: Some(uid),
        }
    }
}

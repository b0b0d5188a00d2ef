//! Many messages added at once: one flush and one transaction for all.

use std::thread;

use crate::index::Index;
use crate::mail::{MailboxName, Uid};
use crate::message::Letter;
use crate::store::{Incoming, Publication, Published, StoreError, Target};

use super::account::LocalAccount;
use super::lock;
use super::publish::LocalStaged;

/// From so many messages on, flushing the whole file system is cheaper than each file.
const FLUSH_ALL: usize = 16;
/// Messages that are worth a thread of their own.
const EACH: usize = 16;
/// Threads that read and write messages.
const WRITERS: usize = 4;

impl LocalAccount {
    pub(super) fn append_together(&self, mailbox: &MailboxName, messages: &[Incoming]) -> Result<Vec<Uid>, StoreError> {
        if !self.folders.folder(mailbox).exists() {
            return Err(self.no_mailbox(mailbox));
        }
        let staged = self.stage_together(messages)?;
        let tickets: Vec<_> = staged
            .into_iter()
            .zip(messages)
            .map(|(staged, message)| {
                staged.ticket(Publication {
                    targets: vec![Target {
                        mailbox: mailbox.clone(),
                        flags: message.flags.clone(),
                    }],
                    id: Default::default(),
                    remember: Vec::new(),
                    quota: None,
                    history: None,
                })
            })
            .collect();
        let mut index = lock(&self.index);
        let index: &mut Index = &mut index;
        let published = self.publish(index, &tickets)?;
        let uid = |published| match published {
            Published::Placed(placements) => placements.first().and_then(|placed| placed.uid),
            Published::Before(_) => None,
        };
        let uids = published.into_iter().map(|published| published.map(uid));
        uids.map(|uid| Ok(uid?.expect("a message without a redelivery key was placed in its one mailbox")))
            .collect()
    }

    fn stage_together(&self, messages: &[Incoming]) -> Result<Vec<LocalStaged<'_>>, StoreError> {
        let stage = |message: &Incoming| {
            let letter = Letter::plain(message.message.clone());
            match messages.len() < FLUSH_ALL {
                true => LocalStaged::write(self, &letter, None, message.internal_date),
                false => LocalStaged::write_unflushed(self, &letter, message.internal_date),
            }
        };
        let writers = thread::available_parallelism().map_or(1, |cores| cores.get().min(WRITERS));
        let each = messages.len().div_ceil(writers).max(EACH);
        let staged: Vec<Result<Vec<_>, StoreError>> = thread::scope(|scope| {
            let writers: Vec<_> = messages
                .chunks(each)
                .map(|share| scope.spawn(move || share.iter().map(stage).collect()))
                .collect();
            let joined = writers.into_iter().map(thread::ScopedJoinHandle::join);
            joined
                .map(|staged| staged.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let staged: Vec<Vec<_>> = staged.into_iter().collect::<Result<_, _>>()?;
        if messages.len() >= FLUSH_ALL {
            let tmp = self.folders.folder(&MailboxName::inbox()).tmp();
            self.options.disk.flush_file_system(&tmp)?;
        }
        Ok(staged.into_iter().flatten().collect())
    }
}

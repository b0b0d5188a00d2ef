//! What can wait: words for searching, cards put together, things forgotten when they have had
//! their time. In steps: no lock is held over more than one of them, and none while files are read
//! or anything is compressed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, TryLockError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::index::{Durability, FullText, Gathered, IndexError, Progress, Transaction, Verdict};
use crate::mail::{EmailId, MailboxName, Uid, UidSet};
use crate::maildir::{Place, Seen, open_message};
use crate::message::{Limits, Needle, Scope, Text, scan};
use crate::store::StoreError;

use super::account::{LocalAccount, now, seen};
use super::lock;

/// The name of the full text index, beside that of the account.
const FULL_TEXT: &str = "fulltext.sqlite";
/// The fact that names an index, so that numbers of another are not taken for its own.
const EPOCH: &str = "epoch";
/// Messages that are entered in one transaction, and bytes of them.
const BATCH: usize = 200;
const BATCH_BYTES: u64 = 8 * 1024 * 1024;
/// What one message can have of that: the bounds of [`Text`], about.
const LARGEST: u64 = 2 * 1024 * 1024;
/// Batches that are looked through backwards for one that is known, each time.
const BACKWARDS: usize = 16;
/// Messages of which is asked at a time whether they are still there.
const SWEEP: usize = 1000;
/// How long words are tidied up at a time.
const TIDYING: Duration = Duration::from_millis(50);
/// Messages that came or went before it is worth tidying up; and which part of all they must be.
const TIDY_FROM: i64 = 200;
const TIDY_PART: i64 = 8;
/// Seconds between two times of forgetting: a day.
const FORGETTING: i64 = 86_400;
/// The fact that says when that was last done, in seconds since 1970, and how much history was kept: seconds, deliveries.
const FORGOTTEN: &str = "forgotten";

/// A message to be entered, with its file as it was last seen.
struct Wanted {
    content: i64,
    email_id: EmailId,
    file: Option<(MailboxName, Seen)>,
    size: u64,
}

/// Pages of the index that go back to the file system in one step.
const PAGES_BACK: usize = 256;
/// Free pages that stay with the index, for what comes next.
const PAGES_KEPT: usize = 256;

impl LocalAccount {
    /// See [`crate::store::Account::tend`]. However little time there is, one step is done; two never
    /// tend the same account at once.
    pub(super) fn tend_until(&self, until: Instant) -> Result<bool, StoreError> {
        let Some(_alone) = self.alone() else { return Ok(false) };
        let shrunk = self.shrunk.swap(false, Ordering::Relaxed);
        let tended = self.tend_in_turn(until, shrunk);
        self.tended.store(true, Ordering::Relaxed);
        if shrunk && !matches!(tended, Ok(true)) {
            self.shrunk.store(true, Ordering::Relaxed);
        }
        tended
    }

    fn tend_in_turn(&self, until: Instant, shrunk: bool) -> Result<bool, StoreError> {
        self.forget_in_time()?;
        Ok(self.purge_removed(until)?
            && self.put_together(until)?
            && (!shrunk || self.take_apart(until)?)
            && self.tend_text(until, shrunk)?)
    }

    fn alone(&self) -> Option<MutexGuard<'_, ()>> {
        match self.tending.try_lock() {
            Ok(alone) => Some(alone),
            // Each step is whole or not done.
            Err(TryLockError::Poisoned(died)) => Some(died.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn forget_in_time(&self) -> Result<(), StoreError> {
        let now = now();
        if self.forget_at.load(Ordering::Relaxed) > now {
            return Ok(());
        }
        self.step_of(|transaction| match self.is_time_to_forget(transaction, now)? {
            true => self.forget(transaction, now),
            false => Ok(()),
        })
    }

    /// Whether what has had its time was last forgotten a day ago or more, or when another span of history was kept.
    pub(super) fn is_time_to_forget(&self, transaction: &Transaction<'_>, now: i64) -> Result<bool, IndexError> {
        if self.forget_at.load(Ordering::Relaxed) == 0 {
            let noted = transaction.fact(FORGOTTEN)?.unwrap_or_default();
            let (last, kept) = noted.split_once(' ').unwrap_or_default();
            // A clock that was ahead holds nothing up.
            let last = last.parse().ok().filter(|last| *last <= now && kept == self.span());
            let last: i64 = last.unwrap_or(0);
            self.forget_at.store(last.saturating_add(FORGETTING), Ordering::Relaxed);
        }
        Ok(self.forget_at.load(Ordering::Relaxed) <= now)
    }

    /// Forgets what has had its time.
    pub(super) fn forget(&self, transaction: &Transaction<'_>, now: i64) -> Result<(), IndexError> {
        transaction.forget(now)?;
        self.forget_history(transaction, now)?;
        self.note_forgetting(transaction, now)?;
        self.forget_at.store(now + FORGETTING, Ordering::Relaxed);
        Ok(())
    }

    /// Notes that there is nothing to forget for a day.
    pub(super) fn note_forgetting(&self, transaction: &Transaction<'_>, now: i64) -> Result<(), IndexError> {
        transaction.put_fact(FORGOTTEN, &format!("{now} {}", self.span()))
    }

    fn span(&self) -> String {
        let (seconds, deliveries) = self.kept_history();
        format!("{seconds} {deliveries}")
    }

    fn put_together(&self, until: Instant) -> Result<bool, StoreError> {
        loop {
            let cards = lock(&self.index).cards_alone()?;
            let Some(pack) = Gathered::of(cards) else {
                return Ok(true);
            };
            self.step_of(|transaction| transaction.put_gathered(&pack))?;
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn take_apart(&self, until: Instant) -> Result<bool, StoreError> {
        while self.step_of(|transaction| transaction.unpack_sparse())? {
            if Instant::now() >= until {
                return Ok(false);
            }
        }
        while self.step_of(|transaction| transaction.give_back(PAGES_BACK, PAGES_KEPT))? {
            if Instant::now() >= until {
                return Ok(false);
            }
        }
        Ok(true)
    }

    // What is lost of these a power cut may take: it is done again.
    fn step_of<T>(&self, step: impl FnOnce(&Transaction<'_>) -> Result<T, IndexError>) -> Result<T, StoreError> {
        let mut index = lock(&self.index);
        let transaction = index.begin(Durability::Process)?;
        let done = step(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    fn text_path(&self) -> PathBuf {
        self.index_path.with_file_name(FULL_TEXT)
    }

    fn tend_text(&self, until: Instant, thorough: bool) -> Result<bool, StoreError> {
        if !self.options.fulltext {
            return Ok(true);
        }
        let path = self.text_path();
        match self.tend_words(&mut FullText::open(&path)?, until, thorough) {
            Err(error) if error.is_damaged() && !self.is_of_index(&error) => {
                tracing::warn!(user = %self.user, path = %path.display(), "the full text index is damaged; it is made anew");
                self.tend_words(&mut FullText::open_anew(&path)?, until, thorough)
            }
            tended => tended,
        }
    }

    fn tend_words(&self, text: &mut FullText, until: Instant, thorough: bool) -> Result<bool, StoreError> {
        let stored = text.progress()?;
        let epoch = self.epoch()?;
        let mut progress = match stored.epoch == epoch {
            true => Progress {
                content: self.known_up_to(text, stored.content)?,
                ..stored.clone()
            },
            false => Progress {
                epoch,
                entered: stored.entered,
                ..Progress::default()
            },
        };
        let done = self.enter_texts(text, &mut progress, until)? && self.sweep(text, &mut progress, until, thorough)?;
        if progress != stored {
            text.note(&progress)?;
        }
        Ok(done && self.tidy(text, &progress, until)?)
    }

    fn epoch(&self) -> Result<String, StoreError> {
        let known = lock(&self.index).fact(EPOCH)?;
        match known {
            Some(epoch) => Ok(epoch),
            None => self.step_of(new_epoch),
        }
    }

    // The highest numbers are given again once their messages are gone; so what comes next is behind
    // the last batch that is known as a whole, which is most often the last.
    fn known_up_to(&self, text: &FullText, last: i64) -> Result<i64, StoreError> {
        let mut last = last;
        for _ in 0..BACKWARDS {
            let batch = lock(&self.index).contents_up_to(last, BATCH)?;
            let ids: Vec<EmailId> = batch.iter().map(|(_, id)| *id).collect();
            match batch.last() {
                Some((lowest, _)) if text.missing(&ids)?.contains(&true) => last = lowest - 1,
                _ => break,
            }
        }
        Ok(last)
    }

    fn enter_texts(&self, text: &mut FullText, progress: &mut Progress, until: Instant) -> Result<bool, StoreError> {
        loop {
            let batch = lock(&self.index).contents_after(progress.content, BATCH)?;
            let Some((last, _)) = batch.last() else { return Ok(true) };
            let last = *last;
            let ids: Vec<EmailId> = batch.iter().map(|(_, id)| *id).collect();
            let missing = text.missing(&ids)?;
            let missing = batch.into_iter().zip(missing).filter(|(_, missing)| *missing);
            let mut wanted = self.files_of(missing.map(|(content, _)| content))?;
            while !wanted.is_empty() {
                let rest = wanted.split_off(some(&wanted));
                let texts = self.read_texts(&wanted);
                progress.content = wanted.last().map_or(progress.content, |wanted| wanted.content);
                progress.entered += i64::try_from(texts.len()).unwrap_or(0);
                text.add_and_note(&texts, Some(progress))?;
                if !rest.is_empty() && Instant::now() >= until {
                    return Ok(false);
                }
                wanted = rest;
            }
            progress.content = last;
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn files_of(&self, contents: impl Iterator<Item = (i64, EmailId)>) -> Result<Vec<Wanted>, StoreError> {
        let index = lock(&self.index);
        let rows = index.mailboxes()?;
        let mut wanted = Vec::new();
        for (content, email_id) in contents {
            let holder = index.holder(content)?;
            let row = holder.and_then(|(mailbox, uid)| Some((rows.iter().find(|row| row.id == mailbox)?, uid)));
            let message = match row {
                Some((row, uid)) => index.messages(row, &uid.into())?.pop(),
                None => None,
            };
            wanted.push(Wanted {
                content,
                email_id,
                size: message.as_ref().map_or(0, |message| message.size.min(LARGEST)),
                file: row
                    .zip(message)
                    .map(|((row, _), message)| (row.name.clone(), seen(&message.file))),
            });
        }
        Ok(wanted)
    }

    // What is gone, unreadable, or no longer what it was, is left out: whoever searches reads it.
    fn read_texts(&self, wanted: &[Wanted]) -> Vec<(EmailId, Text)> {
        let mut moved = HashMap::new();
        let read = |wanted: &Wanted| {
            let (mailbox, file) = wanted.file.as_ref()?;
            let folder = self.folders.folder(mailbox);
            let mut path = folder.path().join(file.relative_path());
            if !path.exists() {
                // Another program gave it other flags. Listed once, however many.
                let listed = moved.entry(mailbox.clone()).or_insert_with(|| {
                    let parts = [Place::New, Place::Cur].map(|place| folder.list(place).unwrap_or_default().files);
                    let files = parts.into_iter().flatten();
                    files.map(|file| (file.base.clone(), file)).collect::<HashMap<_, _>>()
                });
                path = folder.path().join(listed.get(&file.base)?.relative_path());
            }
            let text = open_message(&path).and_then(|mut file| {
                let scanned = scan(&mut file, &Limits::default())?;
                let text = Text::read(&scanned.header, &scanned.structure, &mut file)?;
                Ok((EmailId::of_digest(&scanned.digest), text))
            });
            match text {
                Ok((id, text)) if id == wanted.email_id => Some((id, text)),
                Ok(_) => None,
                Err(error) => {
                    tracing::debug!(path = %path.display(), %error, "cannot read a message; it is not in the full text index");
                    None
                }
            }
        };
        wanted.iter().filter_map(read).collect()
    }

    // Takes out what is gone. Some each time; all where something went in this process.
    fn sweep(
        &self,
        text: &mut FullText,
        progress: &mut Progress,
        until: Instant,
        thorough: bool,
    ) -> Result<bool, StoreError> {
        if thorough {
            progress.swept = 0;
        }
        loop {
            let known = text.known_after(progress.swept, SWEEP)?;
            let round = known.len() < SWEEP;
            let last = known.last().map_or(0, |(row, _)| *row);
            let ids: Vec<EmailId> = known.into_iter().map(|(_, id)| id).collect();
            let gone = lock(&self.index).gone(&ids)?;
            if !gone.is_empty() {
                text.remove(&gone)?;
                progress.entered += i64::try_from(gone.len()).unwrap_or(0);
            }
            progress.swept = if round { 0 } else { last };
            if round || !thorough && gone.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
        }
    }

    fn tidy(&self, text: &mut FullText, progress: &Progress, until: Instant) -> Result<bool, StoreError> {
        if progress.entered < TIDY_FROM || progress.entered * TIDY_PART < text.last_row()? {
            return Ok(true);
        }
        while !text.optimize(TIDYING)? {
            if Instant::now() >= until {
                return Ok(false);
            }
        }
        text.note(&Progress {
            entered: 0,
            ..progress.clone()
        })?;
        Ok(true)
    }

    /// See [`crate::store::Messages::narrow`]. Whatever is wrong with the full text index, the search
    /// goes on without it.
    pub(super) fn narrow_by_text(
        &self,
        mailbox: &MailboxName,
        scope: Scope,
        needle: &Needle,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, Verdict)>, StoreError> {
        let entries = self.read_entries(mailbox, uids)?;
        let path = self.text_path();
        if !self.options.fulltext || !path.exists() {
            return Ok(Vec::new());
        }
        let ids: Vec<EmailId> = entries.iter().map(|entry| entry.email_id).collect();
        let narrowed = FullText::open(&path).and_then(|text| text.narrow(scope, needle, &ids));
        let verdicts = match narrowed {
            Ok(verdicts) => verdicts,
            Err(error) => {
                tracing::warn!(user = %self.user, %error, "searching without the full text index");
                if error.is_damaged() {
                    FullText::open_anew(&path).map(drop).unwrap_or_else(|error| {
                        tracing::warn!(user = %self.user, %error, "cannot make the full text index anew");
                    });
                }
                return Ok(Vec::new());
            }
        };
        let uids = entries.into_iter().map(|entry| entry.uid);
        Ok(uids.zip(verdicts).collect())
    }
}

/// Gives an index a new name: its numbers are others now.
pub(super) fn new_epoch(transaction: &Transaction<'_>) -> Result<String, IndexError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = format!("{:x}P{}", since.as_nanos(), std::process::id());
    transaction.put_fact(EPOCH, &epoch)?;
    Ok(epoch)
}

// How many of these are read at a time.
fn some(wanted: &[Wanted]) -> usize {
    let mut bytes = 0;
    let few = wanted.iter().take_while(|wanted| {
        let before = bytes;
        bytes += wanted.size;
        before == 0 || bytes <= BATCH_BYTES
    });
    few.count()
}

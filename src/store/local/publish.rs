//! Stage and publish: how a message becomes durable, numbered and visible.
//!
//! Stage writes `tmp/<name>` and flushes it. Publish hands a ticket to whoever
//! holds the account's index at the moment: one transaction, and one flush for each
//! folder, serve all deliveries that wait. Within it, for each copy: allocate the
//! UID, move the file into `new/` or `cur/` without replacing; then flush the
//! folders, insert the rows, commit. Once the folder is flushed the delivery
//! stands, even where the commit fails: the next reconcile adds the row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::index::{Durability, FileRow, Index, MailboxRow, MessageRow, NewContent, Step, Transaction};
use crate::mail::{DeliveryId, Flags, MailboxName, ModSeq, Placement, Uid};
use crate::maildir::{Disk, DiskError, KeywordLetters, Minted, Place};
use crate::message::Letter;

use super::account::{LocalAccount, file_row, now, until};
use super::identity::placed_in;
use super::kept;
use super::letters::{assign_under, letters_of};
use super::lock;
use super::once;
use super::uidlist::Lists;
use super::underway::{Mark, settle};
use crate::maildir::Seen;
use crate::store::{Publication, Published, Staged, StoreError, Target};

/// A message in `tmp/`, removed when dropped.
#[derive(Debug)]
pub(super) struct LocalStaged<'account> {
    account: &'account LocalAccount,
    files: StagedFiles,
}

/// The file of a message, and those of its editions with the mailboxes that get them.
#[derive(Debug)]
struct StagedFiles {
    message: StagedFile,
    editions: Vec<(Vec<MailboxName>, StagedFile)>,
}

impl StagedFiles {
    fn for_mailbox(&self, mailbox: &MailboxName) -> &StagedFile {
        let edition = self.editions.iter().find(|(mailboxes, _)| mailboxes.contains(mailbox));
        edition.map_or(&self.message, |(_, file)| file)
    }
}

/// The file, and what the index will keep of it.
#[derive(Debug)]
struct StagedFile {
    path: PathBuf,
    minted: Minted,
    /// The redelivery key; none for what is no delivery.
    key: Option<u64>,
    size: u64,
    content: NewContent,
    written: i64,
    /// Whether it has left `tmp/` for its mailbox.
    gone: AtomicBool,
}

/// Removes a file in `tmp/` where writing it failed.
struct Unfinished(Option<PathBuf>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::Relaxed) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A delivery that waits to be published, and its result.
#[derive(Debug)]
pub(super) struct Ticket {
    files: StagedFiles,
    publication: Publication,
    result: Mutex<Option<Result<Published, StoreError>>>,
}

impl<'account> LocalStaged<'account> {
    pub(super) fn write(
        account: &'account LocalAccount,
        letter: &Letter,
        key: Option<u64>,
        internal_date: Option<i64>,
    ) -> Result<LocalStaged<'account>, StoreError> {
        LocalStaged::write_to(&account.options.disk, account, letter, key, internal_date)
    }

    /// As [`Self::write`]; whoever publishes it flushes it before.
    pub(super) fn write_unflushed(
        account: &'account LocalAccount,
        letter: &Letter,
        internal_date: Option<i64>,
    ) -> Result<LocalStaged<'account>, StoreError> {
        let disk = Disk {
            fsync: false,
            ..account.options.disk
        };
        LocalStaged::write_to(&disk, account, letter, None, internal_date)
    }

    fn write_to(
        disk: &Disk,
        account: &'account LocalAccount,
        letter: &Letter,
        key: Option<u64>,
        internal_date: Option<i64>,
    ) -> Result<LocalStaged<'account>, StoreError> {
        let minted = Minted::new(&account.options.host, key, letter.stored_size(), letter.crlf_size());
        let path = account
            .folders
            .folder(&MailboxName::inbox())
            .tmp()
            .join(minted.as_str());
        let create = || match disk.create(&path) {
            // Another program took the Maildir away from under the open account. Where the index went too, the account
            // is another's now: who tries again opens what is there then.
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound && account.is_current() => {
                account.folders.create(disk, &MailboxName::inbox())?;
                disk.create(&path)
            }
            created => created,
        };
        let mut unfinished = Unfinished(Some(path.clone()));
        let (metadata, digest) = once::write(disk, letter, &path, internal_date, create)?;
        let content = kept::of_letter(letter, &digest).map_err(DiskError::at("write", &path))?;
        unfinished.0 = None;
        let file = StagedFile {
            path,
            minted,
            key,
            size: letter.crlf_size(),
            content,
            // INTERNALDATE is the file's time, so that an index made anew says the same.
            written: metadata.mtime(),
            gone: AtomicBool::new(false),
        };
        let files = StagedFiles {
            message: file,
            editions: Vec::new(),
        };
        Ok(LocalStaged { account, files })
    }

    /// What waits to be published.
    pub(super) fn ticket(self, publication: Publication) -> Arc<Ticket> {
        Arc::new(Ticket {
            files: self.files,
            publication,
            result: Mutex::new(None),
        })
    }
}

impl Staged for LocalStaged<'_> {
    fn add_edition(&mut self, letter: &Letter, mailboxes: &[MailboxName]) -> Result<(), StoreError> {
        let written = LocalStaged::write(self.account, letter, self.files.message.key, None)?;
        self.files.editions.push((mailboxes.to_vec(), written.files.message));
        Ok(())
    }

    fn publish(self: Box<Self>, publication: Publication) -> Result<Published, StoreError> {
        let account = self.account;
        let ticket = self.ticket(publication);
        let is_done = |ticket: &Ticket| lock(&ticket.result).is_some();
        account.waiting.join(&ticket, is_done, |batch| {
            let mut index = lock(&account.index);
            let mut results = account.publish_batch(&mut index, batch);
            account.retry_damaged(&mut index, batch, &mut results);
            drop(index);
            for (ticket, result) in batch.iter().zip(results) {
                *lock(&ticket.result) = Some(result);
            }
        });
        // Whoever took the batch answers all of it; without an answer he died on the way.
        lock(&ticket.result).take().unwrap_or_else(|| Err(account.under_way()))
    }
}

/// The rows of the mailboxes that a batch goes into, and Dovecot's lists of them.
struct Boxes<'batch> {
    rows: BTreeMap<MailboxName, MailboxRow>,
    lists: &'batch mut Lists,
}

/// What became of the deliveries of a batch, in its order.
type Results = Vec<Result<Published, StoreError>>;

/// A copy whose file lies in its mailbox, before its row is written.
struct Placed<'batch> {
    /// The delivery's place in the batch.
    at: usize,
    ticket: &'batch Ticket,
    staged: &'batch StagedFile,
    mailbox: MailboxName,
    /// Its numbers; none where it gets them later, because Dovecot held its list.
    numbers: Option<(Uid, ModSeq)>,
    flags: &'batch Flags,
    file: FileRow,
}

impl LocalAccount {
    fn publish_batch(&self, index: &mut Index, batch: &[Arc<Ticket>]) -> Results {
        let published = self.publish(index, batch);
        published.unwrap_or_else(|error| vec![Err(error); batch.len()])
    }

    // A damaged index holds no delivery up: those that met it go into a new one.
    fn retry_damaged(&self, index: &mut Index, batch: &[Arc<Ticket>], results: &mut [Result<Published, StoreError>]) {
        let damage = |result: &Result<Published, StoreError>| {
            let error = result.as_ref().err().filter(|error| self.is_of_index(error));
            error.cloned()
        };
        let Some(first) = results.iter().find_map(damage) else {
            return;
        };
        if self.mend(index, &first).is_err() {
            return;
        }
        let met: Vec<usize> = (0..batch.len()).filter(|at| damage(&results[*at]).is_some()).collect();
        let again: Vec<_> = met.iter().map(|at| batch[*at].clone()).collect();
        for (at, result) in met.into_iter().zip(self.publish_batch(index, &again)) {
            results[at] = result;
        }
    }

    /// Publishes a batch; the results are in its order. An error is one that met all of it
    /// before anything was durable.
    pub(super) fn publish(&self, index: &mut Index, batch: &[Arc<Ticket>]) -> Result<Results, StoreError> {
        self.catch_up(index)?;
        if let Some(results) = self.publish_unless_undone(index, batch)? {
            return Ok(results);
        }
        self.catch_up_with_all(index)?;
        // Else another process died just now; the next try takes in what it left.
        let published = self.publish_unless_undone(index, batch)?;
        published.ok_or_else(|| self.under_way())
    }

    // Does nothing where a publication before did not come to its end.
    fn publish_unless_undone(&self, index: &mut Index, batch: &[Arc<Ticket>]) -> Result<Option<Results>, StoreError> {
        let targets = batch.iter().flat_map(|ticket| &ticket.publication.targets);
        let mut lists = self.lock_lists(targets.map(|target| &target.mailbox));
        let transaction = index.begin(Durability::Process)?;
        let Some(mark) = self.turn_mark(&transaction)? else {
            return Ok(None);
        };
        let mut boxes = Boxes {
            rows: BTreeMap::new(),
            lists: &mut lists,
        };
        let mut placed = Vec::new();
        let mut results = Vec::new();
        for (at, ticket) in batch.iter().enumerate() {
            let before = self.place_all(&transaction, &mut boxes, (at, ticket), &mut placed);
            results.push(before.map(|before| before.map_or(Published::Placed(Vec::new()), Published::Before)));
        }
        self.enter_all(boxes.lists, &mut placed, &mut results);
        self.flush_folders(&mut placed, &mut results);
        for copy in &placed {
            if let Ok(Published::Placed(placements)) = &mut results[copy.at] {
                placements.push(Placement {
                    mailbox: copy.mailbox.clone(),
                    uid: copy.numbers.map(|(uid, _)| uid),
                });
            }
        }
        // All that is placed is durable: from here on no failure takes a 250 back.
        if let Err(error) = self.record((transaction, mark), boxes.rows, &placed, batch.iter().zip(&results)) {
            self.behind.store(true, Ordering::Relaxed);
            self.ahead.store(true, Ordering::Relaxed);
            tracing::warn!(user = %self.user, %error, "delivered, but the index could not be written; it is mended at the next delivery");
        }
        let copies = placed.iter().map(|copy| {
            let quota = copy.ticket.publication.quota.as_ref();
            (quota, &copy.mailbox, &copy.file, copy.staged.size)
        });
        self.grow_maildirsize(index, copies);
        Ok(Some(results))
    }

    /// Moves the copies of one delivery into their mailboxes. Answers the earlier
    /// delivery where there is nothing left to do.
    fn place_all<'batch>(
        &self,
        transaction: &Transaction<'_>,
        boxes: &mut Boxes<'_>,
        (at, ticket): (usize, &'batch Ticket),
        placed: &mut Vec<Placed<'batch>>,
    ) -> Result<Option<DeliveryId>, StoreError> {
        let Some(key) = ticket.files.message.key else {
            for target in &ticket.publication.targets {
                self.mailbox_row(transaction, boxes, &target.mailbox)?;
                // Who appends is told the UID, and can try again.
                if !boxes.lists.may_number(&target.mailbox) {
                    return Err(self.list_is_held(&target.mailbox));
                }
            }
            let targets: Vec<&Target> = ticket.publication.targets.iter().collect();
            self.check_room(transaction, boxes, ticket, &targets, placed)?;
            self.place_in(boxes, (at, ticket), &targets, placed)?;
            return Ok(None);
        };
        // Sent twice at once: whether the first stands is not known yet.
        if placed.iter().any(|copy| copy.staged.key == Some(key)) {
            return Err(self.under_way());
        }
        if let Some(before) = transaction.step(key, &Step::Done)? {
            transaction.touch_steps(key, now())?;
            return Ok(Some(before));
        }
        let mut before = None;
        let mut left = Vec::new();
        for target in &ticket.publication.targets {
            let row = self.mailbox_row(transaction, boxes, &target.mailbox)?;
            match transaction.step(key, &placed_in(row))? {
                Some(id) => before = Some(id),
                None => left.push(target),
            }
        }
        if left.is_empty() {
            // A new index knows the copies from their names, but not that they were all.
            if let Some(before) = &before {
                transaction.put_step(key, &Step::Done, before, now())?;
            }
            return Ok(before);
        }
        // A delivery that was done in part is done to its end.
        if before.is_none() {
            self.check_room(transaction, boxes, ticket, &left, placed)?;
        }
        self.place_in(boxes, (at, ticket), &left, placed)?;
        Ok(None)
    }

    fn check_room(
        &self,
        transaction: &Transaction<'_>,
        boxes: &Boxes<'_>,
        ticket: &Ticket,
        targets: &[&Target],
        placed: &[Placed<'_>],
    ) -> Result<(), StoreError> {
        let Some(quota) = &ticket.publication.quota else {
            return Ok(());
        };
        let copies = targets.iter().map(|target| &target.mailbox);
        let copies = copies.map(|name| (name, ticket.files.for_mailbox(name).size));
        let others = placed.iter().map(|copy| (&copy.mailbox, copy.staged.size));
        self.check_quota(transaction, &boxes.rows, quota, copies, others)
    }

    fn place_in<'batch>(
        &self,
        boxes: &mut Boxes<'_>,
        delivery: (usize, &'batch Ticket),
        targets: &[&'batch Target],
        placed: &mut Vec<Placed<'batch>>,
    ) -> Result<(), StoreError> {
        let staged = |target: &&'batch Target| delivery.1.files.for_mailbox(&target.mailbox);
        for (nth, target) in targets.iter().enumerate() {
            let file = staged(target);
            let last = !targets[nth + 1..].iter().any(|later| std::ptr::eq(staged(later), file));
            self.place(boxes, delivery, (target, file), last, placed)?;
        }
        Ok(())
    }

    fn mailbox_row<'boxes>(
        &self,
        transaction: &Transaction<'_>,
        boxes: &'boxes mut Boxes<'_>,
        name: &MailboxName,
    ) -> Result<&'boxes mut MailboxRow, StoreError> {
        let Boxes { rows, lists } = boxes;
        if !rows.contains_key(name) {
            // Whoever chose it asked for all of its parts.
            if !self.folders.folder(name).path().is_dir() {
                return Err(StoreError::NoMailbox {
                    user: self.user.clone(),
                    name: name.clone(),
                });
            }
            // A row taken in by half would say that its numbers begin at one.
            let identified = transaction.whole(|| {
                let mut identified = self.identify(transaction, name, lists)?;
                if identified.past_mark {
                    self.reconcile_mailbox(transaction, &mut identified, true, lists)?;
                }
                self.prepare_numbers(transaction, &mut identified, lists)?;
                Ok::<_, StoreError>(identified)
            })?;
            rows.insert(name.clone(), identified.row);
        }
        Ok(rows.get_mut(name).expect("it was inserted above where it was missing"))
    }

    fn place<'batch>(
        &self,
        boxes: &mut Boxes<'_>,
        (at, ticket): (usize, &'batch Ticket),
        (target, staged): (&'batch Target, &'batch StagedFile),
        last: bool,
        placed: &mut Vec<Placed<'batch>>,
    ) -> Result<(), StoreError> {
        let row = boxes
            .rows
            .get_mut(&target.mailbox)
            .expect("place_all looked up each target's row");
        let folder = self.folders.folder(&target.mailbox);
        let numbers = match self.number(row, boxes.lists)? {
            Some(uid) => Some((uid, self.next_modseq(row)?)),
            None => None,
        };
        let held = boxes.lists.lock_of(&target.mailbox);
        let keywords = match boxes.lists.are_shared() && held.is_none() {
            // It was waited for once already, and the index is held.
            true => KeywordLetters::read(folder.path())?,
            false => assign_under(&self.options.disk, folder.path(), [&target.flags], held)?,
        };
        let seen = Seen {
            base: match numbers {
                Some((uid, _)) => staged.minted.with_uid(uid, row.validity),
                None => staged.minted.as_str().to_owned(),
            },
            letters: letters_of(&target.flags, &keywords, ""),
            place: if target.flags.is_empty() {
                Place::New
            } else {
                Place::Cur
            },
        };
        let to = folder.path().join(seen.relative_path());
        if self.move_or_link(&staged.path, &folder.tmp(), &to, last)? {
            staged.gone.store(true, Ordering::Relaxed);
        }
        placed.push(Placed {
            at,
            ticket,
            staged,
            mailbox: target.mailbox.clone(),
            numbers,
            flags: &target.flags,
            file: file_row(&seen),
        });
        Ok(())
    }

    // The last copy is the staged file itself, the others are links to it. Where the
    // file system has no links, or the folder lies on another, the bytes are copied. Answers whether it was moved.
    pub(super) fn move_or_link(&self, staged: &Path, tmp: &Path, to: &Path, last: bool) -> Result<bool, DiskError> {
        let disk = &self.options.disk;
        let moved = match last {
            true => disk.rename_new(staged, to),
            false => fs::hard_link(staged, to).map_err(DiskError::at("link a message to", to)),
        };
        let Err(error) = moved else { return Ok(last) };
        use rustix::io::Errno;
        let code = error.source.raw_os_error().map(Errno::from_raw_os_error);
        let elsewhere = [Errno::XDEV, Errno::PERM, Errno::OPNOTSUPP, Errno::MLINK, Errno::NOSYS];
        if !code.is_some_and(|code| elsewhere.contains(&code)) {
            return Err(error);
        }
        let name = staged.file_name().unwrap_or_default();
        let mut copy = tmp.join(name).into_os_string();
        copy.push(".copy");
        let copy = PathBuf::from(copy);
        let copied = disk.create(&copy).and_then(|mut target| {
            let mut source = fs::File::open(staged).map_err(DiskError::at("open", staged))?;
            std::io::copy(&mut source, &mut target).map_err(DiskError::at("write", &copy))?;
            // INTERNALDATE is that of the staged file.
            let written = source.metadata().and_then(|metadata| metadata.modified());
            written
                .and_then(|time| target.set_modified(time))
                .map_err(DiskError::at("write", &copy))?;
            disk.flush(&target, &copy)?;
            disk.rename_new(&copy, to)
        });
        if copied.is_err() {
            let _ = fs::remove_file(&copy);
        }
        copied.map(|()| false)
    }

    // The lines of Dovecot's lists, one flush for each.
    fn enter_all(
        &self,
        lists: &mut Lists,
        placed: &mut Vec<Placed<'_>>,
        results: &mut [Result<Published, StoreError>],
    ) {
        let names: BTreeSet<MailboxName> = match lists.are_shared() {
            true => placed.iter().map(|copy| copy.mailbox.clone()).collect(),
            false => return,
        };
        for name in names {
            let numbered = |copy: &Placed<'_>| copy.numbers.is_some() && copy.mailbox == name;
            let copies = placed.iter().filter(|copy| numbered(copy));
            let new: Vec<(Uid, &str)> = copies
                .filter_map(|copy| Some((copy.numbers?.0, copy.file.base.as_str())))
                .collect();
            if let Err(error) = self.enter(lists, &name, &new) {
                self.take_back(placed, results, &error.into(), numbered);
            }
        }
    }

    // One flush for each folder.
    fn flush_folders(&self, placed: &mut Vec<Placed<'_>>, results: &mut [Result<Published, StoreError>]) {
        let part = |copy: &Placed<'_>| {
            let folder = self.folders.folder(&copy.mailbox);
            if copy.file.in_cur { folder.cur() } else { folder.new_() }
        };
        let parts: BTreeSet<PathBuf> = placed.iter().map(part).collect();
        for path in parts {
            if let Err(error) = self.options.disk.flush_folder(&path) {
                self.take_back(placed, results, &error.into(), |copy| part(copy) == path);
            }
        }
    }

    // A delivery whose folder could not be flushed failed, and its files are taken back as far
    // as they can be.
    fn take_back(
        &self,
        placed: &mut Vec<Placed<'_>>,
        results: &mut [Result<Published, StoreError>],
        error: &StoreError,
        failed: impl Fn(&Placed<'_>) -> bool,
    ) {
        placed.retain(|copy| {
            if !failed(copy) {
                return true;
            }
            let seen = super::account::seen(&copy.file);
            let _ = fs::remove_file(self.folders.folder(&copy.mailbox).path().join(seen.relative_path()));
            results[copy.at] = Err(error.clone());
            false
        });
    }

    fn record<'batch>(
        &self,
        (transaction, mark): (Transaction<'_>, Mark),
        mut boxes: BTreeMap<MailboxName, MailboxRow>,
        placed: &[Placed<'_>],
        batch: impl Iterator<Item = (&'batch Arc<Ticket>, &'batch Result<Published, StoreError>)>,
    ) -> Result<(), StoreError> {
        let now = now();
        for copy in placed {
            let row = boxes
                .get_mut(&copy.mailbox)
                .expect("a copy was placed, so its row is here");
            let (file, publication) = (copy.staged, &copy.ticket.publication);
            if let Some((uid, modseq)) = copy.numbers {
                let new = MessageRow {
                    uid,
                    modseq,
                    flags: copy.flags.clone(),
                    internal_date: file.written,
                    save_date: now,
                    size: file.size,
                    file: copy.file.clone(),
                    content: transaction.put_content(&file.content)?,
                };
                transaction.insert_message(row, &new)?;
            }
            if let Some(key) = file.key {
                transaction.put_step(key, &placed_in(row), &publication.id, now)?;
            }
        }
        for row in boxes.values() {
            transaction.update_mailbox(row)?;
        }
        settle(&transaction, mark)?;
        for (ticket, result) in batch {
            let Ok(Published::Placed(placements)) = result else {
                continue;
            };
            let Publication {
                id, remember, history, ..
            } = &ticket.publication;
            if let Some(key) = ticket.files.message.key {
                transaction.put_step(key, &Step::Done, id, now)?;
            }
            for (what, seconds) in remember {
                transaction.remember(what, until(now, *seconds))?;
            }
            if let Some(mut record) = history.clone() {
                record.placed(placements);
                self.put_history(&transaction, &record)?;
            }
        }
        if self.is_time_to_forget(&transaction, now)? {
            self.forget(&transaction, now)?;
        }
        Ok(transaction.commit()?)
    }
}

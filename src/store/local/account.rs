//! One account: opening it, and what deliveries ask.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::index::{
    Counts, Durability, FileRow, HistoryKey, Index, MailboxRow, Record, Remembered, Step, Transaction, Verdict,
};
use crate::mail::{
    AnnotationName, Annotations, Crossing, DeliveryId, Flags, MailboxName, ModSeq, Quota, SpecialUse, Threshold, Uid,
    UidSet, UidValidity, Usage,
};
use crate::maildir::{Folders, Place, Seen};
use crate::message::{Letter, Message, Needle, Scope};

use super::founding::Founding;
use super::pool::Pool;
use super::publish::{LocalStaged, Ticket};
use super::uidlist::Lists;
use super::underway::settle;
use super::{Options, lock, mending};
use crate::store::{
    Account, Alteration, Altered, Body, Changes, Deliveries, Detail, Entry, Explained, Incoming, MailboxStatus,
    Mailboxes, Messages, Recount, Removed, Staged, StoreError, Transferred, Watch,
};

/// The name of the index in its folder.
pub(super) const INDEX: &str = "index.sqlite";
/// The fact that names the last start of the machine at which an account was whole.
const BOOT: &str = "boot";

/// An open account.
#[derive(Debug)]
pub(super) struct LocalAccount {
    pub(super) user: String,
    pub(super) options: Arc<Options>,
    pub(super) folders: Folders,
    pub(super) index: Mutex<Index>,
    /// Deliveries that wait to be published.
    pub(super) waiting: Pool<Ticket>,
    /// Set when a commit failed after its files were published: the index lacks them.
    pub(super) behind: AtomicBool,
    /// Set with it where numbers were answered that the index does not know.
    pub(super) ahead: AtomicBool,
    /// When to forget again what has had its time, in seconds since 1970; 0: not known since the account was opened.
    pub(super) forget_at: AtomicI64,
    /// Set when messages went: their words and cards are to go too.
    pub(super) shrunk: AtomicBool,
    /// Held by the one who tends.
    pub(super) tending: Mutex<()>,
    /// Set when it was tended and nothing came since: nobody opens it soon.
    pub(super) tended: AtomicBool,
    /// When to look again for removed messages that had their time.
    pub(super) purge_at: AtomicI64,
    /// The quota of the last delivery, for what is written down for other programs.
    pub(super) quota: Mutex<Option<Quota>>,
    home: PathBuf,
    pub(super) index_path: PathBuf,
    /// Device and inode of the index: another file under its name ends this opening.
    pub(super) identity: Mutex<(u64, u64)>,
    /// Held while the index closes, so declared behind it: see [`mending`].
    pub(super) closing: Mutex<Option<fs::File>>,
}

impl LocalAccount {
    pub(super) fn open(options: &Arc<Options>, user: &str, home: &Path) -> Result<LocalAccount, StoreError> {
        let folders = Folders::new(home.join(&options.maildir));
        let index_folder = index_folder(options, user, home);
        let index_path = index_folder.join(INDEX);
        let founding = Founding::of(options, &folders, &index_path);
        founding.make_folders(&folders, &index_folder)?;
        let (index, identity) = mending::open_sound(user, &index_path, founding.way_to_open())?;
        // Whether it is damaged is found below.
        let founded = index.fact(BOOT).is_ok_and(|boot| boot.is_some());
        let mut account = LocalAccount {
            user: user.to_owned(),
            options: founding.options.clone(),
            folders,
            identity: Mutex::new(identity),
            index: Mutex::new(index),
            waiting: Pool::default(),
            behind: AtomicBool::new(false),
            ahead: AtomicBool::new(false),
            shrunk: AtomicBool::new(false),
            tending: Mutex::new(()),
            tended: AtomicBool::new(false),
            forget_at: AtomicI64::new(0),
            purge_at: AtomicI64::new(0),
            quota: Mutex::default(),
            home: home.to_owned(),
            index_path,
            closing: Mutex::default(),
        };
        let starts = account.sound(|| account.recover(&mut lock(&account.index)))?;
        founding.finish(&account, founded)?;
        if starts {
            account.sound(|| account.note_boot(&mut lock(&account.index)))?;
        }
        account.options = options.clone();
        Ok(account)
    }

    /// Whether the index under this account's name is still the one that is open. Asked for
    /// each delivery, so it waits for nobody who publishes.
    pub(super) fn is_current(&self) -> bool {
        mending::identity_of(&self.index_path).is_some_and(|found| found == *lock(&self.identity))
    }

    /// Makes good what an index can have missed: one that is new knows nothing, one that
    /// was last open before the machine started, or whose log was blanked, may have lost its
    /// last commits, and a process that was killed may have left it behind the files. Answers whether
    /// the start of the machine is still to be noted.
    pub(super) fn recover(&self, index: &mut Index) -> Result<bool, StoreError> {
        let boot = Boot::now();
        let same = index.fact(BOOT)?.is_some_and(|last| boot.is(&last));
        if !index.is_fresh() && same && !index.is_lacking() {
            match index.is_migrated() {
                true => self.reconcile_all(index, false)?,
                false => self.catch_up_with_all(index)?,
            }
            self.read_unread(index)?;
            return Ok(false);
        }
        self.reconcile_all(index, true)?;
        self.read_unread(index)?;
        Ok(true)
    }

    /// Notes of a new index, or of one that the machine's start may have taken something from, that it is whole.
    pub(super) fn note_boot(&self, index: &mut Index) -> Result<(), StoreError> {
        let fresh = index.is_fresh();
        let transaction = index.begin(Durability::Process)?;
        transaction.put_fact(BOOT, &Boot::now().0)?;
        if fresh {
            self.note_forgetting(&transaction, now())?;
        }
        Ok(transaction.commit()?)
    }

    /// Makes good what a commit that failed left out.
    pub(super) fn catch_up(&self, index: &mut Index) -> Result<(), StoreError> {
        if self.behind.swap(false, Ordering::Relaxed) {
            self.reconcile_all(index, false)
                .inspect_err(|_| self.behind.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    }

    /// Changes files and rows in one transaction. Where it fails the rows are as before, the
    /// files perhaps not: the next who opens or changes the account takes in how they are.
    pub(super) fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.change_in(None, |transaction, _| work(transaction))
    }

    /// As [`Self::change`], where new messages come into a mailbox.
    pub(super) fn change_in<T>(
        &self,
        mailbox: Option<&MailboxName>,
        work: impl FnOnce(&Transaction<'_>, &mut Lists) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut index = lock(&self.index);
        self.catch_up_with_all(&mut index)?;
        let mut lists = self.lock_lists(mailbox);
        let transaction = index.begin(Durability::Power)?;
        // Else another process died just now; the next try takes in what it left.
        let turned = self.turn_mark(&transaction)?;
        let mark = turned.ok_or_else(|| self.under_way())?;
        let changes = transaction.changes();
        let done = work(&transaction, &mut lists);
        // What was refused changed no file, and what changed no row no file that has one.
        let refused = |error: &StoreError| {
            use StoreError::{Forbidden, MailboxExists, NoMailbox};
            matches!(error, NoMailbox { .. } | MailboxExists { .. } | Forbidden { .. })
        };
        if done.as_ref().map_or_else(refused, |_| transaction.changes() == changes) {
            self.turn_back(mark);
            return done;
        }
        let done = done.and_then(|done| {
            settle(&transaction, mark)?;
            transaction.commit()?;
            Ok(done)
        });
        if done.is_err() {
            self.behind.store(true, Ordering::Relaxed);
        }
        done
    }

    /// The row of a mailbox that must exist, within a transaction.
    pub(super) fn row_within(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
    ) -> Result<MailboxRow, StoreError> {
        transaction.mailbox(name)?.ok_or_else(|| self.no_mailbox(name))
    }

    /// The row of a mailbox that must exist.
    pub(super) fn row(&self, index: &Index, name: &MailboxName) -> Result<MailboxRow, StoreError> {
        index.mailbox(name)?.ok_or_else(|| self.no_mailbox(name))
    }

    pub(super) fn no_mailbox(&self, name: &MailboxName) -> StoreError {
        StoreError::NoMailbox {
            user: self.user.clone(),
            name: name.clone(),
        }
    }

    pub(super) fn under_way(&self) -> StoreError {
        StoreError::UnderWay {
            user: self.user.clone(),
        }
    }

    pub(super) fn path_below_home(&self, mailbox: &MailboxName, file: &FileRow) -> PathBuf {
        let path = self.folders.folder(mailbox).path().join(seen(file).relative_path());
        path.strip_prefix(&self.home).map(Path::to_owned).unwrap_or(path)
    }
}

impl Deliveries for LocalAccount {
    fn stage(&self, letter: &Letter, key: u64) -> Result<Box<dyn Staged + '_>, StoreError> {
        Ok(Box::new(LocalStaged::write(self, letter, Some(key), None)?))
    }

    fn step(&self, key: u64, step: &Step) -> Result<Option<DeliveryId>, StoreError> {
        self.sound(|| Ok(lock(&self.index).step(key, step)?))
    }

    fn put_step(&self, key: u64, step: &Step, id: &DeliveryId) -> Result<(), StoreError> {
        self.sound(|| {
            let mut index = lock(&self.index);
            let transaction = index.begin(Durability::Power)?;
            transaction.put_step(key, step, id, now())?;
            Ok(transaction.commit()?)
        })
    }

    fn remembers(&self, what: &Remembered) -> Result<bool, StoreError> {
        self.sound(|| Ok(lock(&self.index).remembers(what, now())?))
    }

    fn remember(&self, what: &Remembered, seconds: u64) -> Result<bool, StoreError> {
        self.sound(|| {
            let mut index = lock(&self.index);
            let now = now();
            let transaction = index.begin(Durability::Power)?;
            let new = !transaction.remembers(what, now)?;
            if new {
                transaction.remember(what, until(now, seconds))?;
                transaction.commit()?;
            }
            Ok(new)
        })
    }

    fn record(&self, record: &Record) -> Result<(), StoreError> {
        self.sound(|| self.write_history(record))
    }

    fn history(&self, key: &HistoryKey, limit: usize) -> Result<Vec<Explained>, StoreError> {
        self.sound(|| self.read_history(key, limit))
    }
}

impl Mailboxes for LocalAccount {
    fn mailboxes(&self) -> Result<Vec<MailboxStatus>, StoreError> {
        self.sound(|| {
            let rows = lock(&self.index).mailboxes()?;
            Ok(rows.into_iter().map(MailboxStatus::from).collect())
        })
    }

    fn status(&self, name: &MailboxName) -> Result<MailboxStatus, StoreError> {
        self.sound(|| Ok(self.row(&lock(&self.index), name)?.into()))
    }

    fn has_mailbox(&self, name: &MailboxName) -> Result<bool, StoreError> {
        Ok(self.folders.folder(name).exists())
    }

    fn create_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.sound(|| self.make_mailbox(name))
    }

    fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<(), StoreError> {
        self.sound(|| self.rename(from, to))
    }

    fn delete_mailbox(&self, name: &MailboxName) -> Result<(), StoreError> {
        self.sound(|| self.delete(name))
    }

    fn set_special_use(&self, name: &MailboxName, special_use: Option<SpecialUse>) -> Result<(), StoreError> {
        self.sound(|| self.mark_special_use(name, special_use))
    }

    fn subscriptions(&self) -> Result<BTreeSet<MailboxName>, StoreError> {
        self.sound(|| self.read_subscriptions())
    }

    fn subscribe(&self, name: &MailboxName, subscribed: bool) -> Result<(), StoreError> {
        self.sound(|| self.alter_subscription(name, subscribed))
    }

    fn annotations(&self, mailbox: Option<&MailboxName>) -> Result<Annotations, StoreError> {
        self.read_annotations(mailbox)
    }

    fn set_annotation(
        &self,
        mailbox: Option<&MailboxName>,
        name: &AnnotationName,
        value: Option<&str>,
    ) -> Result<(), StoreError> {
        self.sound(|| self.annotate(mailbox, name, value))
    }
}

impl Messages for LocalAccount {
    fn entries(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Entry>, StoreError> {
        self.sound(|| self.read_entries(mailbox, uids))
    }

    fn flags(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<(Uid, ModSeq, Flags)>, StoreError> {
        self.sound(|| self.read_flags(mailbox, uids))
    }

    fn details(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Detail>, StoreError> {
        self.sound(|| self.read_details(mailbox, uids))
    }

    fn open(&self, mailbox: &MailboxName, uid: Uid) -> Result<Box<dyn Body>, StoreError> {
        self.sound(|| self.open_message(mailbox, uid))
    }

    fn alter(
        &self,
        mailbox: &MailboxName,
        uids: &UidSet,
        alteration: &Alteration,
        unchanged_since: Option<ModSeq>,
    ) -> Result<Altered, StoreError> {
        self.sound(|| self.alter_flags(mailbox, uids, alteration, unchanged_since))
    }

    fn copy(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError> {
        self.sound_next_time(|| self.transfer(mailbox, uids, to, false))
    }

    fn move_to(&self, mailbox: &MailboxName, uids: &UidSet, to: &MailboxName) -> Result<Transferred, StoreError> {
        self.sound_next_time(|| self.transfer(mailbox, uids, to, true))
    }

    fn append(
        &self,
        mailbox: &MailboxName,
        message: &Message,
        flags: &Flags,
        internal_date: Option<i64>,
    ) -> Result<(UidValidity, Uid), StoreError> {
        self.sound_next_time(|| self.append_message(mailbox, message, flags, internal_date))
    }

    fn append_all(&self, mailbox: &MailboxName, messages: &[Incoming]) -> Result<Vec<Uid>, StoreError> {
        self.append_together(mailbox, messages)
    }

    fn expunge(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError> {
        self.sound(|| self.take_out(mailbox, uids, true))
    }

    fn remove(&self, mailbox: &MailboxName, uids: &UidSet) -> Result<Vec<Uid>, StoreError> {
        self.sound(|| self.take_out(mailbox, uids, false))
    }

    fn changes(&self, mailbox: &MailboxName, since: ModSeq) -> Result<Changes, StoreError> {
        self.sound(|| self.read_changes(mailbox, since))
    }

    fn narrow(
        &self,
        mailbox: &MailboxName,
        scope: Scope,
        needle: &Needle,
        uids: &UidSet,
    ) -> Result<Vec<(Uid, Verdict)>, StoreError> {
        self.sound(|| self.narrow_by_text(mailbox, scope, needle, uids))
    }

    fn watch(&self, mailbox: &MailboxName) -> Result<Box<dyn Watch + '_>, StoreError> {
        Ok(Box::new(self.sound(|| self.begin_watch(mailbox))?))
    }
}

impl Account for LocalAccount {
    fn reconcile(&self) -> Result<(), StoreError> {
        self.sound(|| {
            let mut index = lock(&self.index);
            self.reconcile_all(&mut index, false)?;
            self.mend_maildirsize(&mut index);
            Ok(())
        })
    }

    fn usage(&self) -> Result<Counts, StoreError> {
        self.sound(|| Ok(lock(&self.index).usage()?))
    }

    fn quota_usage(&self, quota: &Quota) -> Result<Usage, StoreError> {
        self.sound(|| self.used(quota))
    }

    fn quota_crossings(&self, quota: &Quota, thresholds: &[Threshold]) -> Result<Vec<Crossing>, StoreError> {
        self.sound(|| self.crossed(quota, thresholds))
    }

    fn recount(&self, quota: &Quota) -> Result<Recount, StoreError> {
        self.sound(|| self.count_anew(quota))
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        self.sound(|| self.findings())
    }

    fn tend(&self, until: Instant) -> Result<bool, StoreError> {
        self.sound(|| self.tend_until(until))
    }

    fn removed(&self) -> Result<Vec<Removed>, StoreError> {
        self.list_removed()
    }

    fn restore(&self, id: &str) -> Result<(MailboxName, Uid), StoreError> {
        self.sound_next_time(|| self.bring_back(id))
    }

    fn is_indexed_anew(&self) -> bool {
        lock(&self.index).is_fresh()
    }

    fn rebuild(&self) -> Result<(), StoreError> {
        self.sound(|| self.rebuild_index())
    }
}

impl From<MailboxRow> for MailboxStatus {
    fn from(row: MailboxRow) -> MailboxStatus {
        MailboxStatus {
            name: row.name,
            mailbox_id: row.mailbox_id,
            validity: row.validity,
            uid_next: row.uid_next,
            highest_modseq: row.highest_modseq,
            special_use: row.special_use,
            counts: row.counts,
        }
    }
}

/// Where the index of an account lies.
pub(super) fn index_folder(options: &Options, user: &str, home: &Path) -> PathBuf {
    match &options.index_root {
        Some(root) => root.join(user),
        None => home.to_owned(),
    }
}

/// Seconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// When something remembered now for some seconds ends.
pub(super) fn until(now: i64, seconds: u64) -> i64 {
    now.saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX))
}

pub(super) fn seen(file: &FileRow) -> Seen {
    let place = if file.in_cur { Place::Cur } else { Place::New };
    Seen {
        base: file.base.clone(),
        letters: file.letters.clone(),
        place,
    }
}

pub(super) fn file_row(seen: &Seen) -> FileRow {
    FileRow {
        base: seen.base.clone(),
        letters: seen.letters.clone(),
        in_cur: seen.place == Place::Cur,
    }
}

/// What names the time since the machine last started, as long as the page cache lives.
struct Boot(String);

impl Boot {
    fn now() -> Boot {
        static ID: LazyLock<String> = LazyLock::new(|| {
            let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
            id.trim().to_owned()
        });
        match ID.as_str() {
            "" => Boot::since(now()),
            id => Boot(id.to_owned()),
        }
    }

    // Containers may hide /proc: then the time of the start, as the clocks tell it.
    fn since(now: i64) -> Boot {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime).tv_sec;
        Boot(format!("since {}", now - up))
    }

    fn is(&self, stored: &str) -> bool {
        // Clocks are set by a little now and then; a machine takes longer to start.
        const TOLERANCE: u64 = 5;
        let seconds = |text: &str| text.strip_prefix("since ")?.parse::<i64>().ok();
        match (seconds(&self.0), seconds(stored)) {
            (Some(now), Some(then)) => now.abs_diff(then) <= TOLERANCE,
            _ => self.0 == stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_known_again_with_and_without_proc() {
        let boot = Boot::now();
        assert!(!boot.0.is_empty() && boot.is(&boot.0) && !boot.is("") && !boot.is("since 0"));
        let hidden = Boot::since(now());
        assert!(hidden.is(&Boot::since(now() + 3).0));
        assert!(!hidden.is(&Boot::since(now() + 60).0));
        assert!(!hidden.is(&boot.0));
    }
}

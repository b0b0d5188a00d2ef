//! UIDs that are shared with Dovecot: `[store] dovecot_uidlist`.
//!
//! With the setting, whoever gives a UID in a folder holds Dovecot's lock on its
//! `dovecot-uidlist` from before the index's transaction until the file is in its place and the
//! list has its line. The UID is the larger of both sides' next, and what Dovecot numbered
//! meanwhile is taken in first, so that UIDs appear in their order. Who cannot have the lock
//! within a second gives no UID: the file is numbered by Dovecot, or by a later reconcile.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use crate::index::{MailboxRow, Transaction};
use crate::mail::{MailboxName, Uid};
use crate::maildir::{DiskError, DovecotUidList, UidListEnd, UidListLock};
use crate::store::StoreError;

use super::account::LocalAccount;
use super::identity::Identified;

/// How long one batch of changes waits for Dovecot.
const PATIENCE: Duration = Duration::from_secs(1);

/// The locks that are held for one transaction, and what is known of the lists behind them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    shared: bool,
    held: BTreeMap<MailboxName, Held>,
}

#[derive(Debug)]
struct Held {
    lock: UidListLock,
    /// The end of the list, where the mailbox is at one with it.
    end: Option<UidListEnd>,
}

impl Lists {
    /// The lock on a mailbox's list, where it is held.
    pub(super) fn lock_of(&self, name: &MailboxName) -> Option<&UidListLock> {
        self.held.get(name).map(|held| &held.lock)
    }

    /// Whether Dovecot's list says what the UIDs are.
    pub(super) fn are_shared(&self) -> bool {
        self.shared
    }

    /// Whether UIDs can be given in a mailbox.
    pub(super) fn may_number(&self, name: &MailboxName) -> bool {
        !self.shared || self.held.get(name).is_some_and(|held| held.end.is_some())
    }
}

impl LocalAccount {
    /// Takes the locks of these mailboxes' lists, before a transaction begins; none without the
    /// setting. One that cannot be had in time is left out.
    pub(super) fn lock_lists<'a>(&self, names: impl IntoIterator<Item = &'a MailboxName>) -> Lists {
        let mut lists = Lists {
            shared: self.options.dovecot_uidlist,
            ..Lists::default()
        };
        if !lists.shared {
            return lists;
        }
        let end = Instant::now() + PATIENCE;
        // All take them in the same order.
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            let left = end.saturating_duration_since(Instant::now());
            match UidListLock::acquire(self.folders.folder(name).path(), left) {
                Ok(Some(lock)) => drop(lists.held.insert(name.clone(), Held { lock, end: None })),
                Ok(None) => {
                    tracing::info!(user = %self.user, mailbox = %name, "another program holds dovecot-uidlist; messages are numbered later");
                }
                // A folder that is not there is told of elsewhere.
                Err(error) if error.source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    tracing::warn!(user = %self.user, mailbox = %name, %error, "cannot lock dovecot-uidlist; messages are numbered later");
                }
            }
        }
        lists
    }

    /// Makes ready to give UIDs in a mailbox whose lock is held: the list is there, it names the
    /// mailbox's UIDVALIDITY, and the index knows all that Dovecot numbered.
    pub(super) fn prepare_numbers(
        &self,
        transaction: &Transaction<'_>,
        identified: &mut Identified,
        lists: &mut Lists,
    ) -> Result<(), StoreError> {
        let name = identified.row.name.clone();
        let Some(held) = lists.held.get_mut(&name) else {
            return Ok(());
        };
        let end = match UidListEnd::read(&held.lock)? {
            Some(end) => Some(end),
            None => self.write_list(transaction, &identified.row, &held.lock, &[])?,
        };
        // Under another UIDVALIDITY the mailbox is numbered anew, which is no work for a delivery.
        let Some(end) = end.filter(|end| end.validity == identified.row.validity) else {
            return Ok(());
        };
        if end.next > identified.row.uid_next {
            self.reconcile_mailbox(transaction, identified, false, lists)?;
        }
        identified.row.uid_next = identified.row.uid_next.max(end.next);
        if let Some(held) = lists.held.get_mut(&name) {
            // Lines may have been added just now.
            held.end = UidListEnd::read(&held.lock)?;
        }
        Ok(())
    }

    /// The UID of a new message; none where Dovecot's lock could not be had.
    pub(super) fn number(&self, row: &mut MailboxRow, lists: &Lists) -> Result<Option<Uid>, StoreError> {
        match lists.may_number(&row.name) {
            true => self.next_uid(row).map(Some),
            false => Ok(None),
        }
    }

    /// Enters new messages in the list of a mailbox, durably; nothing without the setting.
    pub(super) fn enter(&self, lists: &mut Lists, name: &MailboxName, new: &[(Uid, &str)]) -> Result<(), DiskError> {
        let Some(Held { lock, end: Some(end) }) = lists.held.get_mut(name).filter(|_| !new.is_empty()) else {
            return Ok(());
        };
        self.keep_lock(lock)?;
        end.append(&self.options.disk, lock, new)
    }

    /// Dovecot's list of a mailbox as a whole, to which lines can be added; none where the lock is
    /// not held, or the mailbox is not at one with it. Where Dovecot has none yet, one is written
    /// with all that the index has and these files, whose rows are still to come.
    pub(super) fn shared_list(
        &self,
        transaction: &Transaction<'_>,
        row: &MailboxRow,
        lists: &Lists,
        coming: &[(Uid, &str)],
    ) -> Result<Option<DovecotUidList>, StoreError> {
        let Some(lock) = lists.lock_of(&row.name) else {
            return Ok(None);
        };
        let list = match DovecotUidList::read(lock.folder())? {
            Some(Ok(list)) => Some(list),
            _ => {
                self.write_list(transaction, row, lock, coming)?;
                DovecotUidList::read(lock.folder())?.and_then(Result::ok)
            }
        };
        Ok(list.filter(|list| list.validity == row.validity))
    }

    /// Adds new messages to a list as a whole, durably, and has Dovecot go on where the index
    /// does. A name that stands there already under a UID that was given to another goes first.
    pub(super) fn add_to_shared(
        &self,
        lists: &mut Lists,
        row: &MailboxRow,
        list: &mut DovecotUidList,
        new: &[(Uid, &str)],
    ) -> Result<(), StoreError> {
        let Some(Held { lock, .. }) = lists.held.get_mut(&row.name) else {
            return Ok(());
        };
        self.keep_lock(lock)?;
        let disk = &self.options.disk;
        let names: BTreeSet<&str> = new.iter().map(|(_, base)| *base).collect();
        let is_new = |base: Option<&str>| base.is_some_and(|base| names.contains(base));
        if !new.is_empty() && list.records().any(|record| is_new(record.base())) {
            list.rewrite(disk, lock, |record| !is_new(record.base()))?;
        }
        if !new.is_empty() {
            list.append(disk, lock, new)?;
        }
        Ok(list.raise(disk, lock, row.uid_next)?)
    }

    /// Touches the lock of a mailbox, for work that takes long.
    pub(super) fn keep_list(&self, lists: &mut Lists, name: &MailboxName) -> Result<(), DiskError> {
        match lists.held.get_mut(name) {
            Some(held) => self.keep_lock(&mut held.lock),
            None => Ok(()),
        }
    }

    // A lock that was taken away guards nothing.
    fn keep_lock(&self, lock: &mut UidListLock) -> Result<(), DiskError> {
        match lock.keep()? {
            true => Ok(()),
            false => Err(DiskError::at("keep the lock of", lock.folder())(io::Error::other(
                "another program took it away",
            ))),
        }
    }

    // Where there is no list that can be appended to: one with all that the index has, or theirs
    // in a form that can.
    fn write_list(
        &self,
        transaction: &Transaction<'_>,
        row: &MailboxRow,
        lock: &UidListLock,
        coming: &[(Uid, &str)],
    ) -> Result<Option<UidListEnd>, StoreError> {
        let disk = &self.options.disk;
        match DovecotUidList::read(lock.folder())? {
            Some(Ok(mut list)) => list.rewrite(disk, lock, |_| true)?,
            damaged => {
                if let Some(Err(damage)) = damaged {
                    tracing::warn!(user = %self.user, mailbox = %row.name, %damage, "dovecot-uidlist cannot be understood; it is written anew from the index");
                }
                let files = transaction.files(row, false)?;
                let known = files.iter().map(|(uid, file)| (*uid, file.base.as_str()));
                let lines: BTreeMap<Uid, &str> = known.chain(coming.iter().copied()).collect();
                let lines: Vec<(Uid, &str)> = lines.into_iter().collect();
                let mut list = DovecotUidList::new(row.validity, super::identity::first_uid());
                list.append(disk, lock, &lines)?;
                list.raise(disk, lock, row.uid_next)?;
            }
        }
        Ok(UidListEnd::read(lock)?)
    }

    /// Takes over the UIDVALIDITY that Dovecot gave a mailbox of which the list was lost: the
    /// mailbox is numbered anew under it.
    pub(super) fn follow(
        &self,
        transaction: &Transaction<'_>,
        identified: &mut Identified,
        lists: &Lists,
    ) -> Result<(), StoreError> {
        let name = identified.row.name.clone();
        if !self.is_renumbered(&identified.row)? {
            return Ok(());
        }
        let Some(lock) = lists.lock_of(&name) else {
            return Ok(());
        };
        if !matches!(DovecotUidList::read(lock.folder())?, Some(Ok(_))) {
            // Damaged behind its first line: Dovecot drops it, and takes ours.
            return self.write_list(transaction, &identified.row, lock, &[]).map(drop);
        }
        let before = identified.row.clone();
        transaction.delete_mailbox(&before)?;
        *identified = match self.adopt(transaction, &name, Some(&before), lists)? {
            Some(adopted) => adopted,
            None => self.number_anew(transaction, &name)?,
        };
        tracing::warn!(user = %self.user, mailbox = %name, before = %before.validity, now = %identified.row.validity, "Dovecot gave the mailbox a new UIDVALIDITY; clients will read it anew");
        Ok(())
    }

    /// Whether Dovecot's list names another UIDVALIDITY than the index, and counts.
    pub(super) fn is_renumbered(&self, row: &MailboxRow) -> Result<bool, DiskError> {
        if !self.options.dovecot_uidlist {
            return Ok(false);
        }
        let theirs = DovecotUidList::validity_of(self.folders.folder(&row.name).path())?;
        Ok(theirs.is_some_and(|validity| validity != row.validity))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{Home, placed};
    use super::*;
    use crate::mail::UidValidity;
    use crate::maildir::Disk;
    use crate::store::Published;

    const INBOX: &[(&str, &str)] = &[("INBOX", "")];

    /// The UIDs of Dovecot's list whose files are there.
    fn listed(home: &Home, below: &str) -> (u32, Vec<u32>) {
        let folder = home.path("Maildir").join(below);
        let list = DovecotUidList::read(&folder).unwrap().unwrap().unwrap();
        let there = |base: &str| {
            ["new", "cur"].iter().any(|part| {
                let mut names = fs::read_dir(folder.join(part)).unwrap();
                names.any(|it| it.unwrap().file_name().to_str().unwrap().starts_with(base))
            })
        };
        let live = list.records().filter(|record| there(record.base().unwrap()));
        (list.validity.value(), live.map(|record| record.uid.value()).collect())
    }

    fn agreed(home: &Home, mailbox: &str, below: &str) -> Vec<u32> {
        let uids = home.uids(mailbox);
        assert_eq!(
            (home.status(mailbox).validity.value(), uids.clone()),
            listed(home, below)
        );
        uids
    }

    fn folder(home: &Home) -> std::path::PathBuf {
        home.path("Maildir")
    }

    /// What Dovecot does where it numbers a file under its lock.
    fn dovecot_numbers(home: &Home, base: &str) -> u32 {
        fs::write(
            folder(home).join("cur").join(format!("{base}:2,")),
            format!("Subject: {base}\n\nbody\n"),
        )
        .unwrap();
        let lock = UidListLock::acquire(&folder(home), PATIENCE).unwrap().unwrap();
        let mut end = UidListEnd::read(&lock).unwrap().unwrap();
        let uid = end.next;
        end.append(&Disk::default(), &lock, &[(uid, base)]).unwrap();
        uid.value()
    }

    #[test]
    fn both_give_each_number_once_and_in_order() {
        let home = Home::shared();
        assert_eq!(
            placed(&home.deliver(1, &[("INBOX", ""), ("A", "\\Seen")])),
            [("INBOX".into(), 1), ("A".into(), 1)]
        );
        assert_eq!(dovecot_numbers(&home, "7.theirs.h"), 2);
        // What Dovecot numbered is in the index before the next number is given.
        assert_eq!(placed(&home.deliver(2, INBOX)), [("INBOX".into(), 3)]);
        assert_eq!(agreed(&home, "INBOX", ""), [1, 2, 3]);
        // A file that nobody numbered is entered for both.
        fs::write(home.path("Maildir/new/8.dropped.h"), "Subject: x\n\n").unwrap();
        assert_eq!(agreed(&home, "INBOX", ""), [1, 2, 3, 4]);
        let account = home.account();
        let (all, inbox) = (crate::mail::UidSet::all(), super::super::tests::name("INBOX"));
        account.copy(&inbox, &all, &super::super::tests::name("A")).unwrap();
        account
            .move_to(
                &inbox,
                &"2".parse::<u32>().ok().and_then(Uid::new).unwrap().into(),
                &inbox,
            )
            .unwrap();
        assert_eq!(agreed(&home, "A", ".A"), [1, 2, 3, 4, 5]);
        assert_eq!(agreed(&home, "INBOX", ""), [1, 3, 4, 5]);
        let home = home.without_index();
        assert_eq!(agreed(&home, "INBOX", ""), [1, 3, 4, 5]);
        home.close();
    }

    #[test]
    fn what_dovecot_numbered_and_removed_before_we_looked_counts() {
        let home = Home::shared();
        home.deliver(1, INBOX);
        // More than are reserved at a time.
        for uid in 2..1040 {
            assert_eq!(dovecot_numbers(&home, "7.theirs.h"), uid);
        }
        fs::remove_file(folder(&home).join("cur/7.theirs.h:2,")).unwrap();
        assert_eq!(home.uids("INBOX"), [1]);
        assert_eq!(home.status("INBOX").uid_next.value(), 1040);
        assert_eq!(home.account().check().unwrap(), Vec::<String>::new());
        assert_eq!(placed(&home.deliver(2, INBOX)), [("INBOX".into(), 1040)]);
        home.close();
    }

    #[test]
    fn without_the_lock_a_delivery_is_numbered_later() {
        let home = Home::shared();
        home.deliver(1, INBOX);
        let lock = UidListLock::acquire(&folder(&home), PATIENCE).unwrap().unwrap();
        let Published::Placed(copies) = home.deliver(2, &[("INBOX", "$Work"), ("A", "")]) else {
            panic!("it is new")
        };
        let uids: Vec<_> = copies.iter().map(|copy| copy.uid.map(Uid::value)).collect();
        assert_eq!(uids, [None, Some(1)]);
        assert_eq!(home.uids("INBOX"), [1]);
        assert!(matches!(home.deliver(2, INBOX), Published::Before(_)));
        let message = crate::message::Message::from_bytes("Subject: x\r\n\r\n");
        let inbox = super::super::tests::name("INBOX");
        let appended = home.account().append(&inbox, &message, &Default::default(), None);
        assert!(appended.unwrap_err().to_string().contains("dovecot-uidlist"));
        drop(lock);
        assert_eq!(agreed(&home, "INBOX", ""), [1, 2]);
        assert!(matches!(home.deliver(2, INBOX), Published::Before(_)));
        let home = home.without_index();
        assert_eq!(agreed(&home, "INBOX", ""), [1, 2]);
        assert!(matches!(
            home.deliver(2, &[("INBOX", ""), ("A", "")]),
            Published::Before(_)
        ));
        home.close();
    }

    #[test]
    fn a_list_that_dovecot_dropped_is_followed_and_a_damaged_one_replaced() {
        let home = Home::shared();
        (1..=3).for_each(|key| drop(home.deliver(key, INBOX)));
        let before = home.status("INBOX");
        let names: Vec<String> = home
            .messages("INBOX")
            .iter()
            .map(|it| it.path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let list = format!("3 V4000000000 N9\n2 :{}\n5 :{}\n", names[2], names[0]);
        fs::write(home.path("Maildir/dovecot-uidlist"), list).unwrap();
        // A delivery does not wait for all that: it is numbered with the rest.
        let late = home.deliver(4, INBOX);
        assert!(matches!(&late, Published::Placed(copies) if copies[0].uid.is_none()));
        assert_eq!(agreed(&home, "INBOX", ""), [2, 5, 9, 10]);
        let after = home.status("INBOX");
        assert_eq!(after.validity, UidValidity::new(4_000_000_000).unwrap());
        assert_eq!(after.mailbox_id, before.mailbox_id);
        assert!(after.highest_modseq > before.highest_modseq);
        fs::write(home.path("Maildir/dovecot-uidlist"), "3 V4000000001 N9\nrubbish\n").unwrap();
        home.deliver(5, INBOX);
        assert_eq!(agreed(&home, "INBOX", ""), [2, 5, 9, 10, 11]);
        home.close();
    }

    #[test]
    fn a_file_that_came_back_is_new_for_both() {
        let home = Home::shared();
        home.deliver(1, INBOX);
        assert_eq!(dovecot_numbers(&home, "7.theirs.h"), 2);
        assert_eq!(agreed(&home, "INBOX", ""), [1, 2]);
        // Gone and back between two looks of ours, of which Dovecot saw both.
        let lock = UidListLock::acquire(&folder(&home), PATIENCE).unwrap().unwrap();
        let mut list = DovecotUidList::read(&folder(&home)).unwrap().unwrap().unwrap();
        list.rewrite(&Disk::default(), &lock, |record| record.uid.value() != 2)
            .unwrap();
        list.append(&Disk::default(), &lock, &[(Uid::new(3).unwrap(), "7.theirs.h")])
            .unwrap();
        drop(lock);
        fs::write(home.path("Maildir/cur/1.touch"), "Subject: y\n\n").unwrap();
        assert_eq!(agreed(&home, "INBOX", ""), [1, 3, 4]);
        home.close();
    }
}

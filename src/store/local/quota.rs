//! What is used of a quota: counted exactly, and written down for others.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::index::{Durability, FileRow, Index, MailboxRow, Remembered, Transaction};
use crate::mail::{Crossing, MailboxName, Quota, QuotaUnit, Threshold, UidSet, Usage};
use crate::maildir::{FileName, MailSize};

use super::account::{LocalAccount, now, seen};
use super::lock;
use crate::store::quota::crossings;
use crate::store::{Drift, Recount, StoreError};

/// Bytes from which on the lines of `maildirsize` are made one (Maildir++).
const WORN: u64 = 5120;
const UNITS: [QuotaUnit; 2] = [QuotaUnit::Bytes, QuotaUnit::Messages];

impl LocalAccount {
    /// Whether copies of so many bytes have room in mailboxes, beside all that the transaction
    /// knows: its rows, those that wait in `boxes` to be written, and what is `placed`.
    pub(super) fn check_quota<'a>(
        &self,
        transaction: &Transaction<'_>,
        boxes: &BTreeMap<MailboxName, MailboxRow>,
        quota: &Quota,
        copies: impl Iterator<Item = (&'a MailboxName, u64)> + Clone,
        placed: impl Iterator<Item = (&'a MailboxName, u64)>,
    ) -> Result<(), StoreError> {
        if !quota.is_limited() {
            return Ok(());
        }
        let rows: BTreeMap<&str, &MailboxRow> = boxes.values().map(|row| (row.name.as_str(), row)).collect();
        let stored = transaction.sizes()?;
        let count = |count: i64| u64::try_from(count).unwrap_or(0);
        let stored = stored
            .iter()
            .map(|(name, bytes, messages)| match rows.get(name.as_str()) {
                Some(row) => (name.as_str(), count(row.counts.size), count(row.counts.messages)),
                None => (name.as_str(), *bytes, *messages),
            });
        let placed = placed.map(|(name, size)| (name.as_str(), size, 1));
        let used = quota.usage(stored.chain(placed));
        quota.admits_into(used, copies).map_err(|over| StoreError::OverQuota {
            user: self.user.clone(),
            unit: over.unit,
            used: over.used,
            limit: over.limit,
        })
    }

    pub(super) fn used(&self, quota: &Quota) -> Result<Usage, StoreError> {
        Ok(quota.usage(lock(&self.index).sizes()?))
    }

    /// See [`crate::store::Account::quota_crossings`]. Nothing is written as long as nothing was crossed.
    pub(super) fn crossed(&self, quota: &Quota, thresholds: &[Threshold]) -> Result<Vec<Crossing>, StoreError> {
        let mut index = lock(&self.index);
        let now = now();
        let used = quota.usage(index.sizes()?);
        let was_reached = |threshold| Ok(index.remembers(&Remembered::Reached(threshold), now)?);
        if crossings(quota, used, thresholds, was_reached)?.is_empty() {
            return Ok(Vec::new());
        }
        // Another process may have been faster.
        let transaction = index.begin(Durability::Power)?;
        let used = quota.usage(transaction.sizes()?);
        let was_reached = |threshold| Ok(transaction.remembers(&Remembered::Reached(threshold), now)?);
        let crossed = crossings(quota, used, thresholds, was_reached)?;
        for crossing in &crossed {
            let memory = Remembered::Reached(crossing.threshold);
            match crossing.reached {
                true => transaction.remember(&memory, i64::MAX)?,
                false => transaction.unremember(&memory)?,
            }
        }
        transaction.commit()?;
        Ok(crossed)
    }

    /// See [`crate::store::Account::recount`].
    pub(super) fn count_anew(&self, quota: &Quota) -> Result<Recount, StoreError> {
        let mut index = lock(&self.index);
        self.reconcile_all(&mut index, false)?;
        let transaction = index.begin(Durability::Power)?;
        let mut drift = Vec::new();
        for mut row in transaction.mailboxes()? {
            let (was, is) = (row.counts, transaction.recount(&row)?);
            if was != is {
                row.counts = is;
                transaction.update_mailbox(&row)?;
                drift.push(Drift {
                    mailbox: row.name,
                    was,
                    is,
                });
            }
        }
        let usage = quota.usage(transaction.sizes()?);
        transaction.commit()?;
        self.recall_quota(Some(quota));
        let wanted = self.maildirsize_length().is_some() || self.options.maildirsize && quota.is_limited();
        if wanted {
            self.write_maildirsize(&mut index, quota)?;
        }
        Ok(Recount {
            usage,
            drift,
            maildirsize: wanted,
        })
    }

    /// Adds what was delivered to `maildirsize`. It is for others: a failure is one line in the log.
    pub(super) fn grow_maildirsize<'a>(
        &self,
        index: &mut Index,
        copies: impl Iterator<Item = (Option<&'a Quota>, &'a MailboxName, &'a FileRow, u64)>,
    ) {
        let (mut bytes, mut messages, mut known) = (0_i64, 0, None);
        for (quota, mailbox, file, size) in copies {
            known = quota.or(known);
            if quota.is_none_or(|quota| quota.counts(mailbox.as_str())) {
                bytes = bytes.saturating_add_unsigned(stored_size(file).unwrap_or(size));
                messages += 1;
            }
        }
        self.recall_quota(known);
        if messages == 0 {
            return;
        }
        let written = match MailSize::append(&self.root(), bytes, messages) {
            Ok(true) if self.maildirsize_length().is_some_and(|length| length >= WORN) => {
                self.shorten_maildirsize(index)
            }
            Ok(true) => Ok(()),
            Ok(false) => match known.filter(|quota| self.options.maildirsize && quota.is_limited()) {
                Some(quota) => self.write_maildirsize(index, quota),
                None => Ok(()),
            },
            Err(error) => Err(error.into()),
        };
        self.log_maildirsize(written);
    }

    /// Writes `maildirsize` anew where it does not agree with the index, which was brought up
    /// to what others did just now.
    pub(super) fn mend_maildirsize(&self, index: &mut Index) {
        if self.maildirsize_length().is_none() {
            return;
        }
        let Some(quota) = lock(&self.quota).clone() else { return };
        let mended = self.maildirsize_agrees(index, &quota).and_then(|agrees| match agrees {
            true => Ok(()),
            false => self.write_maildirsize(index, &quota),
        });
        self.log_maildirsize(mended);
    }

    fn maildirsize_agrees(&self, index: &Index, quota: &Quota) -> Result<bool, StoreError> {
        let used = quota.usage(index.sizes()?);
        let over = UNITS
            .into_iter()
            .any(|unit| quota.limit(unit).is_some_and(|limit| used.of(unit) > limit));
        let size = MailSize::read(&self.root())?;
        Ok(size.is_some_and(|size| u64::try_from(size.messages) == Ok(used.messages) && !size.is_worn(over)))
    }

    // None where there is no such file.
    fn maildirsize_length(&self) -> Option<u64> {
        Some(fs::metadata(self.root().join("maildirsize")).ok()?.len())
    }

    // The folder of INBOX is the root of all (Maildir++).
    fn root(&self) -> PathBuf {
        self.folders.folder(&MailboxName::inbox()).path().to_owned()
    }

    // The quota that was last delivered under: what reconciling has none of its own for.
    fn recall_quota(&self, quota: Option<&Quota>) {
        let Some(quota) = quota else { return };
        let mut known = lock(&self.quota);
        if known.as_ref() != Some(quota) {
            *known = Some(quota.clone());
        }
    }

    // Its lines become one. The index may not know yet what other programs wrote there, and a
    // delivery does not ask them; a file that is wrong by itself is counted anew.
    fn shorten_maildirsize(&self, index: &mut Index) -> Result<(), StoreError> {
        let quota = lock(&self.quota).clone();
        let whole = MailSize::read(&self.root())?.filter(|size| size.bytes >= 0 && size.messages >= 0);
        let Some(size) = whole else {
            return self.write_maildirsize(index, &quota.unwrap_or_default());
        };
        let limits = quota.map_or(size.limits, |quota| limits(&quota));
        let disk = &self.options.disk;
        Ok(MailSize::replace(
            disk,
            &self.root(),
            &limits,
            size.bytes,
            size.messages,
        )?)
    }

    // Bytes are those of the files, as other programs count them: `S=`, or what the disk says.
    fn write_maildirsize(&self, index: &mut Index, quota: &Quota) -> Result<(), StoreError> {
        let (mut bytes, mut messages) = (0_i64, 0_i64);
        let transaction = index.begin(Durability::Process)?;
        for row in transaction.mailboxes()? {
            if !quota.counts(row.name.as_str()) {
                continue;
            }
            let folder = self.folders.folder(&row.name);
            for message in transaction.messages(&row, &UidSet::all())? {
                let on_disk = || fs::metadata(folder.path().join(seen(&message.file).relative_path())).ok();
                let size = stored_size(&message.file).or_else(|| Some(on_disk()?.len()));
                bytes = bytes.saturating_add_unsigned(size.unwrap_or(message.size));
                messages += 1;
            }
        }
        drop(transaction);
        let disk = &self.options.disk;
        Ok(MailSize::replace(disk, &self.root(), &limits(quota), bytes, messages)?)
    }

    fn log_maildirsize(&self, written: Result<(), StoreError>) {
        if let Err(error) = written {
            let cause = crate::mail::Cause::of(&error);
            tracing::warn!(user = %self.user, %cause, "maildirsize is not up to date; `postroom quota recalculate` writes it anew");
        }
    }
}

fn stored_size(file: &FileRow) -> Option<u64> {
    let name = FileName {
        base: &file.base,
        letters: "",
    };
    name.stored_size()
}

// Without limits Maildir++ has `0S`.
fn limits(quota: &Quota) -> String {
    let bytes = quota.bytes.map(|bytes| format!("{bytes}S"));
    let messages = quota.messages.map(|messages| format!("{messages}C"));
    let limits: Vec<String> = bytes.into_iter().chain(messages).collect();
    match limits.is_empty() {
        true => "0S".to_owned(),
        false => limits.join(","),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::mail::{DeliveryId, Extra, Flags, MailboxPattern, QuotaEffect, QuotaRule, ReversePath};
    use crate::maildir::Disk;
    use crate::message::{Letter, Message, Trace};
    use crate::store::{Account, LocalStore, Options, Publication, Published, Store, Target};

    fn account(home: &Path, maildirsize: bool) -> Arc<dyn Account> {
        let store = LocalStore::new(Options {
            disk: Disk {
                fsync: false,
                ..Disk::default()
            },
            host: "mx.example.org".to_owned(),
            open_accounts: 4,
            maildirsize,
            fulltext: false,
            ..Options::default()
        });
        store.account("ann@example.org", home).unwrap()
    }

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text, '.').unwrap()
    }

    fn quota(bytes: Option<u64>, messages: Option<u64>) -> Quota {
        let rule = |mailbox: &str, effect| QuotaRule {
            mailboxes: MailboxPattern::parse(mailbox).unwrap(),
            effect,
        };
        let extra = QuotaEffect::Extra {
            bytes: Extra::default(),
            messages: Extra::Amount(1),
        };
        Quota {
            bytes,
            messages,
            rules: vec![rule("Trash", extra), rule("Junk*", QuotaEffect::Ignore)],
        }
    }

    fn letter(text: &str) -> Letter {
        let trace = Trace {
            return_path: ReversePath::Null,
            received: None,
            original_to: None,
            delivered_to: None,
            extra: Vec::new(),
        };
        Letter::new(
            Message::from_bytes(format!("Subject: {text}\r\n\r\nbody\r\n").into_bytes()),
            &trace,
        )
    }

    fn deliver(account: &dyn Account, quota: &Quota, key: u64, mailboxes: &str) -> Result<Published, StoreError> {
        let targets = mailboxes.split_whitespace().map(|mailbox| {
            account.create_mailbox(&name(mailbox)).unwrap();
            Target {
                mailbox: name(mailbox),
                flags: Flags::new(),
            }
        });
        let publication = Publication {
            targets: targets.collect(),
            id: DeliveryId::new(),
            remember: Vec::new(),
            quota: Some(quota.clone()),
            history: None,
        };
        account.stage(&letter("x"), key)?.publish(publication)
    }

    fn size(home: &Path) -> Option<(String, i64, i64)> {
        let size = MailSize::read(&home.join("Maildir")).unwrap()?;
        Some((size.limits, size.bytes, size.messages))
    }

    #[test]
    fn the_last_room_is_given_once() {
        let home = tempfile::tempdir().unwrap();
        let account = account(home.path(), false);
        let quota = quota(None, Some(5));
        let placed: usize = std::thread::scope(|scope| {
            let (account, quota) = (account.as_ref(), &quota);
            let threads: Vec<_> = (0..16)
                .map(|key| scope.spawn(move || deliver(account, quota, key, "INBOX")))
                .collect();
            let results = threads.into_iter().map(|thread| thread.join().unwrap());
            results
                .filter(|result| match result {
                    Ok(_) => true,
                    Err(StoreError::OverQuota { unit, used, limit, .. }) => {
                        assert_eq!((*unit, *used, *limit), (QuotaUnit::Messages, 5, 5));
                        false
                    }
                    Err(error) => panic!("{error}"),
                })
                .count()
        });
        assert_eq!(placed, 5);
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn rules_count_and_what_was_done_is_not_refused() {
        let home = tempfile::tempdir().unwrap();
        let account = account(home.path(), false);
        let limited = quota(None, Some(2));
        for (key, mailboxes, fits) in [
            (1, "Junk Junk.Old", true),
            (2, "INBOX Trash", true),
            (3, "INBOX", false),
            (4, "Trash INBOX", false),
            (5, "Trash", true),
            (6, "Trash", false),
            (7, "Junk", true),
            (2, "INBOX Trash", true),
        ] {
            let done = deliver(account.as_ref(), &limited, key, mailboxes);
            match done {
                Err(StoreError::OverQuota { .. }) => assert!(!fits, "{key} {mailboxes}"),
                done => assert!(done.is_ok() && fits, "{key} {mailboxes}: {done:?}"),
            }
        }
        assert_eq!(account.quota_usage(&limited).unwrap().messages, 3);
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
        // A new index knows from its names which copies were made. The rest of them is owed.
        drop(account);
        fs::remove_file(home.path().join("index.sqlite")).unwrap();
        let account = self::account(home.path(), false);
        let rest = deliver(account.as_ref(), &limited, 5, "Trash Lists").unwrap();
        assert!(matches!(rest, Published::Placed(placed) if placed.len() == 1));
        assert_eq!(account.check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_crossing_is_told_once_each_way() {
        let home = tempfile::tempdir().unwrap();
        let account = account(home.path(), false);
        let quota = quota(None, Some(4));
        let threshold = |percent| Threshold {
            percent,
            unit: QuotaUnit::Messages,
        };
        let thresholds = [threshold(50), threshold(100)];
        let crossed = || -> Vec<(u32, bool)> {
            let crossings = account.quota_crossings(&quota, &thresholds).unwrap();
            crossings.iter().map(|it| (it.threshold.percent, it.reached)).collect()
        };
        let path = |entry: usize| {
            home.path()
                .join(&account.details(&name("INBOX"), &UidSet::all()).unwrap()[entry].path)
        };
        assert_eq!(crossed(), []);
        for (key, expected) in [(1, &[][..]), (2, &[(50, true)]), (3, &[]), (4, &[(100, true)])] {
            deliver(account.as_ref(), &quota, key, "INBOX").unwrap();
            assert_eq!(crossed(), expected, "{key}");
            assert_eq!(crossed(), [], "{key} again");
        }
        let gone: Vec<_> = (0..3).map(path).collect();
        gone.iter().for_each(|path| fs::remove_file(path).unwrap());
        account.reconcile().unwrap();
        assert_eq!(crossed(), [(50, false), (100, false)]);
        assert_eq!(crossed(), []);
    }

    #[test]
    fn counts_that_drifted_are_mended() {
        let home = tempfile::tempdir().unwrap();
        let quota = quota(Some(1 << 30), None);
        let account = account(home.path(), false);
        deliver(account.as_ref(), &quota, 1, "INBOX").unwrap();
        let right = account.quota_usage(&quota).unwrap();
        let mut index = Index::open(&home.path().join("index.sqlite")).unwrap();
        let transaction = index.begin(Durability::Process).unwrap();
        let mut row = transaction.mailbox(&name("INBOX")).unwrap().unwrap();
        row.counts.size += 100;
        transaction.update_mailbox(&row).unwrap();
        transaction.commit().unwrap();
        assert_ne!(account.quota_usage(&quota).unwrap(), right);
        let recount = account.recount(&quota).unwrap();
        assert_eq!((recount.usage, recount.drift.len()), (right, 1));
        assert_eq!(recount.drift[0].was.size - recount.drift[0].is.size, 100);
        assert!(account.recount(&quota).unwrap().drift.is_empty());
    }

    #[test]
    fn maildirsize_is_kept_up_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let quota = quota(Some(100_000), Some(2000));
        let account = account(home.path(), false);
        deliver(account.as_ref(), &quota, 1, "INBOX").unwrap();
        assert_eq!(size(home.path()), None, "none is made");
        let disk = Disk::default();
        MailSize::replace(&disk, &home.path().join("Maildir"), "5S", 0, 0).unwrap();
        deliver(account.as_ref(), &quota, 2, "Trash Junk").unwrap();
        let stored = i64::try_from(letter("x").stored_size()).unwrap();
        assert_eq!(
            size(home.path()),
            Some(("5S".into(), stored, 1)),
            "added to, ignored ones not"
        );
        account.reconcile().unwrap();
        let right = Some(("100000S,2000C".into(), 2 * stored, 2));
        assert_eq!(size(home.path()), right, "what disagrees is written anew");

        // Beyond 5,120 bytes its lines become one, and what others wrote there stays in the sum.
        let root = home.path().join("Maildir");
        for _ in 0..1100 {
            MailSize::append(&root, 10, 0).unwrap();
        }
        deliver(account.as_ref(), &quota, 3, "INBOX").unwrap();
        assert_eq!(
            size(home.path()),
            Some(("100000S,2000C".into(), 3 * stored + 11_000, 3))
        );
        assert!(fs::metadata(root.join("maildirsize")).unwrap().len() < 40);
        assert!(account.recount(&quota).unwrap().maildirsize);
        assert_eq!(size(home.path()), Some(("100000S,2000C".into(), 3 * stored, 3)));
    }

    #[test]
    fn maildirsize_is_made_where_it_is_wanted() {
        let home = tempfile::tempdir().unwrap();
        let account = account(home.path(), true);
        deliver(account.as_ref(), &Quota::default(), 1, "INBOX").unwrap();
        assert_eq!(size(home.path()), None, "no quota, no file");
        deliver(account.as_ref(), &quota(None, Some(9)), 2, "INBOX").unwrap();
        let stored = i64::try_from(letter("x").stored_size()).unwrap();
        assert_eq!(size(home.path()), Some(("9C".into(), 2 * stored, 2)));
    }
}

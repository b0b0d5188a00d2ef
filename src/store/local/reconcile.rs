//! What other programs did to the Maildir, taken into the index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::index::{
    Durability, FileRow, Index, MailboxRow, MessageRow, NewContent, NewPack, PACK_CARDS, Step, Transaction,
};
use crate::mail::{MailboxName, Uid, UidSet};
use crate::maildir::{
    DiskError, DovecotUidList, FileName, Folder, KeywordLetters, Listing, Marks, Place, Seen, Stamp, UidList,
};

use super::account::{LocalAccount, file_row, seen};
use super::identity::{Identified, placed_in};
use super::kept::{self, Batch, Content};
use super::letters::flags_of;
use super::lock;
use super::uidlist::Lists;
use super::upkeep::new_epoch;
use crate::store::StoreError;

impl LocalAccount {
    /// Takes in what changed in any folder. `recovering`: whatever the times of the
    /// folders say, and above all numbers that may have been given.
    pub(super) fn reconcile_all(&self, index: &mut Index, recovering: bool) -> Result<(), StoreError> {
        self.folders.sweep();
        // Numbers of a commit that failed were answered; their files may be gone again.
        let ahead = self.ahead.load(Ordering::Relaxed);
        let mut names = self.folders.list()?;
        // The INBOX holds the account's highest UIDVALIDITY, so it comes first.
        names.sort_by_key(|name| !name.is_inbox());
        let rows = index.mailboxes()?;
        let known: BTreeSet<&MailboxName> = rows.iter().map(|row| &row.name).collect();
        let unchanged = |name: &MailboxName| {
            let row = rows.iter().find(|row| row.name == *name);
            !recovering && row.is_some_and(|row| self.is_unchanged(row))
        };
        // A new account is flushed as a whole.
        let durability = match self.options.disk.fsync {
            true => Durability::Power,
            false => Durability::Process,
        };
        for name in names.iter().filter(|name| !unchanged(name)) {
            let mut lists = self.lock_lists([name]);
            let transaction = index.begin(durability)?;
            let mut identified = self.identify_by_folder(&transaction, name, &lists)?;
            self.follow(&transaction, &mut identified, &lists)?;
            identified.past_mark |= (recovering || ahead) && !identified.anew;
            self.reconcile_mailbox(&transaction, &mut identified, recovering, &mut lists)?;
            transaction.update_mailbox(&identified.row)?;
            transaction.commit()?;
        }
        if known.iter().any(|name| !names.contains(name)) {
            self.drop_gone(index)?;
        }
        if ahead {
            self.ahead.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes the index anew from the Maildir.
    pub(super) fn rebuild_index(&self) -> Result<(), StoreError> {
        let mut index = lock(&self.index);
        let mut names = self.folders.list()?;
        names.sort_by_key(|name| !name.is_inbox());
        let mut lists = self.lock_lists(&names);
        let transaction = index.begin(Durability::Power)?;
        for mut row in transaction.mailboxes()? {
            // What only the index knows is written down before it goes.
            let folder = self.folders.folder(&row.name);
            if folder.exists() && Marks::read(folder.path())?.is_none() {
                self.reserve(&mut row)?;
            }
            transaction.delete_mailbox(&row)?;
        }
        for name in &names {
            let mut identified = self.identify(&transaction, name, &lists)?;
            self.follow(&transaction, &mut identified, &lists)?;
            self.reconcile_mailbox(&transaction, &mut identified, true, &mut lists)?;
            transaction.update_mailbox(&identified.row)?;
        }
        new_epoch(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// Reads the files of messages of which an index of an earlier schema had too little.
    pub(super) fn read_unread(&self, index: &mut Index) -> Result<(), StoreError> {
        let mut after = i64::MIN;
        loop {
            let contents = index.unread_contents(after, SLICE)?;
            let Some(last) = contents.last() else { return Ok(()) };
            after = *last;
            let rows = index.mailboxes()?;
            let transaction = index.begin(Durability::Process)?;
            let (mut found, mut paths) = (Vec::new(), Vec::new());
            for content in contents {
                let holder = transaction.holders(content)?.into_iter().next();
                let Some((mailbox, uid)) = holder else { continue };
                let Some(row) = rows.iter().find(|row| row.id == mailbox) else {
                    continue;
                };
                for message in transaction.messages(row, &uid.into())? {
                    found.push(content);
                    paths.push(
                        self.folders
                            .folder(&row.name)
                            .path()
                            .join(seen(&message.file).relative_path()),
                    );
                }
            }
            let mut found = found.into_iter();
            for batch in kept::of_files(&paths) {
                let mut packing = Packing::begin(&transaction, batch.pack.as_ref())?;
                for (read, content) in batch.contents.into_iter().zip(&mut found) {
                    if let Some(read) = read {
                        packing.fill(&transaction, content, &read.new)?;
                    }
                }
                packing.end(&transaction)?;
            }
            transaction.commit()?;
        }
    }

    fn is_unchanged(&self, row: &MailboxRow) -> bool {
        let folder = self.folders.folder(&row.name);
        let unchanged = |stored, place| {
            folder
                .stamp(place)
                .is_ok_and(|stamp| Stamp::from_stored(stored).proves_unchanged(stamp))
        };
        unchanged(row.stamps.0, Place::New)
            && unchanged(row.stamps.1, Place::Cur)
            && self.is_renumbered(row).is_ok_and(|renumbered| !renumbered)
    }

    // A folder that is gone takes its mailbox with it; one that was renamed was found above.
    fn drop_gone(&self, index: &mut Index) -> Result<(), StoreError> {
        let transaction = index.begin(Durability::Power)?;
        for row in transaction.mailboxes()? {
            if !self.folders.folder(&row.name).exists() {
                transaction.delete_mailbox(&row)?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// Compares one folder with its rows, as far as it changed. The transaction keeps other
    /// processes of ours from publishing meanwhile; the caller writes the row and commits.
    pub(super) fn reconcile_mailbox(
        &self,
        transaction: &Transaction<'_>,
        identified: &mut Identified,
        thorough: bool,
        lists: &mut Lists,
    ) -> Result<(), StoreError> {
        let folder = self.folders.folder(&identified.row.name);
        folder.sweep();
        let stamps = identified.row.stamps;
        let new = list_if_changed(&folder, Place::New, stamps.0, thorough)?;
        let cur = list_if_changed(&folder, Place::Cur, stamps.1, thorough)?;
        if new.is_none() && cur.is_none() && !identified.past_mark {
            return Ok(());
        }
        let keywords = KeywordLetters::read(folder.path())?;
        // Where only new/ changed, what lies in cur/ is no matter.
        let rows = transaction.files(&identified.row, cur.is_none())?;
        let known: HashMap<&str, &(Uid, FileRow)> = rows.iter().map(|row| (row.1.base.as_str(), row)).collect();

        // A file moved from new/ to cur/ in between is listed twice; cur/ is the newer word.
        let mut files: HashMap<&str, &Seen> = HashMap::new();
        for file in [&new, &cur].into_iter().flatten().flat_map(|listing| &listing.files) {
            files.insert(&file.base, file);
        }
        let mut changes = Changes {
            account: self,
            transaction,
            folder: &folder,
            keywords: &keywords,
            theirs: HashMap::new(),
            moved: HashMap::new(),
            missing: Vec::new(),
            strangers: Vec::new(),
        };
        for (uid, file) in &rows {
            match files.get(file.base.as_str()) {
                Some(seen) if is_at(seen, file) => {}
                Some(seen) => drop(changes.moved.insert(*uid, *seen)),
                None if listed(file, &new, &cur) => changes.missing.push(*uid),
                None => {}
            }
        }
        let strangers = files.values().filter(|file| !known.contains_key(file.base.as_str()));
        changes.strangers = strangers.copied().collect();
        changes.strangers.sort_by_cached_key(|file| (arrival(file), &file.base));
        if lists.are_shared() {
            changes.compare_with_dovecot(identified, &files, &known, lists)?;
        }
        let scope = Scope {
            known: &known,
            whole: cur.is_some(),
        };
        let list = changes.own_list(&identified.row)?;
        if !scope.whole {
            changes.recognise(&identified.row, &list)?;
        }
        changes.record_moves(&mut identified.row)?;
        changes.record_missing(&mut identified.row)?;
        let complete = changes.arrived(identified, list, &scope, lists)?;

        if let Some(new) = new {
            identified.row.stamps.0 = if complete { new.stamp.stored() } else { 0 };
        }
        if let Some(cur) = cur {
            identified.row.stamps.1 = if complete { cur.stamp.stored() } else { 0 };
        }
        Ok(())
    }
}

fn list_if_changed(folder: &Folder, place: Place, stored: i64, thorough: bool) -> Result<Option<Listing>, DiskError> {
    let unchanged = !thorough && Stamp::from_stored(stored).proves_unchanged(folder.stamp(place)?);
    if unchanged {
        Ok(None)
    } else {
        folder.list(place).map(Some)
    }
}

// Whether the part in which a file was last seen is among those listed now.
fn listed(file: &FileRow, new: &Option<Listing>, cur: &Option<Listing>) -> bool {
    if file.in_cur { cur.is_some() } else { new.is_some() }
}

fn is_at(seen: &Seen, file: &FileRow) -> bool {
    seen.letters == file.letters && (seen.place == Place::Cur) == file.in_cur
}

// Whether the name itself says the UID.
fn is_own(file: &Seen, uid: Uid, row: &MailboxRow) -> bool {
    let name = FileName {
        base: &file.base,
        letters: "",
    };
    name.uid() == Some((uid, row.validity))
}

// Maildir names begin with the seconds of their arrival.
fn arrival(file: &Seen) -> u64 {
    let digits = file.base.split(['.', ',']).next().unwrap_or_default();
    digits.parse().unwrap_or(u64::MAX)
}

/// A pack on its way into the index, and how much of it is wanted.
struct Packing {
    pack: Option<i64>,
    slot: usize,
    live: usize,
}

impl Packing {
    fn begin(transaction: &Transaction<'_>, pack: Option<&NewPack>) -> Result<Packing, StoreError> {
        Ok(Packing {
            pack: pack.map(|pack| transaction.put_pack(pack)).transpose()?,
            slot: 0,
            live: 0,
        })
    }

    fn place(&mut self) -> Option<(i64, usize)> {
        let place = self.pack.map(|pack| (pack, self.slot));
        self.slot += 1;
        place
    }

    // Other files may have the same bytes: they share a card, which then lies where it lay before.
    fn put(&mut self, transaction: &Transaction<'_>, new: &NewContent) -> Result<i64, StoreError> {
        let (content, wanted) = transaction.put_content_of(new, self.place())?;
        self.live += usize::from(wanted);
        Ok(content)
    }

    fn fill(&mut self, transaction: &Transaction<'_>, content: i64, new: &NewContent) -> Result<(), StoreError> {
        self.live += 1;
        Ok(transaction.fill_content(content, new, self.place())?)
    }

    fn end(self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        match self.pack {
            Some(pack) => Ok(transaction.count_pack(pack, self.live)?),
            None => Ok(()),
        }
    }
}

/// Files that are read before their rows are written: what they yield is in memory meanwhile.
const SLICE: usize = 20 * PACK_CARDS;

/// One folder's changes on their way into the index.
struct Changes<'a> {
    account: &'a LocalAccount,
    transaction: &'a Transaction<'a>,
    folder: &'a Folder,
    keywords: &'a KeywordLetters,
    /// UIDs that Dovecot gave, where they count.
    theirs: HashMap<&'a str, Uid>,
    /// Messages whose file has another name or place than it had.
    moved: HashMap<Uid, &'a Seen>,
    /// Messages whose file was not found.
    missing: Vec<Uid>,
    /// Files without a row.
    strangers: Vec<&'a Seen>,
}

/// The rows that were read for a comparison.
struct Scope<'a> {
    known: &'a HashMap<&'a str, &'a (Uid, FileRow)>,
    /// Whether these are all rows, not only those of files in `new/`.
    whole: bool,
}

impl<'a> Changes<'a> {
    /// Looks up what UIDs Dovecot gave these files. A file that it has under another UID than the
    /// index had vanished for it and came back: it is a new message for both.
    fn compare_with_dovecot(
        &mut self,
        identified: &mut Identified,
        files: &HashMap<&'a str, &'a Seen>,
        known: &HashMap<&str, &(Uid, FileRow)>,
        lists: &Lists,
    ) -> Result<(), StoreError> {
        let row = &mut identified.row;
        let list = match DovecotUidList::read(self.folder.path())? {
            Some(Ok(list)) if list.validity == row.validity => list,
            _ => return Ok(()),
        };
        for record in list.records() {
            if let Some((base, _)) = record.base().and_then(|base| files.get_key_value(base)) {
                self.theirs.insert(base, record.uid);
            }
        }
        if lists.lock_of(&row.name).is_none() {
            return Ok(());
        }
        for (base, theirs) in &self.theirs {
            let Some((ours, _)) = known.get(base) else { continue };
            if ours != theirs && *theirs >= row.uid_next {
                self.moved.remove(ours);
                self.missing.push(*ours);
                self.strangers.push(files[base]);
            }
        }
        // What Dovecot numbered may be gone before we saw it. The lock says that no file is on its way here under a
        // number below.
        self.account.raise_next(row, list.next)
    }

    fn own_list(&self, row: &MailboxRow) -> Result<UidList, DiskError> {
        match self.strangers.is_empty() {
            true => Ok(UidList::default()),
            false => UidList::read(self.folder.path(), row.validity),
        }
    }

    /// Of the files in `new/` without a row there, finds those whose row says `cur/`: a UID that
    /// a file can have is that of its row.
    fn recognise(&mut self, row: &MailboxRow, list: &UidList) -> Result<(), StoreError> {
        let mut strangers = Vec::new();
        for file in std::mem::take(&mut self.strangers) {
            let uid = match self.number_of(row, list, file) {
                Some(uid) => self.transaction.messages(row, &uid.into())?.pop(),
                None => None,
            };
            match uid.filter(|known| known.file.base == file.base) {
                Some(known) => drop(self.moved.insert(known.uid, file)),
                None => strangers.push(file),
            }
        }
        self.strangers = strangers;
        Ok(())
    }

    fn record_moves(&self, row: &mut MailboxRow) -> Result<(), StoreError> {
        let uids: UidSet = self.moved.keys().copied().collect();
        for known in self.transaction.messages(row, &uids)? {
            self.record_move(row, &known, self.moved[&known.uid])?;
        }
        Ok(())
    }

    fn record_move(&self, row: &mut MailboxRow, known: &MessageRow, file: &Seen) -> Result<(), StoreError> {
        let now = file_row(file);
        let mut flags = flags_of(file, self.keywords);
        // A keyword that got no letter is in the index alone.
        if now.letters == known.file.letters {
            flags = known.flags.clone();
        }
        let change = match flags == known.flags {
            true => None,
            false => Some((&flags, self.account.next_modseq(row)?)),
        };
        Ok(self.transaction.update_message(row, known, &now, change)?)
    }

    // A rename within a folder can hide a file from a listing that runs at the time, so
    // only what is missing from a second listing is gone.
    fn record_missing(&self, row: &mut MailboxRow) -> Result<(), StoreError> {
        if self.missing.is_empty() {
            return Ok(());
        }
        let mut there = HashSet::new();
        for place in [Place::New, Place::Cur] {
            there.extend(self.folder.list(place)?.files.into_iter().map(|file| file.base));
        }
        let renumbered: HashSet<&str> = self.strangers.iter().map(|file| file.base.as_str()).collect();
        let uids: UidSet = self.missing.iter().copied().collect();
        for known in self.transaction.messages(row, &uids)? {
            let base = known.file.base.as_str();
            if !there.contains(base) || renumbered.contains(base) {
                let modseq = self.account.next_modseq(row)?;
                self.transaction.expunge(row, &known, modseq)?;
                self.account.shrunk.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Takes in files without a row, first those that have a number. Answers whether
    /// all could be.
    fn arrived(
        &self,
        identified: &mut Identified,
        mut list: UidList,
        scope: &Scope<'_>,
        lists: &mut Lists,
    ) -> Result<bool, StoreError> {
        if self.strangers.is_empty() && !identified.past_mark {
            return Ok(true);
        }
        let mut taken: HashSet<Uid> = match scope.whole {
            true => scope.known.values().map(|(uid, _)| *uid).collect(),
            false => HashSet::new(),
        };
        let (mut numbered, mut unnumbered): (Vec<(Uid, &Seen)>, Vec<&Seen>) = (Vec::new(), Vec::new());
        let mut claims = Vec::new();
        for file in &self.strangers {
            claims.push((self.claim(identified, &list, file, scope)?, *file));
        }
        // A UID in a name was answered to the delivery. The same UID in our list was never shown: the transaction
        // failed behind the line.
        let is_listed =
            |file: &Seen| list.uids.contains_key(&file.base) && !self.theirs.contains_key(file.base.as_str());
        let named = claims.iter().filter(|(_, file)| !is_listed(file));
        let named: HashSet<Uid> = named.filter_map(|(uid, _)| *uid).collect();
        for (claim, file) in &claims {
            let stands = |uid: &Uid| !(is_listed(file) && named.contains(uid)) && taken.insert(*uid);
            match claim.filter(stands) {
                Some(uid) => numbered.push((uid, *file)),
                None => unnumbered.push(*file),
            }
        }
        numbered.sort_by_key(|(uid, _)| *uid);
        let row = &mut identified.row;
        if let Some((highest, _)) = numbered.last() {
            row.uid_next = row.uid_next.max(highest.next().unwrap_or(*highest));
        }
        if identified.past_mark {
            self.account.skip_past_marks(row)?;
        }
        let (mut entries, mut lines) = (Vec::new(), Vec::new());
        let claimed: Vec<(Uid, &str)> = numbered.iter().map(|(uid, file)| (*uid, file.base.as_str())).collect();
        let mut shared = self.account.shared_list(self.transaction, row, lists, &claimed)?;
        if let Some(shared) = &shared {
            // What Dovecot has not, it can only get at the end.
            let theirs = shared.uids();
            numbered.retain(|(uid, file)| {
                let (has, can) = (theirs.get(file.base.as_str()) == Some(uid), *uid >= shared.next);
                if !has && can {
                    lines.push((*uid, file.base.as_str()));
                } else if !has {
                    unnumbered.push(*file);
                }
                has || can
            });
            row.uid_next = row.uid_next.max(shared.next);
        }
        self.account.raise_next(row, row.uid_next)?;
        let mut complete = true;
        if lists.are_shared() && shared.is_none() {
            // Dovecot, or the next who has the lock, numbers them.
            numbered.retain(|(_, file)| self.theirs.contains_key(file.base.as_str()));
            complete = numbered.len() == self.strangers.len();
            unnumbered.clear();
        }
        let numbered = numbered.into_iter().map(|(uid, file)| (Some(uid), file));
        let arrivals: Vec<(Option<Uid>, &Seen)> = numbered
            .chain(unnumbered.into_iter().map(|file| (None, file)))
            .collect();
        for slice in arrivals.chunks(SLICE) {
            self.account.keep_list(lists, &row.name)?;
            let mut arrivals = slice.iter();
            for batch in self.read(slice) {
                let mut packing = Packing::begin(self.transaction, batch.pack.as_ref())?;
                for (content, (claimed, file)) in batch.contents.into_iter().zip(&mut arrivals) {
                    // What cannot be read takes no UID, however often it is tried.
                    let Some(content) = content else {
                        complete = false;
                        continue;
                    };
                    let uid = match claimed {
                        Some(uid) => *uid,
                        None => {
                            let uid = self.account.next_uid(row)?;
                            lines.push((uid, file.base.as_str()));
                            uid
                        }
                    };
                    if claimed.is_none() || self.theirs.contains_key(file.base.as_str()) && !is_own(file, uid, row) {
                        entries.push((uid, file.base.clone()));
                    }
                    self.insert(row, uid, file, &content, &mut packing)?;
                }
                packing.end(self.transaction)?;
            }
        }
        // The rows are shown once the caller commits.
        if let Some(shared) = &mut shared {
            self.account.add_to_shared(lists, row, shared, &lines)?;
        }
        let strangers: HashSet<&str> = self.strangers.iter().map(|file| file.base.as_str()).collect();
        list.add(
            &self.account.options.disk,
            self.folder.path(),
            row.validity,
            &entries,
            |base| !scope.whole || scope.known.contains_key(base) || strangers.contains(base),
        )?;
        Ok(complete)
    }

    // The UID that a file brings along, where it can still be given.
    fn claim(
        &self,
        identified: &Identified,
        list: &UidList,
        file: &Seen,
        scope: &Scope<'_>,
    ) -> Result<Option<Uid>, StoreError> {
        let row = &identified.row;
        let Some(uid) = self.number_of(row, list, file) else {
            return Ok(None);
        };
        let counts = uid >= identified.adopt_from
            && !self.transaction.is_expunged(row, uid)?
            && (scope.whole || self.transaction.messages(row, &uid.into())?.is_empty());
        Ok(counts.then_some(uid))
    }

    // From Dovecot's list where that counts, from our list of foreign names, or from its own
    // name where that counts here.
    fn number_of(&self, row: &MailboxRow, list: &UidList, file: &Seen) -> Option<Uid> {
        let name = FileName {
            base: &file.base,
            letters: "",
        };
        let own = name.uid().filter(|(_, validity)| *validity == row.validity);
        let theirs = self.theirs.get(file.base.as_str()).copied();
        theirs
            .or(list.uids.get(&file.base).copied())
            .or(own.map(|(uid, _)| uid))
    }

    fn read(&self, files: &[(Option<Uid>, &Seen)]) -> Vec<Batch> {
        let path = |(_, file): &(_, &Seen)| self.folder.path().join(file.relative_path());
        kept::of_files(&files.iter().map(path).collect::<Vec<PathBuf>>())
    }

    fn insert(
        &self,
        row: &mut MailboxRow,
        uid: Uid,
        file: &Seen,
        content: &Content,
        packing: &mut Packing,
    ) -> Result<(), StoreError> {
        let new = MessageRow {
            uid,
            modseq: self.account.next_modseq(row)?,
            flags: flags_of(file, self.keywords),
            internal_date: content.written,
            save_date: content.changed,
            size: content.size,
            file: file_row(file),
            content: packing.put(self.transaction, &content.new)?,
        };
        self.transaction.insert_message(row, &new)?;
        self.recall_delivery(row, file, content)
    }

    // Invariant 4: the redelivery key stands in the name, so that a new index knows it.
    fn recall_delivery(&self, row: &MailboxRow, file: &Seen, content: &Content) -> Result<(), StoreError> {
        let name = FileName {
            base: &file.base,
            letters: "",
        };
        let Some(key) = name.key() else { return Ok(()) };
        let id = content.delivery.clone().unwrap_or_default();
        let step = match name.uid() {
            // Another program moved it here.
            Some((_, validity)) if validity != row.validity => Step::Placed(validity),
            _ => placed_in(row),
        };
        Ok(self.transaction.put_step(key, &step, &id, content.written)?)
    }
}

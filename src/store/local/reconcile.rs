//! What other programs did to the Maildir, taken into the index.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::index::{Durability, Index, MailboxRow, MessageRow, NewContent, NewPack, PACK_CARDS, Step, Transaction};
use crate::mail::{MailboxName, Uid, UidSet};
use crate::maildir::{DiskError, FileName, Folder, KeywordLetters, Listing, Marks, Place, Seen, Stamp, UidList};

use super::account::{LocalAccount, file_row, seen};
use super::identity::Identified;
use super::kept::{self, Batch, Content};
use super::letters::flags_of;
use super::lock;
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
            let transaction = index.begin(durability)?;
            let mut identified = self.identify_by_folder(&transaction, name)?;
            identified.past_mark |= (recovering || ahead) && !identified.anew;
            self.reconcile_mailbox(&transaction, &mut identified, recovering)?;
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
            let mut identified = self.identify(&transaction, name)?;
            self.reconcile_mailbox(&transaction, &mut identified, true)?;
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
        unchanged(row.stamps.0, Place::New) && unchanged(row.stamps.1, Place::Cur)
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

    /// Compares one folder with its rows. The transaction keeps other processes of
    /// ours from publishing meanwhile; the caller writes the row and commits.
    pub(super) fn reconcile_mailbox(
        &self,
        transaction: &Transaction<'_>,
        identified: &mut Identified,
        thorough: bool,
    ) -> Result<(), StoreError> {
        let folder = self.folders.folder(&identified.row.name);
        folder.sweep();
        let stamps = identified.row.stamps;
        let new = list_if_changed(&folder, Place::New, stamps.0, thorough)?;
        let cur = list_if_changed(&folder, Place::Cur, stamps.1, thorough)?;
        let keywords = KeywordLetters::read(folder.path())?;
        let known: HashMap<String, MessageRow> = transaction
            .messages(&identified.row, &UidSet::all())?
            .into_iter()
            .map(|row| (row.file.base.clone(), row))
            .collect();

        // A file moved from new/ to cur/ in between is listed twice; cur/ is the newer word.
        let mut files: HashMap<&str, &Seen> = HashMap::new();
        for file in [&new, &cur].into_iter().flatten().flat_map(|listing| &listing.files) {
            files.insert(&file.base, file);
        }
        let changed = Changes {
            account: self,
            transaction,
            folder: &folder,
            keywords: &keywords,
        };
        let mut missing = Vec::new();
        for row in known.values() {
            match files.get(row.file.base.as_str()) {
                Some(file) => changed.moved(&mut identified.row, row, file)?,
                None if listed(row, &new, &cur) => missing.push(row),
                None => {}
            }
        }
        changed.gone(&mut identified.row, &missing)?;
        let mut strangers: Vec<&Seen> = files
            .into_values()
            .filter(|file| !known.contains_key(&file.base))
            .collect();
        strangers.sort_by_key(|file| (arrival(file), &file.base));
        let complete = changed.arrived(identified, &known, &strangers)?;

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
fn listed(row: &MessageRow, new: &Option<Listing>, cur: &Option<Listing>) -> bool {
    if row.file.in_cur { cur.is_some() } else { new.is_some() }
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
}

impl Changes<'_> {
    fn moved(&self, row: &mut MailboxRow, known: &MessageRow, file: &Seen) -> Result<(), StoreError> {
        let now = file_row(file);
        if now == known.file {
            return Ok(());
        }
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
    fn gone(&self, row: &mut MailboxRow, missing: &[&MessageRow]) -> Result<(), StoreError> {
        if missing.is_empty() {
            return Ok(());
        }
        let mut there = HashSet::new();
        for place in [Place::New, Place::Cur] {
            there.extend(self.folder.list(place)?.files.into_iter().map(|file| file.base));
        }
        for known in missing.iter().filter(|known| !there.contains(&known.file.base)) {
            let modseq = self.account.next_modseq(row)?;
            self.transaction.expunge(row, known, modseq)?;
            self.account.shrunk.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes in files without a row, first those that have a number. Answers whether
    /// all could be read.
    fn arrived(
        &self,
        identified: &mut Identified,
        known: &HashMap<String, MessageRow>,
        strangers: &[&Seen],
    ) -> Result<bool, StoreError> {
        let validity = identified.row.validity;
        let mut list = match strangers.is_empty() {
            true => UidList::default(),
            false => UidList::read(self.folder.path(), validity)?,
        };
        let mut taken: HashSet<Uid> = known.values().map(|row| row.uid).collect();
        let (mut numbered, mut unnumbered) = (Vec::new(), Vec::new());
        let mut claims = Vec::new();
        for file in strangers {
            claims.push((self.claim(identified, &list, file)?, *file));
        }
        // A UID in a name was answered to the delivery. The same UID in the list was never shown: the transaction
        // failed behind the line.
        let is_listed = |file: &Seen| list.uids.contains_key(&file.base);
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
        if row.uid_next.value() > row.uids_reserved.saturating_add(1) {
            self.account.reserve(row)?;
        }
        let (mut complete, mut entries) = (true, Vec::new());
        let numbered = numbered.into_iter().map(|(uid, file)| (Some(uid), file));
        let arrivals: Vec<(Option<Uid>, &Seen)> = numbered
            .chain(unnumbered.into_iter().map(|file| (None, file)))
            .collect();
        for slice in arrivals.chunks(SLICE) {
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
                            entries.push((uid, file.base.clone()));
                            uid
                        }
                    };
                    self.insert(row, uid, file, &content, &mut packing)?;
                }
                packing.end(self.transaction)?;
            }
        }
        // The rows are shown once the caller commits.
        let live: HashSet<&str> = known
            .keys()
            .map(String::as_str)
            .chain(strangers.iter().map(|file| file.base.as_str()))
            .collect();
        list.add(
            &self.account.options.disk,
            self.folder.path(),
            validity,
            &entries,
            |base| live.contains(base),
        )?;
        Ok(complete)
    }

    // The UID that a file brings along: from our list of foreign names, or from its own
    // name where that counts here.
    fn claim(&self, identified: &Identified, list: &UidList, file: &Seen) -> Result<Option<Uid>, StoreError> {
        let name = FileName {
            base: &file.base,
            letters: "",
        };
        let own = name
            .uid()
            .filter(|(_, validity)| *validity == identified.row.validity)
            .map(|(uid, _)| uid);
        let Some(uid) = list.uids.get(&file.base).copied().or(own) else {
            return Ok(None);
        };
        let counts = uid >= identified.adopt_from && !self.transaction.is_expunged(&identified.row, uid)?;
        Ok(counts.then_some(uid))
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
        self.recall_delivery(file, content)
    }

    // Invariant 4: the redelivery key stands in the name, so that a new index knows it.
    fn recall_delivery(&self, file: &Seen, content: &Content) -> Result<(), StoreError> {
        let name = FileName {
            base: &file.base,
            letters: "",
        };
        let (Some(key), Some((_, validity))) = (name.key(), name.uid()) else {
            return Ok(());
        };
        let id = content.delivery.clone().unwrap_or_default();
        let step = Step::Placed(validity);
        Ok(self.transaction.put_step(key, &step, &id, content.written)?)
    }
}

//! What Dovecot or Courier gave a folder, taken over once.
//!
//! A folder that postroom never numbered may have been numbered by another server, and clients
//! hold copies under those numbers. So its UIDVALIDITY, its next UID and the UID of each file are
//! taken from `dovecot-uidlist`, else from `courierimapuiddb`; Courier's keywords become letters
//! of file names, its subscriptions Dovecot's file. All of that is written down before
//! `postroom-mailbox`, whose presence says that it was done: after a crash it is done again.

use std::collections::HashMap;

use crate::index::{MailboxRow, Transaction};
use crate::mail::{Flags, MailboxName, SpecialUse, Uid};
use crate::maildir::{
    Disk, DiskError, DovecotUidList, Folder, Marks, Place, Seen, Subscriptions, UidList, courier_keywords,
};
use crate::store::StoreError;

use super::account::LocalAccount;
use super::identity::{Identified, first_modseq, first_uid};
use super::letters::{assign_under, flags_of, letters_of};
use super::mailboxes::PATIENCE;
use super::uidlist::Lists;

/// Names under which mail programs make the mailboxes of each use.
const WELL_KNOWN: [(&str, SpecialUse); 7] = [
    ("Sent", SpecialUse::Sent),
    ("Sent Messages", SpecialUse::Sent),
    ("Drafts", SpecialUse::Drafts),
    ("Trash", SpecialUse::Trash),
    ("Junk", SpecialUse::Junk),
    ("Spam", SpecialUse::Junk),
    ("Archive", SpecialUse::Archive),
];

/// The numbers that another server gave.
struct Found {
    list: DovecotUidList,
    of_courier: bool,
}

impl LocalAccount {
    /// Takes in a folder with the numbers that another server gave it; none where none did.
    /// `before` is the row that the mailbox had: it keeps its MAILBOXID, and MODSEQs go on.
    pub(super) fn adopt(
        &self,
        transaction: &Transaction<'_>,
        name: &MailboxName,
        before: Option<&MailboxRow>,
        lists: &Lists,
    ) -> Result<Option<Identified>, StoreError> {
        let folder = self.folders.folder(name);
        let Some(Found { list, of_courier }) = self.numbered_by_others(name, &folder)? else {
            return Ok(None);
        };
        if of_courier {
            take_keywords(&self.options.disk, &folder, lists.lock_of(name))?;
        }
        self.write_down(&folder, &list)?;
        self.note_validity(transaction, name, list.validity)?;
        let others = transaction.mailboxes()?;
        let special_use = match before {
            Some(row) => row.special_use,
            None => well_known(name).filter(|special| others.iter().all(|row| row.special_use != Some(*special))),
        };
        let mailbox_id = match before {
            Some(row) => row.mailbox_id.clone(),
            None => mailbox_id(&list, &others),
        };
        let modseq = before.map_or_else(first_modseq, |row| row.highest_modseq);
        let marks = self.first_marks(name, list.validity, mailbox_id, list.next, modseq, special_use)?;
        marks.write(&self.options.disk, folder.path())?;
        let mut row = self.new_row(name, &marks);
        (row.uid_next, row.highest_modseq) = (list.next, modseq);
        transaction.insert_mailbox(&mut row)?;
        tracing::info!(user = %self.user, mailbox = %name, uidvalidity = %row.validity, uidnext = %row.uid_next, "took over the numbers of another server");
        Ok(Some(Identified {
            row,
            adopt_from: first_uid(),
            past_mark: false,
            anew: true,
        }))
    }

    fn numbered_by_others(&self, name: &MailboxName, folder: &Folder) -> Result<Option<Found>, DiskError> {
        for of_courier in [false, true] {
            let list = match of_courier {
                false => DovecotUidList::read(folder.path())?,
                true => DovecotUidList::read_courier(folder.path())?,
            };
            match list {
                Some(Ok(list)) => return Ok(Some(Found { list, of_courier })),
                Some(Err(damage)) => {
                    let file = if of_courier {
                        "courierimapuiddb"
                    } else {
                        "dovecot-uidlist"
                    };
                    tracing::warn!(user = %self.user, mailbox = %name, %damage, "{file} cannot be understood; the mailbox is numbered anew, as Dovecot would do");
                }
                None => {}
            }
        }
        Ok(None)
    }

    // Our own list says it from now on, whatever becomes of theirs.
    fn write_down(&self, folder: &Folder, list: &DovecotUidList) -> Result<(), DiskError> {
        let entries: Vec<(Uid, String)> = list
            .uids()
            .into_iter()
            .map(|(base, uid)| (uid, base.to_owned()))
            .collect();
        UidList::default().add(&self.options.disk, folder.path(), list.validity, &entries, |_| true)
    }

    /// Takes Courier's subscriptions over where there are none yet, and notes them in the index.
    pub(super) fn adopt_subscriptions(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let root = self.folders.folder(&MailboxName::inbox());
        if Subscriptions::read(root.path())?.is_none() {
            let Some(theirs) = Subscriptions::read_courier(root.path())? else {
                return Ok(());
            };
            let names = theirs.names();
            let changes: Vec<_> = names.iter().map(|name| (name, true)).collect();
            if !Subscriptions::alter(&self.options.disk, root.path(), &changes, PATIENCE)? {
                tracing::warn!(user = %self.user, "another program holds the subscriptions; Courier's were not taken over");
            }
        }
        let names = self.read_subscriptions()?;
        Ok(transaction.put_subscriptions(names.iter().map(MailboxName::as_str))?)
    }
}

// Dovecot's GUID is what it answers for MAILBOXID itself. A copied folder has that of the first.
fn mailbox_id(list: &DovecotUidList, others: &[MailboxRow]) -> String {
    let guid = list
        .guid()
        .filter(|guid| others.iter().all(|row| row.mailbox_id != *guid));
    guid.map_or_else(|| format!("M{:08x}-{}", list.validity.value(), unique()), str::to_owned)
}

fn unique() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{:x}", since.unwrap_or_default().as_nanos())
}

fn well_known(name: &MailboxName) -> Option<SpecialUse> {
    let known = WELL_KNOWN
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name.as_str()));
    known.map(|(_, special)| *special)
}

// Courier's keywords become letters, as far as there are letters: files that have any are renamed.
fn take_keywords(disk: &Disk, folder: &Folder, lock: Option<&crate::maildir::UidListLock>) -> Result<(), StoreError> {
    let theirs: HashMap<String, Flags> = courier_keywords(folder.path())?
        .into_iter()
        .map(|(base, keywords)| {
            let mut flags = Flags::new();
            for keyword in keywords.iter().filter(|keyword| !keyword.starts_with('\\')) {
                // What is no keyword for IMAP cannot be one here.
                let _ = flags.insert(keyword);
            }
            (base, flags)
        })
        .collect();
    if theirs.is_empty() {
        return Ok(());
    }
    let letters = assign_under(disk, folder.path(), theirs.values(), lock)?;
    for place in [Place::New, Place::Cur] {
        for file in folder.list(place)?.files {
            let Some(keywords) = theirs.get(&file.base) else {
                continue;
            };
            let mut flags = flags_of(&file, &letters);
            for keyword in keywords.keywords() {
                let _ = flags.insert(keyword);
            }
            let to = Seen {
                base: file.base.clone(),
                letters: letters_of(&flags, &letters, file.flag_letters()),
                place: Place::Cur,
            };
            let path = |file: &Seen| folder.path().join(file.relative_path());
            match disk.rename_new(&path(&file), &path(&to)) {
                // Gone meanwhile.
                Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {}
                renamed if to != file => renamed?,
                _ => {}
            }
        }
    }
    disk.flush_folder(&folder.new_())?;
    Ok(disk.flush_folder(&folder.cur())?)
}

impl LocalAccount {
    /// The marks of a mailbox that is numbered just now.
    pub(super) fn first_marks(
        &self,
        name: &MailboxName,
        validity: crate::mail::UidValidity,
        mailbox_id: String,
        next: Uid,
        modseq: crate::mail::ModSeq,
        special_use: Option<SpecialUse>,
    ) -> Result<Marks, StoreError> {
        let stood = Marks::read(self.folders.folder(name).path())?;
        let highest = stood.as_ref().and_then(|marks| marks.highest_validity);
        Ok(Marks {
            validity,
            mailbox_id,
            uids: next.value().saturating_add(super::identity::UID_BLOCK - 1),
            modseqs: modseq.value() + super::identity::MODSEQ_BLOCK - 1,
            highest_validity: name.is_inbox().then(|| highest.max(Some(validity))).flatten(),
            special_use,
            others: stood.map(|marks| marks.others).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::tests::{Home, name, placed};
    use super::*;

    const VALIDITY: u32 = 1_700_000_000;

    /// A folder that another server filled: `(base, letters)` in `cur/`.
    fn fill(home: &Home, below: &str, files: &[(&str, &str)]) {
        let folder = home.path("Maildir").join(below);
        for part in ["tmp", "new", "cur"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        for (base, letters) in files {
            let text = format!("Subject: {base}\n\nbody\n");
            fs::write(folder.join(format!("cur/{base}:2,{letters}")), text).unwrap();
        }
    }

    fn subjects(home: &Home, mailbox: &str) -> Vec<(u32, String, String)> {
        let all = home.messages(mailbox).into_iter();
        all.map(|it| {
            let subject = it.card.summary().subject.clone();
            (it.entry.uid.value(), subject, it.entry.flags.to_string())
        })
        .collect()
    }

    fn said(expected: &[(u32, &str, &str)]) -> Vec<(u32, String, String)> {
        let own = |(uid, subject, flags): &(u32, &str, &str)| (*uid, (*subject).to_owned(), (*flags).to_owned());
        expected.iter().map(own).collect()
    }

    #[test]
    fn dovecot_s_numbers_are_taken_over() {
        let home = Home::new();
        fill(&home, "", &[("3.c.h", "S"), ("1.a.h,S=26", "FSa"), ("2.new.h", "")]);
        fill(&home, ".sent", &[("1.a.h,S=26", "")]);
        fill(&home, ".Sent Messages", &[]);
        let guid = "f944330d0dee026bfe5e000083ecc375";
        let list = format!("3 V{VALIDITY} N100 G{guid}\n7 S26 :1.a.h,S=26\n12 :3.c.h\n40 :0.gone.h\n");
        fs::write(home.path("Maildir/dovecot-uidlist"), &list).unwrap();
        fs::write(home.path("Maildir/dovecot-keywords"), "0 $Work\n").unwrap();
        // Made in the same second, and by copying.
        for folder in [".sent", ".Sent Messages"] {
            let list = format!("3 V{VALIDITY} N9 G{guid}\n8 :1.a.h,S=26\n");
            fs::write(home.path("Maildir").join(folder).join("dovecot-uidlist"), list).unwrap();
        }
        let expected = said(&[
            (7, "1.a.h,S=26", "\\Flagged \\Seen $Work"),
            (12, "3.c.h", "\\Seen"),
            (100, "2.new.h", ""),
        ]);
        assert_eq!(subjects(&home, "INBOX"), expected);
        assert_eq!(subjects(&home, "sent"), said(&[(8, "1.a.h,S=26", "")]));
        let status = home.status("INBOX");
        assert_eq!((status.validity.value(), status.uid_next.value()), (VALIDITY, 101));
        assert_eq!(status.mailbox_id, guid);
        let sent = home.status("sent");
        assert_eq!((sent.validity, sent.uid_next.value()), (status.validity, 9));
        assert!(sent.mailbox_id != guid && home.status("Sent Messages").mailbox_id != sent.mailbox_id);
        let uses = ["sent", "Sent Messages"].map(|mailbox| home.status(mailbox).special_use);
        assert_eq!(uses, [None, Some(SpecialUse::Sent)], "one has it, the first by name");
        assert_eq!(fs::read_to_string(home.path("Maildir/dovecot-uidlist")).unwrap(), list);
        // A delivery lies in each of two mailboxes with the same UIDVALIDITY, and only once.
        let both = &[("INBOX", ""), ("sent", "")];
        let made = placed(&home.deliver(5, both));
        assert_eq!(made, [("INBOX".to_owned(), 101), ("sent".to_owned(), 9)]);
        let before = [subjects(&home, "INBOX"), subjects(&home, "sent")];
        let home = home.without_index();
        assert_eq!([subjects(&home, "INBOX"), subjects(&home, "sent")], before);
        assert_eq!(home.status("sent").mailbox_id, sent.mailbox_id);
        let again = home.deliver(5, both);
        assert!(matches!(again, crate::store::Published::Before(_)));
        home.close();
    }

    #[test]
    fn courier_s_numbers_keywords_and_subscriptions_are_taken_over() {
        let home = Home::new();
        fill(&home, "", &[("1.a.h", "S"), ("2.b.h", ""), ("3.c.h", "")]);
        fill(&home, ".Trash", &[("4.d.h", "T")]);
        fs::write(
            home.path("Maildir/courierimapuiddb"),
            "1 1234567 50\n3 2.b.h\n5 1.a.h\n",
        )
        .unwrap();
        fs::write(home.path("Maildir/.Trash/courierimapuiddb"), "1 1234567 2\n1 4.d.h\n").unwrap();
        fs::write(home.path("Maildir/courierimapsubscribed"), "INBOX\nINBOX.Trash\n").unwrap();
        fs::create_dir(home.path("Maildir/courierimapkeywords")).unwrap();
        let keywords = "$Junk\nwork\nno (word)\n\n1.a.h:0 1\n2.b.h:2\n9.gone.h:0\n";
        fs::write(home.path("Maildir/courierimapkeywords/:list"), keywords).unwrap();
        let expected = said(&[(3, "2.b.h", ""), (5, "1.a.h", "\\Seen $Junk work"), (50, "3.c.h", "")]);
        assert_eq!(subjects(&home, "INBOX"), expected);
        assert_eq!(subjects(&home, "Trash"), said(&[(1, "4.d.h", "\\Deleted")]));
        assert_eq!(home.status("INBOX").validity, home.status("Trash").validity);
        assert_eq!(home.status("Trash").special_use, Some(SpecialUse::Trash));
        let subscribed = home.account().subscriptions().unwrap();
        assert_eq!(subscribed, [name("INBOX"), name("Trash")].into());
        // Once only: what was changed since stands.
        fs::write(home.path("Maildir/courierimapuiddb"), "1 7654321 1\n").unwrap();
        home.account().subscribe(&name("INBOX"), false).unwrap();
        let home = home.without_index();
        assert_eq!(subjects(&home, "INBOX"), expected);
        assert_eq!(home.account().subscriptions().unwrap(), [name("Trash")].into());
        home.close();
    }

    #[test]
    fn what_is_damaged_is_numbered_anew_above_all_that_was_given() {
        let home = Home::new();
        fill(&home, "", &[("1.a.h", "")]);
        fill(&home, ".Old", &[("1.a.h", "")]);
        let theirs = 4_000_000_000u32;
        fs::write(
            home.path("Maildir/dovecot-uidlist"),
            format!("3 V{VALIDITY} N9\n8 :1.a.h\n7 :0.b.h\n"),
        )
        .unwrap();
        fs::write(home.path(&format!("Maildir/dovecot-uidvalidity.{theirs:08x}")), "").unwrap();
        let high = theirs + 7;
        fs::write(
            home.path("Maildir/.Old/dovecot-uidlist"),
            format!("3 V{high} N9\n8 :1.a.h\n"),
        )
        .unwrap();
        let inbox = home.status("INBOX").validity.value();
        assert_eq!((inbox, home.status("Old").validity.value()), (theirs + 1, high));
        assert_eq!(home.uids("INBOX"), [1]);
        home.deliver(1, &[("New", "")]);
        assert_eq!(home.status("New").validity.value(), high + 1);
        assert!(
            home.path(&format!("Maildir/dovecot-uidvalidity.{:08x}", high + 1))
                .exists()
        );
        home.close();
    }

    #[test]
    fn a_crash_within_loses_nothing() {
        let home = Home::new();
        fill(&home, "", &[("1.a.h", ""), ("2.b.h", "")]);
        fs::write(
            home.path("Maildir/dovecot-uidlist"),
            format!("3 V{VALIDITY} N30\n8 :2.b.h\n9 :1.a.h\n"),
        )
        .unwrap();
        assert_eq!(home.uids("INBOX"), [8, 9]);
        // The marks were written, the transaction was not.
        let home = home.without_index();
        fs::remove_file(home.path("Maildir/dovecot-uidlist")).unwrap();
        assert_eq!(subjects(&home, "INBOX"), said(&[(8, "2.b.h", ""), (9, "1.a.h", "")]));
        assert!(home.status("INBOX").uid_next.value() >= 30);
        home.close();
    }
}

//! Whether index and Maildir agree, said in words.

use std::collections::BTreeSet;
use std::fs;

use crate::index::{Index, MailboxRow, MessageRow};
use crate::mail::UidSet;
use crate::maildir::{FileName, Marks, audit, open_message};

use super::account::{LocalAccount, seen};
use super::lock;
use crate::store::StoreError;

impl LocalAccount {
    /// Takes in what others changed, then compares.
    pub(super) fn findings(&self) -> Result<Vec<String>, StoreError> {
        let mut index = lock(&self.index);
        self.reconcile_all(&mut index, false)?;
        let mut findings = index.integrity()?;
        let rows = index.mailboxes()?;
        for name in self.folders.list()? {
            if !rows.iter().any(|row| row.name == name) {
                findings.push(format!("{name}: the folder is not in the index"));
            }
        }
        for row in &rows {
            let found = self.check_mailbox(&index, row)?;
            findings.extend(found.into_iter().map(|finding| format!("{}: {finding}", row.name)));
        }
        Ok(findings)
    }

    fn check_mailbox(&self, index: &Index, row: &MailboxRow) -> Result<Vec<String>, StoreError> {
        let folder = self.folders.folder(&row.name);
        if !folder.exists() {
            return Ok(vec!["the mailbox has no folder".to_owned()]);
        }
        let messages = index.messages(row, &UidSet::all())?;
        let mut findings = check_numbers(row, &messages, Marks::read(folder.path())?.as_ref());
        let recount = index.recount(row)?;
        if recount != row.counts {
            findings.push(format!("counts {:?}, but its messages make {recount:?}", row.counts));
        }
        let without_card = index.without_card(row)?.into_iter();
        findings.extend(without_card.map(|uid| format!("the index knows nothing of UID {uid} but its file")));
        let audit = audit(&folder)?;
        let indexed: BTreeSet<&str> = messages.iter().map(|message| message.file.base.as_str()).collect();
        for base in audit.bases.iter().filter(|base| !indexed.contains(base.as_str())) {
            findings.push(format!("the file {base} is not in the index"));
        }
        let unnamed = messages
            .iter()
            .filter(|message| !audit.bases.contains(&message.file.base));
        for message in unnamed.skip(audit.unnamed) {
            findings.push(format!("UID {} has no file {}", message.uid, message.file.base));
        }
        for message in &messages {
            let name = FileName {
                base: &message.file.base,
                letters: "",
            };
            let found = fs::metadata(folder.path().join(seen(&message.file).relative_path()));
            let (Some(stated), Ok(metadata)) = (name.stored_size(), found) else {
                continue;
            };
            let path = seen(&message.file).relative_path();
            // What Dovecot compressed has fewer bytes on the disk.
            let length = || open_message(&folder.path().join(&path)).and_then(|file| file.length());
            if metadata.len() != stated && length().ok() != Some(stated) {
                findings.push(format!(
                    "{} has {} bytes, its name says {stated}",
                    path.display(),
                    metadata.len()
                ));
            }
        }
        Ok(findings)
    }
}

fn check_numbers(row: &MailboxRow, messages: &[MessageRow], marks: Option<&Marks>) -> Vec<String> {
    let mut findings = Vec::new();
    let highest = messages.iter().map(|message| message.uid).max();
    if let Some(uid) = highest.filter(|uid| *uid >= row.uid_next) {
        findings.push(format!("UIDNEXT is {}, but UID {uid} exists", row.uid_next));
    }
    let highest = messages.iter().map(|message| message.modseq).max();
    if let Some(modseq) = highest.filter(|modseq| *modseq > row.highest_modseq) {
        findings.push(format!(
            "HIGHESTMODSEQ is {}, but MODSEQ {modseq} exists",
            row.highest_modseq
        ));
    }
    let Some(marks) = marks else {
        findings.push("the file postroom-mailbox is missing or cannot be understood".to_owned());
        return findings;
    };
    if marks.validity != row.validity {
        findings.push(format!(
            "UIDVALIDITY is {}, postroom-mailbox says {}",
            row.validity, marks.validity
        ));
    }
    if marks.uids < row.uid_next.value() - 1 {
        findings.push(format!(
            "UIDs up to {} were given, but only {} reserved",
            row.uid_next.value() - 1,
            marks.uids
        ));
    }
    if marks.modseqs < row.highest_modseq.value() {
        findings.push(format!(
            "MODSEQs up to {} were given, but only {} reserved",
            row.highest_modseq, marks.modseqs
        ));
    }
    findings
}

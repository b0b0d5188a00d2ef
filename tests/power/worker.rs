//! The worker: does the script on a store that flushes, and says what it was promised.
//!
//! Each line of the file named by `POSTROOM_POWER_SAYS` is one JSON object, written with one call, so that the record
//! of system calls has the moment of each promise:
//!
//! - `{"begin": n}`: line n of the script begins;
//! - `{"ack": n, "placed": [[mailbox, uid]...], "shown": {...}}`: it succeeded, and a client may have seen this;
//! - `{"failed": n, "error": "..."}`: it did not;
//! - `{"end": true}`: the store is closed.

use std::env;
use std::fs::{self, File};
use std::io::{IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postroom::mail::{DeliveryId, Flags, MailboxName, UidSet};
use postroom::store::{Account, Alteration, LocalStore, Publication, Published, Store};
use serde_json::{Value, json};

use super::script::{self, Do, Dropped, HOME, SCRIPT, USER};

/// Names the root below which the home lies; set only by the recorder.
pub const ROOT: &str = "POSTROOM_POWER_ROOT";
/// Leaves long lines of the script out.
pub const SHORT: &str = "POSTROOM_POWER_SHORT";
/// Names the file of what the worker says.
pub const SAYS: &str = "POSTROOM_POWER_SAYS";

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Worker {
    home: PathBuf,
    says: File,
    /// None while closed.
    store: Option<LocalStore>,
}

/// Does the script where the environment asks for it.
pub fn run_if_asked() {
    let (Some(root), Some(says)) = (env::var_os(ROOT), env::var_os(SAYS)) else {
        return;
    };
    warm_up();
    let mut worker = Worker {
        home: Path::new(&root).join(HOME),
        says: File::options()
            .append(true)
            .open(says)
            .expect("the file is made by the recorder"),
        store: None,
    };
    let short = env::var_os(SHORT).is_some();
    for (number, step) in SCRIPT.iter().enumerate().filter(|(_, step)| !short || !step.is_long()) {
        worker.say(&json!({"begin": number}));
        match worker.act(step) {
            Ok(placed) => {
                let shown = worker.shown().unwrap_or(Value::Null);
                worker.say(&json!({"ack": number, "placed": placed, "shown": shown}));
            }
            Err(error) => worker.say(&json!({"failed": number, "error": error.to_string()})),
        }
    }
    worker.store = None;
    worker.say(&json!({"end": true}));
}

// strace counts the calls of each thread apart when one is to fail. The threads of the test harness make a few calls
// before this one does its first; these are counted past here, so that a number names a call of this thread alone.
fn warm_up() {
    for _ in 0..200 {
        let _ = File::open("");
        let _ = fs::rename("", "");
        let _ = fs::remove_file("");
    }
    let mut null = File::options().write(true).open("/dev/null").expect("/dev/null");
    (0..50).for_each(|_| null.write_all(b"x").expect("/dev/null takes anything"));
}

impl Worker {
    // With writev(2): write(2) may be the call that fails.
    fn say(&mut self, what: &Value) {
        let line = format!("{what}\n");
        let written = self.says.write_vectored(&[IoSlice::new(line.as_bytes())]);
        assert_eq!(written.ok(), Some(line.len()), "it can be said");
    }

    fn account(&mut self) -> Result<Arc<dyn Account>> {
        let store = self.store.get_or_insert_with(|| script::store(true, true));
        Ok(store.account(USER, &self.home)?)
    }

    /// Answers where messages were placed.
    fn act(&mut self, step: &Do) -> Result<Value> {
        match step {
            Do::Deliver(key, lines, to) => {
                let published = deliver(self.account()?.as_ref(), *key, *lines, to)?;
                let Published::Placed(placed) = published else {
                    return Ok(json!([]));
                };
                let pairs = placed
                    .iter()
                    .map(|it| json!([it.mailbox.as_str(), it.uid.map(postroom::mail::Uid::value)]));
                return Ok(pairs.collect());
            }
            Do::Flag(mailbox, key, flag) => {
                let uids = self.uids(mailbox, *key)?;
                let mut flags = Flags::new();
                flags.insert(flag)?;
                let add = Alteration::Add(flags);
                self.account()?
                    .alter(&script::mailbox_name(mailbox), &uids, &add, None)?;
            }
            Do::Copy(mailbox, key, to) | Do::Move(mailbox, key, to) => {
                let uids = self.uids(mailbox, *key)?;
                let (from, target) = (script::mailbox_name(mailbox), script::mailbox_name(to));
                let transferred = match step {
                    Do::Copy(..) => self.account()?.copy(&from, &uids, &target)?,
                    _ => self.account()?.move_to(&from, &uids, &target)?,
                };
                let new = transferred.uids.iter().map(|(_, new)| json!([to, new.value()]));
                return Ok(new.collect());
            }
            Do::Expunge(mailbox, key) => {
                let uids = self.uids(mailbox, *key)?;
                self.account()?.remove(&script::mailbox_name(mailbox), &uids)?;
            }
            Do::Rename(from, to) => {
                let (from, to) = (script::mailbox_name(from), script::mailbox_name(to));
                self.account()?.rename_mailbox(&from, &to)?;
            }
            Do::Delete(name) => self.account()?.delete_mailbox(&script::mailbox_name(name))?,
            Do::Create(name) => self.account()?.create_mailbox(&script::mailbox_name(name))?,
            Do::Redirected(key) => self
                .account()?
                .put_step(*key, &script::redirected(), &DeliveryId::new())?,
            Do::Remember(_) | Do::RememberMuch(_) => {
                for what in step.remembered() {
                    self.account()?.remember(&what, 7 * 86_400)?;
                }
            }
            Do::Reconcile => self.account()?.reconcile()?,
            Do::Reopen { keep_logs } => {
                self.store = None;
                self.store = Some(script::store(true, *keep_logs));
                self.account()?;
            }
            Do::Drop(mailbox, base, how) => self.drop_in(mailbox, base, *how)?,
            Do::See(mailbox, key) => {
                let (from, base) = self.find(mailbox, *key)?;
                fs::rename(from, self.folder(mailbox).join(format!("cur/{base}:2,S")))?;
            }
            Do::Remove(mailbox, key) => fs::remove_file(self.find(mailbox, *key)?.0)?,
        }
        Ok(json!([]))
    }

    /// All that a client could see now.
    fn shown(&mut self) -> Result<Value> {
        let account = self.account()?;
        let mut shown = serde_json::Map::new();
        for status in account.mailboxes()? {
            let details = account.details(&status.name, &UidSet::all())?.into_iter();
            let messages: Value = details
                .map(|it| json!([it.entry.uid.value(), it.entry.modseq.value(), base_of(&it.path)]))
                .collect();
            let numbers = json!({
                "validity": status.validity.value(),
                "modseq": status.highest_modseq.value(),
                "messages": messages,
            });
            shown.insert(status.name.to_string(), numbers);
        }
        Ok(Value::Object(shown))
    }

    /// The UID of a message, found by its bytes.
    fn uids(&mut self, mailbox: &str, key: u64) -> Result<UidSet> {
        let stored = script::stored(key).ok_or("no such message in the script")?;
        let details = self
            .account()?
            .details(&script::mailbox_name(mailbox), &UidSet::all())?;
        let found = details.into_iter().find(|detail| {
            let read = fs::read(self.home.join(&detail.path));
            read.is_ok_and(|bytes| bytes == stored)
        });
        let uid = found.ok_or("the message is not there")?.entry.uid;
        Ok(UidSet::range(uid..=uid))
    }

    fn drop_in(&self, mailbox: &str, base: &str, how: Dropped) -> Result<()> {
        let folder = self.folder(mailbox);
        let temporary = folder.join("tmp").join(base);
        let mut file = File::create(&temporary)?;
        file.write_all(&script::foreign(base))?;
        if how == Dropped::Flushed {
            file.sync_all()?;
        }
        Ok(fs::rename(temporary, folder.join("new").join(base))?)
    }

    fn folder(&self, mailbox: &str) -> PathBuf {
        let root = self.home.join("Maildir");
        match script::mailbox_name(mailbox) == MailboxName::inbox() {
            true => root,
            false => root.join(format!(".{mailbox}")),
        }
    }

    /// The file of a message and its base name, found by the key in its name, as another program would list it.
    fn find(&self, mailbox: &str, key: u64) -> Result<(PathBuf, String)> {
        let mark = format!("R{key:016x}.");
        for part in ["new", "cur"] {
            for entry in fs::read_dir(self.folder(mailbox).join(part))? {
                let path = entry?.path();
                if path.to_string_lossy().contains(&mark) {
                    let base = base_of(&path);
                    return Ok((path, base));
                }
            }
        }
        Err(format!("no message {key} in {mailbox}").into())
    }
}

/// The base name of a message's file.
pub fn base_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split(':').next().unwrap_or_default().to_owned()
}

/// Delivers as `fileinto :create` does.
pub fn deliver(account: &dyn Account, key: u64, lines: usize, to: &[(&str, &str)]) -> Result<Published> {
    let targets = script::targets(to);
    for target in &targets {
        account.create_mailbox(&target.mailbox)?;
    }
    let publication = Publication {
        targets,
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    };
    let edited = publication.targets.iter().map(|target| target.mailbox.clone());
    let edited: Vec<MailboxName> = edited
        .filter(|name| name.as_str().starts_with(script::EDITED))
        .collect();
    let mut staged = account.stage(&script::letter(key, lines).0, key)?;
    if !edited.is_empty() {
        staged.add_edition(&script::edition(key, lines).0, &edited)?;
    }
    Ok(staged.publish(publication)?)
}

//! Dovecot and the store on one Maildir: both at work at once, and one taking over what the other filled.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postroom::mail::{DeliveryId, Flags, MailboxName, ReversePath, Uid, UidSet};
use postroom::message::{Letter, Message, Trace};
use postroom::store::{Account, Alteration, LocalStore, Options, Publication, Published, Store, Target};
use support::doveadm::{Doveadm, Imap};
use support::peers::{present, root};
use support::place::{MAIL_USER, Place, give_to_mail_user};

/// How long both work at once.
const LOAD: Duration = Duration::from_secs(15);

/// UID, subject and flags of each message, in order of UID.
type Messages = Vec<(u32, String, String)>;

fn account(place: &Place) -> Option<Doveadm> {
    (root() && present(&["dovecot", "doveadm", "setpriv", "mbsync"])).then(|| Doveadm::new(place))
}

fn open(dovecot: &Doveadm, dovecot_uidlist: bool) -> Arc<dyn Account> {
    let store = LocalStore::new(Options {
        host: "mx.example.org".to_owned(),
        open_accounts: 1,
        dovecot_uidlist,
        fulltext: false,
        ..Options::default()
    });
    store.account("ann@example.org", dovecot.home()).expect("an account")
}

fn name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').expect("a name")
}

fn flags(words: &str) -> Flags {
    let mut flags = Flags::new();
    for word in words.split_whitespace() {
        flags.insert(word).expect("a flag");
    }
    flags
}

fn deliver(account: &dyn Account, key: u64, mailbox: &str, subject: &str) {
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let message = Message::from_bytes(format!("Subject: {subject}\r\n\r\nbody\r\n"));
    let staged = account.stage(&Letter::new(message, &trace), key).expect("staged");
    let published = staged.publish(Publication {
        targets: vec![Target {
            mailbox: name(mailbox),
            flags: Flags::new(),
        }],
        id: DeliveryId::new(),
        remember: Vec::new(),
        quota: None,
        history: None,
    });
    assert!(matches!(published.expect("delivered"), Published::Placed(_)));
}

fn ours(account: &dyn Account, mailbox: &str) -> Messages {
    account.reconcile().expect("taken in");
    let details = account.details(&name(mailbox), &UidSet::all()).expect("read");
    let message = |it: postroom::store::Detail| {
        let flags = sorted(&it.entry.flags.to_string());
        (it.entry.uid.value(), it.card.summary().subject.clone(), flags)
    };
    details.into_iter().map(message).collect()
}

fn theirs(dovecot: &Doveadm, mailbox: &str) -> Messages {
    let words = [
        "-o",
        "mail_plugins=zlib",
        "-f",
        "tab",
        "fetch",
        "uid hdr.subject flags",
        "mailbox",
        mailbox,
    ];
    let printed = dovecot.run(&words);
    let message = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (
            fields[0].parse().expect("a UID"),
            fields[1].to_owned(),
            sorted(fields[2]),
        )
    };
    printed.lines().skip(1).map(message).collect()
}

fn sorted(flags: &str) -> String {
    let mut flags: Vec<&str> = flags.split(' ').filter(|flag| *flag != "\\Recent").collect();
    flags.sort_unstable();
    flags.join(" ")
}

/// Both name each message by the same UID under the same UIDVALIDITY; returns the messages.
fn agreed(account: &dyn Account, dovecot: &Doveadm, mailbox: &str) -> Messages {
    // Dovecot numbers what is new first, then we look.
    let theirs = theirs(dovecot, mailbox);
    let ours = ours(account, mailbox);
    assert_eq!(ours, theirs, "{mailbox}");
    let status = account.status(&name(mailbox)).expect("a mailbox");
    let of_dovecot = ["uidvalidity", "uidnext"].map(|field| dovecot.status(field, mailbox));
    assert_eq!(
        [status.validity.value(), status.uid_next.value()],
        of_dovecot,
        "{mailbox}"
    );
    ours
}

fn assert_no_complaints(dovecot: &Doveadm) {
    let log = dovecot.log();
    assert!(!log.contains("Error") && !log.contains("Warning"), "{log}");
}

/// What becomes of a message is in its subject, behind the last `-`.
const FATES: [&str; 6] = ["stays", "copied", "dropped", "stays", "moved", "expunged"];

fn subject(who: &str, number: usize) -> String {
    format!("{who}-{number}-{}", FATES[number % FATES.len()])
}

/// The UIDs of messages with this fate, as the store has them.
fn fated(account: &dyn Account, mailbox: &str, fate: &str, done: &mut HashSet<String>) -> UidSet {
    let messages = ours(account, mailbox).into_iter();
    messages
        .filter(|(_, subject, _)| subject.ends_with(fate) && done.insert(subject.clone()))
        .filter_map(|(uid, _, _)| Uid::new(uid))
        .collect()
}

fn work_of_the_store(account: &dyn Account, copied: &mut HashSet<String>) {
    let (inbox, archive) = (name("INBOX"), name("Archive"));
    let uids = fated(account, "INBOX", "dropped", &mut HashSet::new());
    account.remove(&inbox, &uids).expect("dropped");
    let before = copied.clone();
    let uids = fated(account, "INBOX", "copied", copied);
    match account.copy(&inbox, &uids, &archive) {
        // Only what is still there was copied.
        Ok(done) => assert_eq!(
            done.uids.len(),
            uids.ranges()
                .map(|it| it.end().value() - it.start().value() + 1)
                .sum::<u32>() as usize
        ),
        // Dovecot held the lock for a second: nothing was copied.
        Err(error) => {
            assert!(error.to_string().contains("dovecot-uidlist"), "{error}");
            *copied = before;
        }
    }
    let uids = fated(account, "INBOX", "stays", &mut HashSet::new());
    let change = Alteration::Add(flags("\\Flagged $Ours"));
    account.alter(&inbox, &uids, &change, None).expect("altered");
}

fn work_of_dovecot(session: &mut Imap) {
    session.run("NOOP");
    for (fate, commands) in [
        ("expunged", &["UID STORE {} +FLAGS (\\Deleted)", "UID EXPUNGE {}"][..]),
        ("moved", &["UID MOVE {} Archive"][..]),
        ("stays", &["UID STORE {} +FLAGS (\\Seen $Theirs)"][..]),
    ] {
        let found = session.run(&format!("UID SEARCH SUBJECT {fate}"));
        let line = found.iter().find_map(|line| line.strip_prefix("* SEARCH "));
        let Some(uids) = line.filter(|uids| !uids.is_empty()) else {
            continue;
        };
        for command in commands {
            let command = command.replace("{}", &uids.replace(' ', ","));
            session.run(&command);
        }
    }
}

#[test]
fn both_work_on_one_maildir_at_once() {
    let place = Place::new();
    let Some(dovecot) = account(&place) else {
        return;
    };
    dovecot.save("INBOX", "Subject: first-0-stays\n\nbody\n", &[]);
    dovecot.run(&["mailbox", "create", "-s", "Archive"]);
    let account = open(&dovecot, true);
    let over = AtomicBool::new(false);
    let end = Instant::now() + LOAD;
    let mut copied = HashSet::new();
    let mut given = vec!["first-0-stays".to_owned()];
    thread::scope(|scope| {
        let (account, dovecot, over) = (&*account, &dovecot, &over);
        let deliveries: Vec<_> = ["one", "two"]
            .into_iter()
            .enumerate()
            .map(|(worker, who)| {
                scope.spawn(move || {
                    let mut number = 0;
                    while Instant::now() < end {
                        number += 1;
                        deliver(
                            account,
                            (worker * 100_000 + number) as u64,
                            "INBOX",
                            &subject(who, number),
                        );
                        thread::sleep(Duration::from_millis(25));
                    }
                    (1..=number).map(|number| subject(who, number)).collect::<Vec<_>>()
                })
            })
            .collect();
        let appends = scope.spawn(move || {
            let mut session = dovecot.imap();
            session.run("SELECT INBOX");
            let mut number = 0;
            while Instant::now() < end {
                number += 1;
                let message = format!("Subject: {}\r\n\r\nbody\r\n", subject("theirs", number));
                session.run(&format!("APPEND INBOX {{{}+}}\r\n{message}", message.len()));
                thread::sleep(Duration::from_millis(25));
            }
            (1..=number).map(|number| subject("theirs", number)).collect::<Vec<_>>()
        });
        scope.spawn(move || {
            let mut session = dovecot.imap();
            session.run("SELECT INBOX");
            while !over.load(Ordering::SeqCst) {
                work_of_dovecot(&mut session);
            }
        });
        let copied = &mut copied;
        let works = scope.spawn(move || {
            while !over.load(Ordering::SeqCst) {
                work_of_the_store(account, copied);
            }
        });
        for worker in deliveries {
            given.extend(worker.join().expect("delivered"));
        }
        given.extend(appends.join().expect("appended"));
        over.store(true, Ordering::SeqCst);
        works.join().expect("worked");
    });
    // What came last has its fate too.
    work_of_the_store(&*account, &mut copied);
    let mut session = dovecot.imap();
    session.run("SELECT INBOX");
    work_of_dovecot(&mut session);
    drop(session);
    assert!(given.len() > 300, "{}", given.len());

    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for mailbox in ["INBOX", "Archive"] {
        let messages = agreed(&*account, &dovecot, mailbox);
        for (_, subject, flags) in &messages {
            let is_ours = subject.ends_with("stays");
            assert!(
                !is_ours || flags.contains("$Ours") && flags.contains("\\Seen"),
                "{subject}: {flags}"
            );
        }
        let mut subjects: Vec<String> = messages.into_iter().map(|(_, subject, _)| subject).collect();
        subjects.sort();
        found.insert(mailbox, subjects);
    }
    let expected = |fates: &[&str]| {
        let fated = |subject: &&String| fates.iter().any(|fate| subject.ends_with(fate));
        let mut subjects: Vec<String> = given.iter().filter(fated).cloned().collect();
        subjects.sort();
        subjects
    };
    assert_eq!(found["INBOX"], expected(&["stays", "copied"]));
    assert_eq!(found["Archive"], expected(&["copied", "moved"]));
    assert_eq!(account.check().expect("checked"), Vec::<String>::new());
    assert_no_complaints(&dovecot);
    // The files alone say the same.
    account.rebuild().expect("rebuilt");
    for mailbox in ["INBOX", "Archive"] {
        agreed(&*account, &dovecot, mailbox);
    }
    println!("together: {} messages", given.len());
}

/// A client that keeps a copy of all mailboxes, and remembers what it has seen.
struct Mbsync {
    config: PathBuf,
    near: PathBuf,
}

impl Mbsync {
    /// One for a folder that belongs to the mail user.
    fn new(near: PathBuf, dovecot: &Doveadm) -> Mbsync {
        let text = format!(
            "IMAPStore far\nTunnel \"{tunnel}\"\n\nMaildirStore near\nPath {near}/\nInbox {near}/INBOX\n\
             SubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync All\nExpunge Near\n\
             SyncState *\n",
            tunnel = dovecot.tunnel(),
            near = near.display(),
        );
        let config = near.join("mbsyncrc");
        fs::write(&config, text).expect("written");
        Mbsync { config, near }
    }

    /// Synchronises, and returns all messages that the client has.
    fn run(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid",
            MAIL_USER,
            "--regid",
            MAIL_USER,
            "--clear-groups",
            "mbsync",
            "-c",
        ]);
        command.arg(&self.config).arg("all");
        command.env("HOME", &self.near);
        support::child::run(&mut command);
        let mut messages = BTreeMap::new();
        read_below(&self.near, &mut messages);
        messages
    }
}

fn read_below(folder: &Path, messages: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_below(&path, messages);
        } else if path
            .parent()
            .is_some_and(|it| it.ends_with("cur") || it.ends_with("new"))
        {
            messages.insert(path.clone(), fs::read(path).expect("a message"));
        }
    }
}

#[test]
fn a_maildir_that_dovecot_filled_is_taken_over_and_nobody_notices() {
    let place = Place::new();
    let near = place.folder("near");
    if root() {
        give_to_mail_user(&near);
    }
    let Some(dovecot) = account(&place) else {
        return;
    };
    let packed = ["mail_plugins=zlib", "plugin/zlib_save=gz"];
    let body = "some words, again and again\n".repeat(2_000);
    let mailboxes = ["INBOX", "Sent", "Archive.T\u{ea}te", "Packed"];
    for (at, mailbox) in mailboxes.iter().enumerate() {
        if at > 0 {
            dovecot.run(&["mailbox", "create", "-s", mailbox]);
        }
        for number in 0..12 {
            let message = format!("Subject: {mailbox} {number}\n\n{body}").replace('\u{ea}', "e");
            dovecot.save(mailbox, &message, if *mailbox == "Packed" { &packed } else { &[] });
        }
        dovecot.run(&["flags", "add", "\\Flagged $Junk Work", "mailbox", mailbox, "uid", "2:4"]);
        dovecot.run(&["flags", "add", "\\Seen \\Answered", "mailbox", mailbox, "uid", "4:9"]);
        dovecot.run(&["expunge", "mailbox", mailbox, "uid", "1,7,12"]);
    }
    dovecot.run(&["mailbox", "unsubscribe", "Packed"]);
    let client = Mbsync::new(near, &dovecot);
    let before = client.run();
    assert_eq!(before.len(), 36);
    let lists = |folder: &str| fs::read(dovecot.maildir().join(folder).join("dovecot-uidlist")).expect("a list");
    let folders = ["", ".Sent", ".Archive.T&AOo-te", ".Packed"];
    let lists_before = folders.map(lists);

    for dovecot_uidlist in [false, true] {
        let account = open(&dovecot, dovecot_uidlist);
        for mailbox in mailboxes {
            let messages = agreed(&*account, &dovecot, mailbox);
            let uids: Vec<u32> = messages.iter().map(|(uid, _, _)| *uid).collect();
            assert_eq!(uids, [2, 3, 4, 5, 6, 8, 9, 10, 11], "{mailbox}");
            assert_eq!(messages[2].2, "$Junk Work \\Answered \\Flagged \\Seen");
        }
        let subscribed: Vec<String> = account
            .subscriptions()
            .expect("read")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(subscribed, ["Archive.T\u{ea}te", "Sent"]);
        let special_use = account.status(&name("Sent")).expect("a mailbox").special_use;
        assert_eq!(special_use.map(|it| it.to_string()).as_deref(), Some("\\Sent"));
        assert_eq!(client.run(), before, "the client has nothing to do");
        assert_eq!(folders.map(lists), lists_before, "nor has Dovecot");
        assert_eq!(account.check().expect("checked"), Vec::<String>::new());
    }
    // From here on both give numbers.
    let account = open(&dovecot, true);
    for (key, mailbox) in mailboxes.iter().enumerate() {
        deliver(&*account, 1 + key as u64, mailbox, "new");
        dovecot.save(mailbox, "Subject: newer\n\nbody\n", &[]);
        let messages = agreed(&*account, &dovecot, mailbox);
        let last: Vec<(u32, &str)> = messages[9..]
            .iter()
            .map(|(uid, subject, _)| (*uid, subject.as_str()))
            .collect();
        assert_eq!(last, [(13, "new"), (14, "newer")]);
    }
    let after = client.run();
    assert_eq!(after.len(), before.len() + 8);
    assert!(
        before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)),
        "the client kept all it had"
    );
    assert_no_complaints(&dovecot);
}

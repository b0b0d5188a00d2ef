//! What the worker does: a table, and the words that its lines are made of.

use postroom::mail::{Address, Flags, MailboxName, ReversePath};
use postroom::maildir::Disk;
use postroom::message::{Letter, Message, Trace};
use postroom::store::{LocalStore, Options, Remembered, Step, Target};

/// The account.
pub const USER: &str = "ann@example.org";
/// Its home below the root of a recording.
pub const HOME: &str = "home";

/// One line of the script.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    /// A delivery of the message `key` with this many lines into mailboxes with flags; missing ones are made. Those
    /// below [`EDITED`] get an edition of it.
    Deliver(u64, usize, &'static [(&'static str, &'static str)]),
    /// A mailbox is made.
    Create(&'static str),
    /// A redirect of the message is remembered.
    Redirected(u64),
    /// An id is remembered for a week.
    Remember(&'static str),
    /// Some ids of a MiB are remembered: the log of the index grows until it is written back.
    RememberMuch(&'static str),
    /// Other programs' changes are taken in.
    Reconcile,
    /// The account is closed, at first with its log where that is short, and opened again by a store that keeps logs so
    /// or does not.
    Reopen { keep_logs: bool },
    /// A client sets a flag on a message in a mailbox.
    Flag(&'static str, u64, &'static str),
    /// A client copies a message from a mailbox into another.
    Copy(&'static str, u64, &'static str),
    /// A client moves it.
    Move(&'static str, u64, &'static str),
    /// A client removes it for good.
    Expunge(&'static str, u64),
    /// A client renames a mailbox.
    Rename(&'static str, &'static str),
    /// A client deletes a mailbox.
    Delete(&'static str),
    /// Another program writes a file: its mailbox, its base name, and how.
    Drop(&'static str, &'static str, Dropped),
    /// Another program sets `\Seen` on a message of ours in a mailbox.
    See(&'static str, u64),
    /// Another program removes a message of ours from a mailbox.
    Remove(&'static str, u64),
}

/// How careful another program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Flushes its file, renames it, and trusts the folder.
    Flushed,
    /// Flushes nothing.
    Careless,
}

use Do::*;

/// How many ids `RememberMuch` remembers: SQLite writes its log back at 1,000 pages.
const MUCH: usize = 4;

const INBOX: &[(&str, &str)] = &[("INBOX", "")];

/// The run. What comes behind `RememberMuch` meets an index that was written back and a log that begins anew.
pub const SCRIPT: &[Do] = &[
    Deliver(1, 3, INBOX),
    Deliver(2, 40, &[("INBOX", ""), ("Lists.work", "\\Seen $Label1")]),
    Remember("first"),
    Create("Archive.2026"),
    Deliver(3, 2_000, INBOX),
    Redirected(3),
    Drop("INBOX", "1700000000.a.other", Dropped::Flushed),
    Drop("Lists.work", "1700000001.b.other", Dropped::Careless),
    Reconcile,
    Deliver(
        4,
        10,
        &[("Archive.2026", "\\Flagged"), ("INBOX", "\\Seen"), ("New.made", "")],
    ),
    See("INBOX", 1),
    Reconcile,
    Reopen { keep_logs: false },
    Deliver(5, 1, INBOX),
    Remove("INBOX", 5),
    Reconcile,
    Remember("second"),
    Flag("INBOX", 3, "\\Answered"),
    Copy("INBOX", 2, "Archive.2026"),
    Create("Old"),
    Copy("INBOX", 3, "Old"),
    Rename("Old", "Older"),
    Move("INBOX", 4, "Older"),
    Expunge("INBOX", 1),
    Create("Passing"),
    Copy("INBOX", 2, "Passing"),
    Delete("Passing"),
    Deliver(6, 5, &[("Lists.work", ""), ("INBOX", "work")]),
    Drop("INBOX", "1700000002.c.other", Dropped::Careless),
    Reconcile,
    Redirected(6),
    Deliver(7, 3, &[("Archive.2026", "")]),
    Reopen { keep_logs: true },
    RememberMuch("third"),
    Deliver(8, 3, INBOX),
    Remember("fourth"),
    Deliver(9, 3, INBOX),
    Deliver(10, 4, &[("INBOX", ""), ("Edited.one", "\\Seen"), ("Edited.two", "")]),
];

impl Do {
    /// The key of the delivery that this is.
    pub fn key(&self) -> Option<u64> {
        match self {
            Deliver(key, ..) => Some(*key),
            _ => None,
        }
    }

    /// Whether it is left out where one run is not enough, for it makes more calls than all the others.
    pub fn is_long(&self) -> bool {
        matches!(self, RememberMuch(_))
    }

    /// Whether the store does it, and not another program.
    pub fn is_ours(&self) -> bool {
        !matches!(self, Drop(..) | See(..) | Remove(..))
    }

    /// What is remembered once this was done.
    pub fn remembered(&self) -> Vec<Remembered> {
        let ids = match self {
            Remember(id) => vec![(*id).to_owned()],
            RememberMuch(id) => (0..MUCH)
                .map(|n| n.to_string() + &id.repeat((1 << 20) / id.len()))
                .collect(),
            _ => Vec::new(),
        };
        ids.into_iter().map(Remembered::Duplicate).collect()
    }
}

/// The step that a redirect leaves.
pub fn redirected() -> Step {
    Step::Redirected("bob@example.org".parse::<Address>().expect("an address"))
}

/// The targets of a delivery.
pub fn targets(to: &[(&str, &str)]) -> Vec<Target> {
    let target = |(mailbox, words): &(&str, &str)| {
        let mut flags = Flags::new();
        words
            .split_whitespace()
            .for_each(|word| flags.insert(word).expect("a flag"));
        Target {
            mailbox: mailbox_name(mailbox),
            flags,
        }
    };
    to.iter().map(target).collect()
}

/// A mailbox name.
pub fn mailbox_name(text: &str) -> MailboxName {
    MailboxName::parse(text, '.').expect("a mailbox name")
}

/// The message of a key, with the bytes as they are stored.
pub fn letter(key: u64, lines: usize) -> (Letter, Vec<u8>) {
    let mut text = format!("Subject: message {key}\r\nMessage-ID: <{key}@example.org>\r\n\r\n");
    for line in 0..lines {
        text.push_str(&format!("line {line} of message {key}\r\n"));
    }
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    let letter = Letter::new(Message::from_bytes(text), &trace);
    let mut stored = Vec::new();
    letter.write_to(&mut stored).expect("memory");
    (letter, stored)
}

/// Where mailboxes begin whose copies a filter has changed.
pub const EDITED: &str = "Edited.";

/// The edition of the message of a key, with the bytes as they are stored.
pub fn edition(key: u64, lines: usize) -> (Letter, Vec<u8>) {
    let (letter, stored) = letter(key, lines);
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: vec![("X-Edited".to_owned(), key.to_string())],
    };
    let letter = Letter::new(letter.message().clone(), &trace);
    let mut edited = Vec::new();
    letter.write_to(&mut edited).expect("memory");
    assert_ne!(edited, stored);
    (letter, edited)
}

/// The bytes of the message of a key as they are stored, where the script has it.
pub fn stored(key: u64) -> Option<Vec<u8>> {
    SCRIPT.iter().find_map(|step| match step {
        Deliver(this, lines, _) if *this == key => Some(letter(key, *lines).1),
        _ => None,
    })
}

/// The bytes of a file of another program.
pub fn foreign(base: &str) -> Vec<u8> {
    format!("Subject: foreign {base}\n\n{}", "not ours\n".repeat(100)).into_bytes()
}

/// A store, which flushes or not, and keeps short logs or not.
pub fn store(fsync: bool, keep_logs: bool) -> LocalStore {
    LocalStore::new(Options {
        disk: Disk {
            fsync,
            ..Disk::default()
        },
        host: "mx.example.org".to_owned(),
        open_accounts: 4,
        keep_logs,
        ..Options::default()
    })
}

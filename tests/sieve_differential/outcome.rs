//! What a script does with a message, in a form in which two engines can be compared.

use std::collections::{BTreeMap, BTreeSet};

use super::case::MAILBOXES;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The script does not compile.
    Refused,
    /// It stopped with an error: the message is kept and nothing else done.
    Failed,
    /// It ended.
    Done(Effects),
    /// The engine itself broke, by a failed assertion of its own: its answer is not known.
    Broken,
}

/// What is done, whatever the order in which a script asked for it. A `discard` shows as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Mailboxes with the flags set there, in lower case (RFC 5232 §2: flags have no case).
    pub filed: BTreeMap<String, BTreeSet<String>>,
    /// Mailboxes that `:create` makes.
    pub created: BTreeSet<String>,
    /// Addresses, in lower case.
    pub redirected: BTreeSet<String>,
    /// The reason.
    pub rejected: Option<String>,
    pub vacation: Option<Vacation>,
    /// Address, importance and text of each.
    pub notified: Vec<(String, u8, String)>,
    /// Address, in lower case, and type of each report.
    pub reported: BTreeSet<(String, String)>,
}

/// What `vacation` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vacation {
    /// A reply.
    Reply {
        /// Where the script gives it.
        subject: Option<String>,
        message: String,
        seconds: u64,
    },
    /// No reply goes out: this message must not be answered.
    Withheld,
}

impl Outcome {
    /// In what two outcomes differ; nothing where they say the same. sieve-test prints a vacation whether or not
    /// it would be sent, so one that is withheld is like any.
    pub fn differences(&self, theirs: &Outcome) -> Vec<&'static str> {
        let (Outcome::Done(ours), Outcome::Done(theirs)) = (self, theirs) else {
            let same = self == theirs || *theirs == Outcome::Broken;
            return if same {
                Vec::new()
            } else {
                vec![self.word(), theirs.word()]
            };
        };
        let withheld = ours.vacation == Some(Vacation::Withheld) && theirs.vacation.is_some();
        let told = |effects: &Effects| {
            let mut addresses = BTreeSet::new();
            let mut told = effects.notified.clone();
            // Pigeonhole tells an address once, whatever the texts.
            told.retain(|(address, _, _)| addresses.insert(address.clone()));
            told
        };
        let there = |name: &&String| *name != "INBOX" && !MAILBOXES.contains(&name.as_str());
        let missing = |effects: &Effects| effects.created.iter().filter(there).cloned().collect::<Vec<_>>();
        let all = [
            ("filed", ours.filed != theirs.filed),
            ("created", missing(ours) != missing(theirs)),
            ("redirected", ours.redirected != theirs.redirected),
            ("rejected", ours.rejected != theirs.rejected),
            ("vacation", ours.vacation != theirs.vacation && !withheld),
            ("notified", told(ours) != told(theirs)),
            ("reported", ours.reported != theirs.reported),
        ];
        all.iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect()
    }

    /// Whether both say the same.
    pub fn agrees(&self, theirs: &Outcome) -> bool {
        self.differences(theirs).is_empty()
    }

    fn word(&self) -> &'static str {
        match self {
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Done(_) => "done",
            Outcome::Broken => "broken",
        }
    }
}

/// What becomes of a mailbox's name: INBOX has no case (RFC 3501 §5.1).
pub fn mailbox(name: &str) -> String {
    if name.eq_ignore_ascii_case("INBOX") {
        "INBOX".to_owned()
    } else {
        name.to_owned()
    }
}

/// As sieve-test shows text on one line: control characters as question marks.
pub fn shown(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

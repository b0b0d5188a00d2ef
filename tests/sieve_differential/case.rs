//! A case: scripts, a message, an envelope; made by chance, and made smaller.

use std::collections::BTreeMap;
use std::fmt;

use super::chance::Chance;
use super::message::{self, Mail};
use super::mutant::Mutant;
use super::script::{self, Command};
use super::scripts::{SUBJECTS, Writer};

/// The mailboxes of the account, beside INBOX.
pub const MAILBOXES: [&str; 2] = ["Lists", "Work.Urgent"];

/// All that a run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub script: Text,
    /// Run before it.
    pub before: Vec<Vec<Command>>,
    /// What `include` finds, among the user's scripts and the site's.
    pub included: BTreeMap<String, Vec<Command>>,
    pub message: Mail,
    /// Not the null one: sieve-test has no way to say it.
    pub sender: &'static str,
    pub recipient: &'static str,
}

/// A script: as a tree, or one that was damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    Tree(Vec<Command>),
    Mutant(Mutant),
}

impl Case {
    /// The case of that number: a script that compiles, and what it is run on.
    pub fn new(seed: u64, number: u64) -> Case {
        let mut chance = Chance::of(seed, number);
        let subject = *chance.pick(SUBJECTS);
        let mut writer = Writer::new(&mut chance, subject);
        let script = Text::Tree(writer.script());
        let included = writer.included;
        let message = if subject == "actions" {
            message::plain(&mut chance)
        } else {
            message::any(&mut chance)
        };
        Case {
            script,
            before: Vec::new(),
            included,
            message,
            sender: chance.of_all(&["sender@example.com", "Ann.Lee@Example.ORG", "list-owner@example.net"]),
            recipient: chance.of_all(&["me@example.org", "me+det@example.org", "me+a+b@example.org"]),
        }
    }

    /// The case of that number with several scripts.
    pub fn sequence(seed: u64, number: u64) -> Case {
        let mut chance = Chance::of(seed ^ 0x0005_E0EC, number);
        let write = |chance: &mut Chance| Writer::new(chance, "actions").in_sequence();
        let before = (0..1 + chance.below(2)).map(|_| write(&mut chance)).collect();
        Case {
            script: Text::Tree(write(&mut chance)),
            before,
            message: message::plain(&mut chance),
            included: BTreeMap::new(),
            ..Case::new(seed, number)
        }
    }

    /// The case of that number with a script that was damaged and perhaps does not compile.
    pub fn damaged(seed: u64, number: u64) -> Case {
        let case = Case::new(seed, number);
        let mut chance = Chance::of(seed ^ 0x00DA_3A6E, number);
        Case {
            script: Text::Mutant(Mutant::of(&mut chance, &case.text())),
            before: Vec::new(),
            message: message::plain(&mut chance),
            ..case
        }
    }

    /// The script's text.
    pub fn text(&self) -> String {
        match &self.script {
            Text::Tree(commands) => script::print(commands, &[]),
            Text::Mutant(mutant) => mutant.to_string(),
        }
    }

    /// The texts of the scripts before it.
    pub fn texts_before(&self) -> Vec<String> {
        self.before
            .iter()
            .map(|commands| script::print(commands, &[]))
            .collect()
    }

    /// The texts of the scripts to include, by name.
    pub fn texts_included(&self) -> BTreeMap<&str, String> {
        let print = |(name, commands): (&'_ String, &Vec<Command>)| (name.clone(), script::print(commands, &[]));
        self.included
            .iter()
            .map(|(name, commands)| (name.as_str(), print((name, commands)).1))
            .collect()
    }

    /// Every case that is this one less something; what takes away most comes first.
    pub fn smaller(&self) -> Vec<Case> {
        let mut all = Vec::new();
        for at in 0..self.before.len() {
            let mut copy = self.clone();
            copy.before.remove(at);
            all.push(copy);
        }
        match &self.script {
            Text::Tree(commands) => {
                let trees = script::smaller(commands).into_iter();
                all.extend(trees.map(|commands| self.with(Text::Tree(commands))));
            }
            Text::Mutant(mutant) => {
                let mutants = mutant.smaller().into_iter();
                all.extend(mutants.map(|mutant| self.with(Text::Mutant(mutant))));
            }
        }
        for (name, commands) in &self.included {
            for less in script::smaller(commands) {
                let mut copy = self.clone();
                copy.included.insert(name.clone(), less);
                all.push(copy);
            }
        }
        for (at, commands) in self.before.iter().enumerate() {
            for less in script::smaller(commands) {
                let mut copy = self.clone();
                copy.before[at] = less;
                all.push(copy);
            }
        }
        if self.sender != "sender@example.com" {
            all.push(Case {
                sender: "sender@example.com",
                ..self.clone()
            });
        }
        if self.recipient != "me@example.org" {
            all.push(Case {
                recipient: "me@example.org",
                ..self.clone()
            });
        }
        all.extend(self.message.smaller().into_iter().map(|message| Case {
            message,
            ..self.clone()
        }));
        all
    }

    fn with(&self, script: Text) -> Case {
        Case { script, ..self.clone() }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for text in self.texts_before() {
            writeln!(f, "--- before:\n{text}")?;
        }
        for (name, text) in self.texts_included() {
            writeln!(f, "--- {name}:\n{text}")?;
        }
        writeln!(f, "--- script:\n{}", self.text())?;
        writeln!(f, "--- from <{}> to <{}>:", self.sender, self.recipient)?;
        writeln!(
            f,
            "{}",
            self.message.bytes().escape_ascii().to_string().replace("\\n", "\\n\n")
        )
    }
}

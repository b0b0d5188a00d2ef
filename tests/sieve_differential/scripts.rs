//! Scripts by chance, of all that both sides know.

use std::collections::BTreeMap;

use super::chance::Chance;
use super::conditions::{any_test, number, texts};
use super::script::{Command, Test, Value};

/// What a script is about; each has commands of its own.
pub const SUBJECTS: &[&str] = &[
    "tests",
    "variables",
    "flags",
    "actions",
    "control",
    "headers",
    "parts",
    "include",
];

/// Makes one script.
pub struct Writer<'a> {
    pub chance: &'a mut Chance,
    /// What it is about.
    pub subject: &'a str,
    /// Scripts that it includes.
    pub included: BTreeMap<String, Vec<Command>>,
    /// A number for each thing that shows whether it was reached.
    probes: usize,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub fn new(chance: &'a mut Chance, subject: &'a str) -> Writer<'a> {
        Writer {
            chance,
            subject,
            included: BTreeMap::new(),
            probes: 0,
            depth: 0,
        }
    }

    /// The commands of a script.
    pub fn script(&mut self) -> Vec<Command> {
        let count = 1 + self.chance.below(5);
        let mut commands = Vec::new();
        for _ in 0..count {
            self.statement(&mut commands);
        }
        commands
    }

    /// A script that runs with others: of actions that leave files, so that what is done can be seen.
    pub fn in_sequence(&mut self) -> Vec<Command> {
        let count = self.chance.below(4);
        (0..count).map(|_| self.lasting()).collect()
    }

    fn lasting(&mut self) -> Command {
        let mailbox = *self.chance.pick(&["Lists", "INBOX", "Work.Urgent"]);
        let flag = *self.chance.pick(&["\\Seen", "\\Flagged", "$Work", "b"]);
        match self.chance.below(12) {
            0 | 1 => Command::new("keep"),
            2 => Command::new("keep").tag_with(":flags", Value::Text(flag.to_owned())),
            3 | 4 => Command::new("fileinto").text(mailbox),
            5 => Command::new("fileinto").tag(":copy").text(mailbox),
            6 => Command::new("discard"),
            7 => Command::new("redirect").text("a@example.net"),
            8 => Command::new("redirect").tag(":copy").text("b@example.net"),
            9 => Command::new("stop"),
            10 => Command::new("removeflag").text(flag),
            _ => Command::new("addflag").text(flag),
        }
    }

    fn statement(&mut self, commands: &mut Vec<Command>) {
        match self.subject {
            "variables" if self.chance.percent(70) => self.variables(commands),
            "flags" if self.chance.percent(70) => commands.push(self.flags()),
            "actions" if self.chance.percent(80) => commands.push(self.action()),
            "headers" if self.chance.percent(50) => commands.push(self.header_change()),
            "parts" if self.chance.percent(60) => commands.push(self.each_part()),
            "include" if self.chance.percent(50) => self.include(commands),
            "control" if self.chance.percent(30) => commands.push(self.end()),
            _ => self.condition(commands),
        }
    }

    /// A flag that shows that this place was reached.
    fn reached(&mut self) -> Command {
        self.probes += 1;
        Command::new("addflag").text(format!("t{}", self.probes))
    }

    /// A notification that shows what a text is.
    fn shows(&mut self, text: &str) -> Command {
        self.probes += 1;
        let to = format!("mailto:p{}@example.net", self.probes);
        Command::new("notify")
            .tag_with(":message", Value::Text(format!("<<{text}>>")))
            .text(to)
    }

    fn condition(&mut self, commands: &mut Vec<Command>) {
        let test = any_test(self.chance, self.subject, 0);
        let captures = captures(&test);
        let block = self.block(captures);
        commands.push(Command::new("if").test(test).block(block));
        while self.chance.percent(20) {
            let test = any_test(self.chance, self.subject, 0);
            let block = self.block(captures);
            commands.push(Command::new("elsif").test(test).block(block));
        }
        if self.chance.percent(30) {
            let block = self.block(false);
            commands.push(Command::new("else").block(block));
        }
    }

    fn block(&mut self, captures: bool) -> Vec<Command> {
        let mut block = vec![self.reached()];
        if captures && self.chance.percent(80) {
            block.push(self.shows("${0}|${1}|${2}|${3}"));
        }
        self.depth += 1;
        if self.depth < 4 && self.chance.percent(25) {
            self.statement(&mut block);
        }
        self.depth -= 1;
        block
    }

    fn variables(&mut self, commands: &mut Vec<Command>) {
        let name = *self.chance.pick(NAMES);
        let text = self.variable_text();
        let mut set = Command::new("set");
        // RFC 5229 §4: one of each precedence.
        for tags in [
            &[":lower", ":upper"][..],
            &[":lowerfirst", ":upperfirst"],
            &[":quotewildcard"],
            &[":length"],
        ] {
            if self.chance.percent(20) {
                set = set.tag(self.chance.of_all(tags));
            }
        }
        commands.push(set.text(name).text(text));
        if self.chance.percent(60) {
            let shown = self.variable_text();
            commands.push(self.shows(&shown));
        }
    }

    fn variable_text(&mut self) -> String {
        let pieces = [
            "${a}",
            "${B}",
            "${b}",
            "${long_name}",
            "${unset}",
            "${0}",
            "${1}",
            "${2}",
            "${01}",
            "hello ",
            "Wörld",
            "ÄÖ",
            "a*b?c\\d",
            "${",
            "}",
            "$",
            "$$",
            "${}",
            "${a-b}",
            "${ a }",
            "${a",
            "{a}",
            "${1a}",
            "${${a}}",
            "\"",
            "ß",
            "x",
            " ",
            "[q](r)+",
        ];
        let count = 1 + self.chance.below(4);
        (0..count).map(|_| *self.chance.pick(&pieces)).collect()
    }

    fn flags(&mut self) -> Command {
        let lists = [
            "t",
            "\\Seen",
            "\\seen",
            "\\Flagged $Work",
            "\\Answered",
            "a b",
            "B",
            "$Forwarded",
            "",
            " ",
            "\\Deleted",
            "\\Draft",
            "A",
        ];
        let value = if self.chance.percent(60) {
            Value::Text((*self.chance.pick(&lists)).to_owned())
        } else {
            texts(self.chance, &lists)
        };
        match self.chance.below(10) {
            0..=5 => Command::new(self.chance.of_all(&["addflag", "removeflag", "setflag"])).value(value),
            6 => Command::new(self.chance.of_all(&["addflag", "removeflag", "setflag"]))
                .text(*self.chance.pick(&["a", "B"]))
                .value(value),
            7 => Command::new("keep").tag_with(":flags", value),
            8 => Command::new("fileinto").tag_with(":flags", value).text("Lists"),
            _ => Command::new("fileinto")
                .tag_with(":flags", Value::Text("${a}".to_owned()))
                .text("Lists"),
        }
    }

    fn action(&mut self) -> Command {
        let mailbox = *self
            .chance
            .pick(&["Lists", "INBOX", "inbox", "Work.Urgent", "New.One", "Other"]);
        let address = *self.chance.pick(&[
            "a@example.net",
            "A@Example.NET",
            "Bob <b@example.net>",
            "<c@example.net>",
            "d@example.net",
            "e@example.net",
            "f@example.net",
        ]);
        match self.chance.below(23) {
            0..=3 => Command::new("keep"),
            4 | 5 => Command::new("discard"),
            6..=9 => Command::new("fileinto").text(mailbox),
            10 => Command::new("fileinto").tag(":copy").text(mailbox),
            11 => Command::new("fileinto").tag(":create").text(mailbox),
            12 => Command::new("fileinto").tag(":create").tag(":copy").text(mailbox),
            13..=15 => Command::new("redirect").text(address),
            16 => Command::new("redirect").tag(":copy").text(address),
            17 => Command::new("reject").text(*self.chance.pick(&["no", "not here,\nplease", "nö"])),
            18 => self.vacation(),
            19 => self.notify(),
            20 => Command::new("fileinto").text("Lists.${a}x"),
            21 => self.report(),
            _ => self.end(),
        }
    }

    fn vacation(&mut self) -> Command {
        let mut command = Command::new("vacation");
        if self.chance.percent(40) {
            command = command.tag_with(":subject", Value::Text("I am away".to_owned()));
        }
        match self.chance.below(4) {
            0 => command = command.tag_with(":days", number(self.chance, &["0", "1", "7", "365", "1000"])),
            1 => command = command.tag_with(":seconds", number(self.chance, &["1", "3600", "86401"])),
            _ => {}
        }
        if self.chance.percent(20) {
            command = command.tag_with(":from", Value::Text("me@example.org".to_owned()));
        }
        if self.chance.percent(20) {
            command = command.tag_with(":addresses", Value::List(vec!["other@example.org".to_owned()]));
        }
        if self.chance.percent(20) {
            command = command.tag_with(":handle", Value::Text("one".to_owned()));
        }
        match self.chance.below(3) {
            0 => command.value(Value::Lines("I am away.\n.dot\n..dots\n\nBye\n".to_owned())),
            1 => command.text("away ${a}"),
            _ => command.text("I am away"),
        }
    }

    fn notify(&mut self) -> Command {
        self.probes += 1;
        let mut command = Command::new("notify");
        if self.chance.percent(50) {
            command = command.tag_with(
                ":importance",
                Value::Text((*self.chance.pick(&["1", "2", "3"])).to_owned()),
            );
        }
        let to = format!("mailto:n{}@example.net", self.probes);
        command.tag_with(":message", Value::Text("a word".to_owned())).text(to)
    }

    fn report(&mut self) -> Command {
        let mut command = Command::new("report");
        if self.chance.percent(30) {
            command = command.tag(":headers_only");
        }
        let kind = *self.chance.pick(&["abuse", "not-spam", " fraud ", "a/b"]);
        let to = *self
            .chance
            .pick(&["a@example.net", "desk@Example.net", "Desk <b@example.net>"]);
        command.text(kind).text("words").text(to)
    }

    fn header_change(&mut self) -> Command {
        let name = *self.chance.pick(&["X-Test", "x-test", "X-New", "Subject", "X-Num"]);
        let value = *self
            .chance
            .pick(&["new hello", "10", "Grüße", "", "a b", "two  spaces"]);
        if self.chance.percent(45) {
            let mut command = Command::new("addheader");
            if self.chance.percent(30) {
                command = command.tag(":last");
            }
            return command.text(name).text(value);
        }
        let mut command = Command::new("deleteheader");
        match self.chance.below(4) {
            0 => command = command.tag_with(":index", number(self.chance, &["1", "2", "3"])),
            1 => {
                command = command
                    .tag_with(":index", number(self.chance, &["1", "2"]))
                    .tag(":last")
            }
            _ => {}
        }
        if self.chance.percent(50) {
            command = command.tag(self.chance.of_all(&[":is", ":contains", ":matches"]));
            return command
                .text(name)
                .text(*self.chance.pick(&["*hello*", "hello", "10", "", "*"]));
        }
        command.text(name)
    }

    fn each_part(&mut self) -> Command {
        self.depth += 1;
        let mut block = Vec::new();
        for _ in 0..=self.chance.below(2) {
            if self.chance.percent(20) && self.depth < 3 {
                let inner = self.each_part();
                block.push(inner);
            } else {
                self.condition(&mut block);
            }
        }
        if self.chance.percent(20) {
            let name = *self.chance.pick(NAMES);
            let mut extract = Command::new("extracttext");
            if self.chance.percent(30) {
                extract = extract.tag_with(":first", number(self.chance, &["1", "5", "100"]));
            }
            if self.chance.percent(30) {
                extract = extract.tag(self.chance.of_all(&[":lower", ":upper", ":length"]));
            }
            block.push(extract.text(name));
            block.push(self.shows(&format!("${{{name}}}")));
        }
        if self.chance.percent(15) {
            block.push(Command::new("break"));
        }
        self.depth -= 1;
        Command::new("foreverypart").block(block)
    }

    fn include(&mut self, commands: &mut Vec<Command>) {
        let name = format!("inc{}", self.included.len());
        if self.included.len() >= 3 {
            commands.push(Command::new("return"));
            return;
        }
        self.included.insert(name.clone(), Vec::new());
        let mut inner = Vec::new();
        if self.chance.percent(40) {
            inner.push(Command::new("global").text("a"));
            commands.insert(0, Command::new("global").text("a"));
        }
        for _ in 0..=self.chance.below(3) {
            if self.chance.percent(30) {
                self.variables(&mut inner);
            } else {
                self.statement(&mut inner);
            }
        }
        self.included.insert(name.clone(), inner);
        let mut command = Command::new("include");
        for tag in [":global", ":once", ":optional"] {
            if self.chance.percent(20) {
                command = command.tag(tag);
            }
        }
        commands.push(command.text(name.clone()));
        if self.chance.percent(20) {
            commands.push(Command::new("include").text(name));
        }
        commands.push(self.shows("${a}|${b}|${global.a}"));
    }

    fn end(&mut self) -> Command {
        match self.chance.below(if self.subject == "include" { 3 } else { 2 }) {
            2 => Command::new("return"),
            _ => Command::new("stop"),
        }
    }
}

const NAMES: &[&str] = &["a", "b", "A", "long_name"];

/// Whether what it matched can stand in `${1}`.
fn captures(test: &Test) -> bool {
    let tagged = |test: &Test| {
        let tags = test.arguments.iter().map(|argument| format!("{argument:?}"));
        tags.into_iter()
            .any(|tag| tag.contains(":matches") || tag.contains(":regex"))
    };
    tagged(test) || test.tests.iter().any(captures)
}

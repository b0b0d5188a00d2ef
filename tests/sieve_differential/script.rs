//! A script as a tree: printed with the `require` that it needs, and made smaller.

use std::collections::BTreeSet;
use std::fmt::Write;

/// A command (RFC 5228 §2.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    pub name: &'static str,
    pub arguments: Vec<Argument>,
    pub test: Option<Test>,
    pub block: Option<Vec<Command>>,
}

/// A test (RFC 5228 §2.9); `allof`, `anyof` and `not` have tests of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub name: &'static str,
    pub arguments: Vec<Argument>,
    pub tests: Vec<Test>,
}

/// An argument (RFC 5228 §2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `:name`, and what belongs to it.
    Tag(&'static str, Option<Value>),
    Value(Value),
}

/// What stands as an argument, or behind a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// In the form `text:` (RFC 5228 §2.4.2).
    Lines(String),
    /// A number with its quantifier.
    Number(String),
    List(Vec<String>),
}

impl Command {
    pub fn new(name: &'static str) -> Command {
        Command {
            name,
            arguments: Vec::new(),
            test: None,
            block: None,
        }
    }

    pub fn tag(mut self, tag: &'static str) -> Command {
        self.arguments.push(Argument::Tag(tag, None));
        self
    }

    pub fn tag_with(mut self, tag: &'static str, value: Value) -> Command {
        self.arguments.push(Argument::Tag(tag, Some(value)));
        self
    }

    pub fn value(mut self, value: Value) -> Command {
        self.arguments.push(Argument::Value(value));
        self
    }

    pub fn text(self, text: impl Into<String>) -> Command {
        self.value(Value::Text(text.into()))
    }

    pub fn test(mut self, test: Test) -> Command {
        self.test = Some(test);
        self
    }

    pub fn block(mut self, commands: Vec<Command>) -> Command {
        self.block = Some(commands);
        self
    }
}

impl Test {
    pub fn new(name: &'static str) -> Test {
        Test {
            name,
            arguments: Vec::new(),
            tests: Vec::new(),
        }
    }

    pub fn of(name: &'static str, tests: Vec<Test>) -> Test {
        Test {
            name,
            arguments: Vec::new(),
            tests,
        }
    }

    pub fn tag(mut self, tag: &'static str) -> Test {
        self.arguments.push(Argument::Tag(tag, None));
        self
    }

    pub fn tag_with(mut self, tag: &'static str, value: Value) -> Test {
        self.arguments.push(Argument::Tag(tag, Some(value)));
        self
    }

    pub fn value(mut self, value: Value) -> Test {
        self.arguments.push(Argument::Value(value));
        self
    }

    pub fn text(self, text: impl Into<String>) -> Test {
        self.value(Value::Text(text.into()))
    }
}

/// The script as text. `extra` are extensions that it requires though nothing in it needs them.
pub fn print(commands: &[Command], extra: &[&'static str]) -> String {
    let mut needs: BTreeSet<&str> = extra.iter().copied().collect();
    for command in commands {
        needs_of_command(command, &mut needs);
    }
    let mut text = String::new();
    if !needs.is_empty() {
        let names: Vec<String> = needs.iter().map(|name| format!("\"{name}\"")).collect();
        let _ = writeln!(text, "require [{}];", names.join(", ")); // Writing to a string cannot fail.
    }
    print_block(commands, 0, &mut text);
    text
}

fn print_block(commands: &[Command], depth: usize, text: &mut String) {
    for command in commands {
        text.push_str(&"    ".repeat(depth));
        text.push_str(command.name);
        print_arguments(&command.arguments, text);
        if let Some(test) = &command.test {
            text.push(' ');
            print_test(test, text);
        }
        match &command.block {
            Some(block) => {
                text.push_str(" {\n");
                print_block(block, depth + 1, text);
                text.push_str(&"    ".repeat(depth));
                text.push_str("}\n");
            }
            None => text.push_str(";\n"),
        }
    }
}

fn print_test(test: &Test, text: &mut String) {
    text.push_str(test.name);
    print_arguments(&test.arguments, text);
    match (test.name, test.tests.as_slice()) {
        (_, []) => {}
        ("not", [inner]) => {
            text.push(' ');
            print_test(inner, text);
        }
        (_, tests) => {
            text.push_str(" (");
            for (number, inner) in tests.iter().enumerate() {
                text.push_str(if number == 0 { "" } else { ", " });
                print_test(inner, text);
            }
            text.push(')');
        }
    }
}

fn print_arguments(arguments: &[Argument], text: &mut String) {
    for argument in arguments {
        text.push(' ');
        match argument {
            Argument::Tag(name, value) => {
                text.push_str(name);
                if let Some(value) = value {
                    text.push(' ');
                    print_value(value, text);
                }
            }
            Argument::Value(value) => print_value(value, text),
        }
    }
}

fn print_value(value: &Value, text: &mut String) {
    match value {
        Value::Text(string) => text.push_str(&quoted(string)),
        Value::Number(number) => text.push_str(number),
        Value::List(strings) => {
            let strings: Vec<String> = strings.iter().map(|string| quoted(string)).collect();
            let _ = write!(text, "[{}]", strings.join(", ")); // As above.
        }
        Value::Lines(string) => {
            text.push_str("text:\n");
            for line in string.split_inclusive('\n') {
                // RFC 5228 §2.4.2: a leading dot is doubled.
                text.push_str(if line.starts_with('.') { "." } else { "" });
                text.push_str(line);
            }
            text.push_str(if string.ends_with('\n') { ".\n" } else { "\n.\n" });
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn needs_of_command<'a>(command: &'a Command, needs: &mut BTreeSet<&'a str>) {
    match command.name {
        "fileinto" | "reject" | "ereject" | "vacation" | "include" | "foreverypart" => {
            needs.insert(command.name);
        }
        "break" => drop(needs.insert("foreverypart")),
        "return" => drop(needs.insert("include")),
        "global" => needs.extend(["include", "variables"]),
        "set" => drop(needs.insert("variables")),
        "extracttext" => needs.extend(["extracttext", "variables"]),
        "setflag" | "addflag" | "removeflag" => flags(&command.arguments, needs),
        "notify" => drop(needs.insert("enotify")),
        "addheader" | "deleteheader" => drop(needs.insert("editheader")),
        "report" => drop(needs.insert("vnd.dovecot.report")),
        "error" => drop(needs.insert("ihave")),
        _ => {}
    }
    needs_of_arguments(&command.arguments, needs);
    command.test.iter().for_each(|test| needs_of_test(test, needs));
    command
        .block
        .iter()
        .flatten()
        .for_each(|inner| needs_of_command(inner, needs));
}

/// RFC 5232 §2.1: a variable of flags needs the extension `variables`.
fn flags<'a>(arguments: &'a [Argument], needs: &mut BTreeSet<&'a str>) {
    let values = arguments
        .iter()
        .filter(|argument| matches!(argument, Argument::Value(_)));
    needs.insert("imap4flags");
    needs.extend((values.count() > 1).then_some("variables"));
}

fn needs_of_test<'a>(test: &'a Test, needs: &mut BTreeSet<&'a str>) {
    match test.name {
        "envelope" | "body" | "date" | "duplicate" | "environment" | "ihave" | "spamtest" | "virustest" => {
            needs.insert(test.name);
        }
        "currentdate" => drop(needs.insert("date")),
        "string" => drop(needs.insert("variables")),
        "hasflag" => flags(&test.arguments, needs),
        "mailboxexists" => drop(needs.insert("mailbox")),
        "valid_notify_method" | "notify_method_capability" => drop(needs.insert("enotify")),
        _ => {}
    }
    needs_of_arguments(&test.arguments, needs);
    test.tests.iter().for_each(|inner| needs_of_test(inner, needs));
}

fn needs_of_arguments<'a>(arguments: &'a [Argument], needs: &mut BTreeSet<&'a str>) {
    for argument in arguments {
        let (name, value) = match argument {
            Argument::Tag(name, value) => (*name, value.as_ref()),
            Argument::Value(value) => ("", Some(value)),
        };
        match name {
            ":copy" => drop(needs.insert("copy")),
            ":create" => drop(needs.insert("mailbox")),
            ":flags" => drop(needs.insert("imap4flags")),
            ":count" | ":value" => drop(needs.insert("relational")),
            ":regex" | ":quoteregex" => drop(needs.insert("regex")),
            ":user" | ":detail" => drop(needs.insert("subaddress")),
            ":index" => drop(needs.insert("index")),
            ":mime" | ":anychild" => drop(needs.insert("mime")),
            ":seconds" => drop(needs.insert("vacation-seconds")),
            _ => {}
        }
        let texts: Vec<&str> = match value {
            Some(Value::Text(text) | Value::Lines(text)) => vec![text],
            Some(Value::List(texts)) => texts.iter().map(String::as_str).collect(),
            Some(Value::Number(_)) | None => Vec::new(),
        };
        for text in texts {
            let comparator = name == ":comparator" && text == "i;ascii-numeric";
            needs.extend(comparator.then_some("comparator-i;ascii-numeric"));
            let encoded = text.contains("${hex:") || text.contains("${unicode:");
            needs.extend(encoded.then_some("encoded-character"));
            needs.extend((text.contains("${") && !encoded).then_some("variables"));
            needs.extend(text.contains("${global.").then_some("include"));
        }
    }
}

/// Every script that is this one less something.
pub fn smaller(commands: &[Command]) -> Vec<Vec<Command>> {
    let mut all = Vec::new();
    for at in 0..commands.len() {
        let put = |with: Vec<Command>| [&commands[..at], &with, &commands[at + 1..]].concat();
        all.push(put(Vec::new()));
        if let Some(block) = &commands[at].block {
            all.push(put(block.clone()));
        }
    }
    for at in 0..commands.len() {
        for command in smaller_command(&commands[at]) {
            let mut copy = commands.to_vec();
            copy[at] = command;
            all.push(copy);
        }
    }
    all
}

fn smaller_command(command: &Command) -> Vec<Command> {
    let with = |change: &dyn Fn(&mut Command)| {
        let mut copy = command.clone();
        change(&mut copy);
        copy
    };
    let blocks = command.block.iter().flat_map(|block| smaller(block));
    let mut all: Vec<Command> = blocks
        .map(|block| with(&|copy| copy.block = Some(block.clone())))
        .collect();
    let tests = command.test.iter().flat_map(smaller_test);
    all.extend(tests.map(|test| with(&|copy| copy.test = Some(test.clone()))));
    let arguments = smaller_arguments(&command.arguments);
    all.extend(
        arguments
            .into_iter()
            .map(|arguments| with(&|copy| copy.arguments.clone_from(&arguments))),
    );
    all
}

fn smaller_test(test: &Test) -> Vec<Test> {
    let mut all = test.tests.clone();
    for at in 0..test.tests.len() {
        if test.tests.len() > 1 {
            let mut copy = test.clone();
            copy.tests.remove(at);
            all.push(copy);
        }
        for inner in smaller_test(&test.tests[at]) {
            let mut copy = test.clone();
            copy.tests[at] = inner;
            all.push(copy);
        }
    }
    for arguments in smaller_arguments(&test.arguments) {
        all.push(Test {
            arguments,
            ..test.clone()
        });
    }
    all
}

fn smaller_arguments(arguments: &[Argument]) -> Vec<Vec<Argument>> {
    let mut all = Vec::new();
    for at in 0..arguments.len() {
        let mut put = |argument: Option<Argument>| {
            let mut copy = arguments.to_vec();
            match argument {
                Some(argument) => copy[at] = argument,
                None => drop(copy.remove(at)),
            }
            all.push(copy);
        };
        match &arguments[at] {
            Argument::Tag(name, value) => {
                put(None);
                let values = value.iter().flat_map(smaller_value);
                values.for_each(|value| put(Some(Argument::Tag(name, Some(value)))));
            }
            Argument::Value(value) => {
                let values = smaller_value(value).into_iter();
                values.for_each(|value| put(Some(Argument::Value(value))));
            }
        }
    }
    all
}

fn smaller_value(value: &Value) -> Vec<Value> {
    match value {
        Value::List(texts) if texts.len() > 1 => (0..texts.len())
            .map(|at| {
                let mut copy = texts.clone();
                copy.remove(at);
                Value::List(copy)
            })
            .collect(),
        Value::List(texts) => texts.first().into_iter().cloned().map(Value::Text).collect(),
        Value::Lines(text) => vec![Value::Text(text.clone())],
        Value::Text(text) => smaller_text(text).into_iter().map(Value::Text).collect(),
        Value::Number(_) => Vec::new(),
    }
}

/// A text less one of its characters, or less one half.
fn smaller_text(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let middle = characters.len() / 2;
    let mut all = Vec::new();
    if middle > 2 {
        all.push(characters[..middle].iter().collect());
        all.push(characters[middle..].iter().collect());
    }
    for at in 0..characters.len().min(24) {
        let less = characters.iter().enumerate().filter(|(number, _)| *number != at);
        all.push(less.map(|(_, c)| *c).collect());
    }
    all
}

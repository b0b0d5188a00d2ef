//! A script written anew for sieve-rs, so that nothing it gets wrong is left to it.
//!
//! Each action becomes a `fileinto` whose `:mailboxid` is a mark that no script can
//! know: `keep` then does not vanish, `discard` and `redirect` cancel nothing, limits do
//! not swallow anything, and every string arrives as the script had it. Variables are
//! declared at the top, since sieve-rs forgets those of a block. `size` asks for a
//! number that we set, so that a message need not be in memory to be measured.
//!
//! Each token of the script stands on a line of its own; [`Printed::place`] finds its
//! place in the script again.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::strings::References;
use super::variables::{collect_variables, walk};
use super::{extensions, strings};
use crate::sieve::syntax::{self, Argument, Call, Command, Place, SyntaxError, Value};

/// The last match variable that sieve-rs has.
const MATCHES_MAX: usize = 62;
/// The environment item (RFC 5183) that holds the size of the message.
pub(super) const SIZE_ITEM: &str = "vnd.postroom.size";
/// Starts the name of a command or test that is not known here: sieve-rs does not know it
/// then either, and stops where it is executed (RFC 5463 §4).
pub(super) const UNKNOWN: &str = "unknown_";
/// The item that holds the recipient's local part without its detail.
pub(super) const USER_ITEM: &str = "vnd.postroom.user";
/// The item that holds the recipient's detail.
pub(super) const DETAIL_ITEM: &str = "vnd.postroom.detail";
/// What our own commands need.
const OWN: [&str; 7] = [
    "comparator-i;ascii-numeric",
    "copy",
    "environment",
    "fileinto",
    "mailbox",
    "relational",
    "variables",
];

/// The printed script.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) text: String,
    /// The first line of each token, and where it stood in the script.
    places: Vec<(usize, Place)>,
    /// It looks into the body, or at MIME parts.
    pub(super) needs_whole: bool,
    pub(super) includes: bool,
}

impl Printed {
    /// Where a line of the printed script comes from.
    pub(super) fn place(&self, line: usize) -> Option<Place> {
        let after = self.places.partition_point(|(start, _)| *start <= line);
        let (_, position) = self.places.get(after.checked_sub(1)?)?;
        (position.line > 0).then_some(*position)
    }
}

/// Prints a script; `mark` starts the `:mailboxid` of every action.
///
/// # Errors
/// What sieve-rs would not find, or not name well: unknown commands and extensions,
/// missing ones, wrong arguments.
pub(super) fn print(commands: &[Command], mark: &str) -> Result<Printed, SyntaxError> {
    let mut printer = Printer::new(mark);
    printer.collect_extensions(commands)?;
    let mut variables = BTreeSet::new();
    let mut globals = BTreeSet::new();
    collect_variables(commands, &mut variables, &mut globals)?;
    printer.collect_matches(commands)?;
    printer.prologue(variables.difference(&globals));
    printer.commands(commands)?;
    Ok(printer.printed)
}

/// Writes the printed script.
pub(super) struct Printer<'a> {
    pub(super) printed: Printed,
    line: usize,
    pub(super) mark: &'a str,
    extensions: BTreeSet<String>,
    /// RFC 5463: what is unknown is an error only where it is executed.
    pub(super) ihave: bool,
    /// The match variables (RFC 5229 §3.2) that the script refers to.
    matches: BTreeSet<usize>,
    /// In tests, after one that sets them: sieve-rs itself knows their values there.
    pub(super) live: bool,
}

impl<'a> Printer<'a> {
    fn new(mark: &'a str) -> Printer<'a> {
        Printer {
            printed: Printed::default(),
            line: 1,
            mark,
            extensions: BTreeSet::new(),
            ihave: false,
            matches: BTreeSet::new(),
            live: false,
        }
    }

    // RFC 5228 §3.2: require stands before any other command, and an extension that is
    // not supported is an error.
    fn collect_extensions(&mut self, commands: &[Command]) -> Result<(), SyntaxError> {
        let mut others = false;
        for command in commands {
            let call = &command.call;
            if call.name != "require" {
                others = true;
                continue;
            }
            if others {
                return Err(SyntaxError::new(
                    call.position,
                    "require must stand before all other commands",
                ));
            }
            let [argument] = call.arguments.as_slice() else {
                return Err(SyntaxError::new(call.position, "require needs one list of strings"));
            };
            self.require(argument)?;
        }
        self.ihave = self.extensions.contains("ihave");
        if self.ihave {
            let mut asked = Vec::new();
            walk(commands, &mut |call| {
                if call.name == "ihave" {
                    asked.extend(call.arguments.iter().flat_map(|argument| argument.value.strings()));
                }
            });
            let supported = asked.into_iter().filter(|name| extensions::is_supported(name));
            self.extensions.extend(supported.map(str::to_owned));
        }
        Ok(())
    }

    fn require(&mut self, argument: &Argument) -> Result<(), SyntaxError> {
        let names: Vec<(Place, &str)> = match &argument.value {
            Value::Text(text) => vec![(argument.position, text)],
            Value::List(list) => list.iter().map(|(position, text)| (*position, text.as_str())).collect(),
            _ => return Err(SyntaxError::new(argument.position, "require needs a list of strings")),
        };
        for (position, name) in names {
            if !extensions::is_supported(name) {
                return Err(SyntaxError::new(
                    position,
                    format!("the extension {name:?} is not supported"),
                ));
            }
            self.extensions.insert(name.to_owned());
        }
        // RFC 5235 §3.1, RFC 6131 §2: these bring what they extend.
        for (name, base) in [("spamtestplus", "spamtest"), ("vacation-seconds", "vacation")] {
            if self.extensions.contains(name) {
                self.extensions.insert(base.to_owned());
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, extension: &str) -> bool {
        extension.is_empty() || self.extensions.contains(extension)
    }

    fn prologue<'v>(&mut self, variables: impl Iterator<Item = &'v String>) {
        let all: BTreeSet<&str> = self.extensions.iter().map(String::as_str).chain(OWN).collect();
        let list: Vec<String> = all.into_iter().map(|name| format!("{name:?}")).collect();
        let mut prologue = format!("require [{}];\nset \"{}\" \"$\";\n", list.join(","), strings::DOLLAR);
        for name in variables {
            prologue.push_str(&format!("set {name:?} \"\";\n"));
        }
        for number in &self.matches {
            prologue.push_str(&format!("set \"{}\" \"\";\n", strings::match_variable(*number)));
        }
        self.write(Place::default(), &prologue);
    }

    fn collect_matches(&mut self, commands: &[Command]) -> Result<(), SyntaxError> {
        if !self.has("variables") {
            return Ok(());
        }
        let mut texts = Vec::new();
        walk(commands, &mut |call| {
            for argument in &call.arguments {
                texts.extend(
                    argument
                        .value
                        .strings()
                        .into_iter()
                        .map(|text| (argument.position, text)),
                );
            }
        });
        for (position, text) in texts {
            let numbers = self
                .decoded(position, text)
                .map(|text| strings::match_references(&text))?;
            if let Some(number) = numbers.iter().find(|number| **number > MATCHES_MAX) {
                let message = format!("there is no match variable {number}: {MATCHES_MAX} is the last");
                return Err(SyntaxError::new(position, message));
            }
            self.matches.extend(numbers);
        }
        Ok(())
    }

    // sieve-rs forgets match variables with the block of the test that set them, so they
    // are copied to plain ones as soon as the test was made.
    fn save_matches(&mut self) {
        let copies: Vec<String> = self
            .matches
            .iter()
            .map(|number| format!("set \"{}\" \"${{{number}}}\";", strings::match_variable(*number)))
            .collect();
        self.write(Place::default(), &copies.join("\n"));
    }

    pub(super) fn write(&mut self, position: Place, text: &str) {
        self.printed.places.push((self.line, position));
        self.printed.text.push_str(text);
        self.printed.text.push('\n');
        self.line += text.matches('\n').count() + 1;
    }

    fn commands(&mut self, commands: &[Command]) -> Result<(), SyntaxError> {
        let mut rest = commands.iter().peekable();
        while let Some(command) = rest.next() {
            self.command(command)?;
            let tested = self.live && matches!(command.call.name.as_str(), "if" | "elsif");
            let goes_on = rest
                .peek()
                .is_some_and(|next| matches!(next.call.name.as_str(), "elsif" | "else"));
            if tested && !goes_on && !self.matches.is_empty() {
                self.write(command.end, "else {");
                self.save_matches();
                self.write(command.end, "}");
            }
        }
        self.live = false;
        Ok(())
    }

    fn command(&mut self, command: &Command) -> Result<(), SyntaxError> {
        let call = &command.call;
        self.live &= matches!(call.name.as_str(), "elsif" | "else");
        if !self.known(call, "command", extensions::of_command(&call.name))? {
            self.write(call.position, &format!("{UNKNOWN}{};", call.name));
            return Ok(());
        }
        match call.name.as_str() {
            "require" => Ok(()),
            "keep" | "discard" | "redirect" | "fileinto" | "reject" | "ereject" | "vacation" | "notify" => {
                self.action_command(command)
            }
            _ => {
                self.printed.needs_whole |= matches!(call.name.as_str(), "foreverypart" | "extracttext");
                self.printed.includes |= call.name == "include";
                self.generic(command)
            }
        }
    }

    // Whether a command or test is known and its extension required; an error unless
    // `ihave` may still guard it.
    pub(super) fn known(&self, call: &Call, what: &str, extension: Option<&str>) -> Result<bool, SyntaxError> {
        let message = match extension {
            Some(extension) if self.has(extension) => return Ok(true),
            Some(extension) => format!("{} needs: require {extension:?};", call.name),
            None => format!("there is no {what} {:?}", call.name),
        };
        if self.ihave {
            return Ok(false);
        }
        Err(SyntaxError::new(call.position, message))
    }

    fn generic(&mut self, command: &Command) -> Result<(), SyntaxError> {
        self.call(&command.call)?;
        let Some(block) = &command.block else {
            self.write(command.end, ";");
            return Ok(());
        };
        let tested = self.live;
        self.write(command.end, "{");
        if tested && !self.matches.is_empty() {
            self.save_matches();
        }
        self.live = false;
        self.commands(block)?;
        self.live = tested;
        self.write(command.end, "}");
        Ok(())
    }

    pub(super) fn call(&mut self, call: &Call) -> Result<(), SyntaxError> {
        self.write(call.position, &call.name);
        call.arguments.iter().try_for_each(|argument| self.argument(argument))?;
        if call.listed {
            self.write(call.position, "(");
        }
        for (at, test) in call.tests.iter().enumerate() {
            if at > 0 {
                self.write(test.position, ",");
            }
            self.test(test)?;
        }
        if call.listed {
            self.write(call.position, ")");
        }
        Ok(())
    }

    pub(super) fn argument(&mut self, argument: &Argument) -> Result<(), SyntaxError> {
        let position = argument.position;
        match &argument.value {
            Value::Tag(tag) => {
                self.check_tag(position, tag)?;
                self.write(position, &format!(":{tag}"));
            }
            Value::Number(number) => self.write(position, &number.to_string()),
            Value::Text(text) => self.string(position, text)?,
            Value::List(list) => {
                self.write(position, "[");
                for (at, (position, text)) in list.iter().enumerate() {
                    if at > 0 {
                        self.write(*position, ",");
                    }
                    self.string(*position, text)?;
                }
                self.write(position, "]");
            }
        }
        Ok(())
    }

    fn check_tag(&self, position: Place, tag: &str) -> Result<(), SyntaxError> {
        match extensions::of_tag(tag) {
            Some(extension) if !self.has(extension) && !self.ihave => Err(SyntaxError::new(
                position,
                format!("\":{tag}\" needs: require {extension:?};"),
            )),
            _ => Ok(()),
        }
    }

    fn string(&mut self, position: Place, text: &str) -> Result<(), SyntaxError> {
        let error = |message| SyntaxError::new(position, message);
        let references = match (self.has("variables"), self.live) {
            (false, _) => References::None,
            (true, false) => References::Saved,
            (true, true) => References::Live,
        };
        let decoded = self.decoded(position, text)?;
        let quoted = strings::quote(&decoded, references).map_err(error)?;
        self.write(position, &quoted);
        Ok(())
    }

    fn decoded<'t>(&self, position: Place, text: &'t str) -> Result<Cow<'t, str>, SyntaxError> {
        if !self.has("encoded-character") {
            return Ok(Cow::Borrowed(text));
        }
        match syntax::decode(text) {
            Ok(decoded) => Ok(Cow::Owned(decoded)),
            Err(message) => Err(SyntaxError::new(position, message)),
        }
    }
}

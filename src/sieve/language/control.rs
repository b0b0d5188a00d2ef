//! Control: RFC 5228 §3 and the tests that hold tests (§5.2, §5.3, §5.8).

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind, TestKind};
use super::extension::Extension;
use super::program::{Block, Condition, Execute, Flow, Test};
use super::run::{Run, Stop};
use crate::mail::nearest;
use crate::sieve::error::Place;
use crate::sieve::syntax::{Call, Command, Value};

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "stop",
        from: &[],
        compile: |checker, command| {
            Arguments::of_command(checker, command)?.end(checker)?;
            Some(Box::new(StopCommand))
        },
    },
    CommandKind {
        name: "error",
        from: &[Extension::Ihave],
        compile: compile_error,
    },
];

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "allof",
        from: &[],
        compile: |checker, call| Some(Box::new(AllOf(listed(checker, call)?))),
    },
    TestKind {
        name: "anyof",
        from: &[],
        compile: |checker, call| Some(Box::new(AnyOf(listed(checker, call)?))),
    },
    TestKind {
        name: "not",
        from: &[],
        compile: compile_not,
    },
    TestKind {
        name: "true",
        from: &[],
        compile: |checker, call| {
            Arguments::of_test(call).end(checker)?;
            Some(Box::new(Constant(true)))
        },
    },
    TestKind {
        name: "false",
        from: &[],
        compile: |checker, call| {
            Arguments::of_test(call).end(checker)?;
            Some(Box::new(Constant(false)))
        },
    },
    TestKind {
        name: "ihave",
        from: &[Extension::Ihave],
        compile: compile_ihave,
    },
];

/// `require`, RFC 5228 §3.2. `began` says that another command came before it.
pub(super) fn require(checker: &mut Checker<'_>, command: &Command, began: bool) {
    let call = &command.call;
    if began {
        checker.error::<()>(call.position, "`require` must stand before all other commands");
    }
    if command.block.is_some() || !call.tests.is_empty() {
        checker.error::<()>(command.end, "a semicolon is missing behind `require`");
    }
    let [argument] = call.arguments.as_slice() else {
        checker.error::<()>(call.position, "`require` takes one string or list of strings");
        return;
    };
    let names: Vec<(Place, &str)> = match &argument.value {
        Value::Text(text) => vec![(argument.position, text)],
        Value::List(list) => list.iter().map(|(place, text)| (*place, text.as_str())).collect(),
        _ => {
            checker.error::<()>(argument.position, "`require` takes one string or list of strings");
            return;
        }
    };
    for (place, name) in names {
        match Extension::parse(name).filter(|extension| checker.offers(*extension)) {
            Some(extension) => checker.require(extension),
            None => {
                let near = nearest(name, checker.extension_names());
                let help = near.map(|near| format!("did you mean \"{near}\"?"));
                checker.error_with_help::<()>(place, format!("there is no extension \"{name}\" here"), help);
            }
        }
    }
}

/// `if`, `elsif`, `else`: RFC 5228 §3.1.
#[derive(Debug)]
pub(super) struct If {
    branches: Vec<(Condition, Block)>,
    otherwise: Block,
}

impl If {
    pub(super) fn compile(checker: &mut Checker<'_>, first: &Command, others: &[Command]) -> Option<Box<dyn Execute>> {
        let mut branches = Vec::new();
        let mut otherwise = None;
        let mut failed = false;
        for command in std::iter::once(first).chain(others) {
            let call = &command.call;
            if otherwise.is_some() {
                checker.error::<()>(call.position, format!("`{}` cannot stand behind `else`", call.name));
                failed = true;
                continue;
            }
            if call.name == "else" {
                if let Some(extra) = call.tests.first() {
                    let help = Some("a test stands behind `elsif`".to_owned());
                    checker.error_with_help::<()>(extra.position, "`else` takes no test", help);
                    failed = true;
                }
                if let Some(extra) = call.arguments.first() {
                    checker.error::<()>(extra.position, "`else` takes no argument");
                    failed = true;
                }
                otherwise = Some(block_of(checker, command));
                continue;
            }
            match branch(checker, command) {
                Some(branch) => branches.push(branch),
                None => failed = true,
            }
        }
        if failed {
            return None;
        }
        Some(Box::new(If {
            branches,
            otherwise: otherwise.unwrap_or_default(),
        }))
    }
}

// All faults are wanted, so the block is read whatever the test was.
fn branch(checker: &mut Checker<'_>, command: &Command) -> Option<(Condition, Block)> {
    let call = &command.call;
    let condition = match call.tests.as_slice() {
        _ if !call.arguments.is_empty() => {
            let place = call.arguments[0].position;
            checker.error(place, format!("a test is expected behind `{}`", call.name))
        }
        [test] if !call.listed => checker.condition(test),
        [] => checker.error(call.position, format!("`{}` needs a test", call.name)),
        [..] => {
            let help = Some("put `allof` or `anyof` before the list".to_owned());
            checker.error_with_help(call.position, format!("`{}` takes one test", call.name), help)
        }
    };
    let block = block_of(checker, command);
    Some((condition?, block))
}

fn block_of(checker: &mut Checker<'_>, command: &Command) -> Block {
    match &command.block {
        Some(commands) => checker.block(commands),
        None => {
            checker.error::<()>(
                command.end,
                format!("behind `{}` commands in braces are expected", command.call.name),
            );
            Block::default()
        }
    }
}

impl Execute for If {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        for (condition, block) in &self.branches {
            if run.check(condition)? {
                return run.block(block);
            }
        }
        run.block(&self.otherwise)
    }

    fn is_traced(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct StopCommand;

impl Execute for StopCommand {
    fn execute(&self, _: &mut Run<'_>) -> Result<Flow, Stop> {
        Ok(Flow::Stop)
    }
}

/// In place of a command or test that is not known, where `ihave` asked for more than there is (RFC 5463 §4).
#[derive(Debug)]
pub(super) struct Fails {
    pub(super) message: String,
}

impl Execute for Fails {
    fn execute(&self, _: &mut Run<'_>) -> Result<Flow, Stop> {
        Err(Stop::error(self.message.clone()))
    }
}

impl Test for Fails {
    fn test(&self, _: &mut Run<'_>) -> Result<bool, Stop> {
        Err(Stop::error(self.message.clone()))
    }
}

// RFC 5463 §5: error <message: string>
fn compile_error(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let message = arguments.text(checker, "a message");
    arguments.end(checker)?;
    Some(Box::new(ErrorCommand { message: message? }))
}

#[derive(Debug)]
struct ErrorCommand {
    message: super::text::Text,
}

impl Execute for ErrorCommand {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let message = self.message.value(run)?;
        Err(Stop::error(message.into_owned()))
    }
}

fn listed(checker: &mut Checker<'_>, call: &Call) -> Option<Vec<Condition>> {
    if let Some(argument) = call.arguments.first() {
        return checker.error(argument.position, format!("`{}` takes a list of tests", call.name));
    }
    if !call.listed {
        let help = Some(format!("write `{} (test, test)`", call.name));
        return checker.error_with_help(
            call.position,
            format!("`{}` takes a list of tests in parentheses", call.name),
            help,
        );
    }
    let tests: Vec<Option<Condition>> = call.tests.iter().map(|test| checker.condition(test)).collect();
    tests.into_iter().collect()
}

fn compile_not(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    match call.tests.as_slice() {
        [test] if !call.listed && call.arguments.is_empty() => Some(Box::new(Not(checker.condition(test)?))),
        _ => checker.error(call.position, "`not` takes one test"),
    }
}

#[derive(Debug)]
struct AllOf(Vec<Condition>);

impl Test for AllOf {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for condition in &self.0 {
            if !run.check(condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[derive(Debug)]
struct AnyOf(Vec<Condition>);

impl Test for AnyOf {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for condition in &self.0 {
            if run.check(condition)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

#[derive(Debug)]
struct Not(Condition);

impl Test for Not {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        Ok(!run.check(&self.0)?)
    }
}

#[derive(Debug)]
struct Constant(bool);

impl Test for Constant {
    fn test(&self, _: &mut Run<'_>) -> Result<bool, Stop> {
        Ok(self.0)
    }
}

// RFC 5463 §4: ihave <capabilities: string-list>. The answer is known at once; what is here may be used
// from now on, and what is not makes the rest of the script be judged where it is executed.
fn compile_ihave(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let names = arguments.constants(checker, "names of extensions");
    arguments.end(checker)?;
    let (mut all, mut unknown) = (true, false);
    for (_, name) in names? {
        match Extension::parse(&name).filter(|extension| checker.offers(*extension)) {
            // RFC 5463 §4: what changes how strings are read must not be switched on so, and the test fails.
            Some(Extension::Variables | Extension::EncodedCharacter) => all = false,
            Some(extension) => checker.require(extension),
            None => unknown = true,
        }
    }
    if unknown {
        checker.be_lenient();
    }
    Some(Box::new(Constant(all && !unknown)))
}

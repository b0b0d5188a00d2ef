//! Scripts within scripts: RFC 6609.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind};
use super::extension::Extension;
use super::program::{Execute, Flow};
use super::run::{Run, Stop};
use super::text::variable_name;
use crate::sieve::evaluator::Compiled;
use crate::sieve::syntax::Command;
use crate::sieve::{Location, ScriptName};

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "include",
        from: &[Extension::Include],
        compile: compile_include,
    },
    CommandKind {
        name: "return",
        from: &[Extension::Include],
        compile: |checker, command| {
            Arguments::of_command(checker, command)?.end(checker)?;
            Some(Box::new(Return))
        },
    },
    CommandKind {
        name: "global",
        from: &[Extension::Include],
        compile: compile_global,
    },
];

// RFC 6609 §3.2: include [LOCATION] [":once"] [":optional"] <value: string>
fn compile_include(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let location = arguments.one_of(checker, &[("personal", None), ("global", None)]);
    let once = arguments.tag(checker, "once", None).is_some();
    let optional = arguments.tag(checker, "optional", None).is_some();
    let name = arguments.constant(checker, "the name of a script");
    arguments.end(checker)?;
    let (place, name) = name?;
    let name = match ScriptName::parse(&name) {
        Ok(name) => name,
        Err(error) => return checker.error(place, format!("include: {error}")),
    };
    checker.includes = true;
    Some(Box::new(Include {
        location: match location {
            Some(("global", _)) => Location::Global,
            _ => Location::Personal,
        },
        once,
        optional,
        name,
    }))
}

#[derive(Debug)]
struct Include {
    location: Location,
    once: bool,
    optional: bool,
    name: ScriptName,
}

impl Execute for Include {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let name = self.name.as_str();
        let key = (self.location, self.name.clone());
        if self.once && run.included.contains(&key) {
            run.note(|| format!("{name} was included before"));
            return Ok(Flow::Next);
        }
        let found = run
            .account()
            .include(self.location, &self.name)
            .map_err(|error| Stop::error(format!("include: cannot read {name:?}: {error}")))?;
        let Some(script) = found else {
            if self.optional {
                run.note(|| format!("there is no script {name:?}"));
                return Ok(Flow::Next);
            }
            return Err(Stop::error(format!("include: there is no script {name:?}")));
        };
        // RFC 6609 §3.2: scripts must not include one another for ever.
        let limit = run.options().max_include_depth;
        if run.depth >= limit {
            return Err(Stop::error(format!(
                "scripts include one another more than {limit} deep"
            )));
        }
        let compiled = (run.task.compile)(&script).map_err(|error| Stop::Failed(Box::new(error)))?;
        #[cfg_attr(
            not(feature = "sieve-rs"),
            expect(irrefutable_let_patterns, reason = "there is one engine")
        )]
        let Compiled::Own(program) = &*compiled else {
            return Err(Stop::error("include: this script is compiled for another engine"));
        };
        run.included.insert(key);
        // RFC 6609 §3.3: `return` ends the included script alone, `stop` all of them.
        match run.nested(&script, program)? {
            Flow::Stop => Ok(Flow::Stop),
            Flow::Next | Flow::Return | Flow::Break(_) => Ok(Flow::Next),
        }
    }
}

#[derive(Debug)]
struct Return;

impl Execute for Return {
    fn execute(&self, _: &mut Run<'_>) -> Result<Flow, Stop> {
        Ok(Flow::Return)
    }
}

// RFC 6609 §3.4.1: global <value: string-list>
fn compile_global(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let place = arguments.place();
    if !checker.needs(place, "`global`", Extension::Variables) {
        return None;
    }
    let names = arguments.constants(checker, "names of variables");
    arguments.end(checker)?;
    let mut checked = Vec::new();
    for (place, name) in names? {
        match variable_name(&name) {
            Ok(name) => checked.push(name),
            Err(message) => return checker.error(place, message),
        }
    }
    Some(Box::new(Global { names: checked }))
}

#[derive(Debug)]
struct Global {
    names: Vec<Box<str>>,
}

impl Execute for Global {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        for name in &self.names {
            run.declare_global(name);
        }
        Ok(Flow::Next)
    }
}

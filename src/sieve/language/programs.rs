//! Programs of the site: `vnd.dovecot.pipe`, `vnd.dovecot.filter` and `vnd.dovecot.execute`, as Pigeonhole's
//! specification "Sieve Extensions for Running External Programs" has them. `pipe` becomes an action; the
//! others run at once, since what they answer is for the script.

use super::arguments::Arguments;
use super::checker::{Checker, CommandKind, TestKind};
use super::extension::Extension;
use super::program::{Execute, Flow, Test};
use super::run::{Run, Stop};
use super::text::Text;
use super::variables::checked_name;
use crate::message::Message;
use crate::sieve::ProgramError;
use crate::sieve::error::Place;
use crate::sieve::step::Step;
use crate::sieve::syntax::{Call, Command};

/// Characters of a program's name (§3 asks for 128).
const NAME_MAX: usize = 128;
/// Arguments of one call (§4 asks for 16).
const ARGUMENTS_MAX: usize = 32;
/// Bytes of one argument (§4 asks for 1024).
const ARGUMENT_MAX: usize = 4096;

pub(super) const COMMANDS: &[CommandKind] = &[
    CommandKind {
        name: "pipe",
        from: &[Extension::DovecotPipe],
        compile: compile_pipe,
    },
    CommandKind {
        name: "filter",
        from: &[Extension::DovecotFilter],
        compile: |checker, command| {
            let arguments = Arguments::of_command(checker, command)?;
            Some(Box::new(Filter::compile(checker, arguments)?))
        },
    },
    CommandKind {
        name: "execute",
        from: &[Extension::DovecotExecute],
        compile: |checker, command| {
            let arguments = Arguments::of_command(checker, command)?;
            Some(Box::new(ExecuteProgram::compile(checker, arguments)?))
        },
    },
];

pub(super) const TESTS: &[TestKind] = &[
    TestKind {
        name: "filter",
        from: &[Extension::DovecotFilter],
        compile: |checker, call: &Call| Some(Box::new(Filter::compile(checker, Arguments::of_test(call))?)),
    },
    TestKind {
        name: "execute",
        from: &[Extension::DovecotExecute],
        compile: |checker, call: &Call| Some(Box::new(ExecuteProgram::compile(checker, Arguments::of_test(call))?)),
    },
];

/// A program with its arguments.
#[derive(Debug)]
struct Program {
    name: String,
    arguments: Vec<Text>,
}

impl Program {
    // <program-name: string> [<arguments: string-list>]
    fn take(arguments: &mut Arguments<'_>, checker: &mut Checker<'_>) -> Option<Program> {
        let name = arguments.constant(checker, "the name of a program");
        let list = match arguments.remaining() {
            0 => Some(Vec::new()),
            _ => arguments.texts(checker, "arguments for the program"),
        };
        let (place, name) = name?;
        if let Err(message) = check_name(&name) {
            return checker.error(place, message);
        }
        let list: Vec<(Place, Text)> = list?;
        if let Some((place, _)) = list.get(ARGUMENTS_MAX) {
            return checker.error(*place, format!("a program takes at most {ARGUMENTS_MAX} arguments"));
        }
        for (place, text) in &list {
            if let Some(Err(message)) = text.constant().map(check_argument) {
                return checker.error(*place, message);
            }
        }
        Some(Program {
            name,
            arguments: list.into_iter().map(|(_, text)| text).collect(),
        })
    }

    fn arguments(&self, run: &Run<'_>) -> Result<Vec<String>, Stop> {
        let mut values = Vec::with_capacity(self.arguments.len());
        for text in &self.arguments {
            let value = text.value(run)?;
            check_argument(&value).map_err(Stop::error)?;
            values.push(value.into_owned());
        }
        Ok(values)
    }

    // What it wrote; none where it failed, which is no error of the script (§6, §7). As an action a program that
    // there is not is one (§8).
    fn run(&self, run: &mut Run<'_>, input: &[u8], as_test: bool) -> Result<Option<Vec<u8>>, Stop> {
        let arguments = self.arguments(run)?;
        let name = &self.name;
        match run.account().run_program(name, &arguments, input) {
            Ok(ended) if ended.success => {
                run.note(|| format!("the program \"{name}\" ended well"));
                Ok(Some(ended.output))
            }
            Ok(_) => {
                run.note(|| format!("the program \"{name}\" ended with a status other than 0"));
                Ok(None)
            }
            Err(error @ ProgramError::None(_)) if !as_test => Err(Stop::error(error.to_string())),
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
                run.act(Step::Remark(format!("{error}{cause}")))?;
                Ok(None)
            }
        }
    }
}

// §3: no path, no control characters, no separators of lines.
fn check_name(name: &str) -> Result<(), String> {
    let forbidden = |c: char| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}');
    match name {
        "" => Err("the name of a program is missing".to_owned()),
        name if name.starts_with('.') || name.contains(forbidden) => {
            Err(format!("\"{}\" cannot be the name of a program", name.escape_debug()))
        }
        name if name.chars().count() > NAME_MAX => {
            Err(format!("the name of a program has at most {NAME_MAX} characters"))
        }
        _ => Ok(()),
    }
}

fn check_argument(argument: &str) -> Result<(), String> {
    if argument.contains('\0') {
        return Err("an argument of a program cannot hold a NUL".to_owned());
    }
    match argument.len() > ARGUMENT_MAX {
        true => Err(format!("an argument of a program has at most {ARGUMENT_MAX} bytes")),
        false => Ok(()),
    }
}

// §5: pipe [":copy"] [":try"] <program-name: string> [<arguments: string-list>]
fn compile_pipe(checker: &mut Checker<'_>, command: &Command) -> Option<Box<dyn Execute>> {
    let mut arguments = Arguments::of_command(checker, command)?;
    let copy = arguments.tag(checker, "copy", Some(Extension::Copy)).is_some();
    let attempt = arguments.tag(checker, "try", None).is_some();
    let program = Program::take(&mut arguments, checker);
    arguments.end(checker)?;
    Some(Box::new(Pipe {
        program: program?,
        copy,
        attempt,
    }))
}

#[derive(Debug)]
struct Pipe {
    program: Program,
    copy: bool,
    attempt: bool,
}

impl Execute for Pipe {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        let name = &self.program.name;
        // §5.1: each program once.
        if run.has_step(|step| matches!(step, Step::Pipe { program, .. } if program == name)) {
            return Err(Stop::error(format!(
                "pipe: a script can execute it only once for the program \"{name}\""
            )));
        }
        let arguments = self.program.arguments(run)?;
        run.act(Step::Pipe {
            program: name.clone(),
            arguments,
            copy: self.copy,
            attempt: self.attempt,
        })?;
        Ok(Flow::Next)
    }
}

// §6: filter <program-name: string> [<arguments: string-list>]
#[derive(Debug)]
struct Filter {
    program: Program,
}

impl Filter {
    fn compile(checker: &mut Checker<'_>, mut arguments: Arguments<'_>) -> Option<Filter> {
        let program = Program::take(&mut arguments, checker);
        arguments.end(checker)?;
        checker.needs_whole = true;
        Some(Filter { program: program? })
    }

    // Whether the message is another now.
    fn filter(&self, run: &mut Run<'_>, as_test: bool) -> Result<bool, Stop> {
        let message = run.subject.message()?;
        let bytes = message.bytes().map_err(unreadable)?;
        match self.program.run(run, &bytes, as_test)? {
            Some(output) if !output.is_empty() => {
                run.replace_message(Message::from_bytes(output));
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn unreadable(error: std::io::Error) -> Stop {
    Stop::error(format!("cannot read the message: {error}"))
}

impl Execute for Filter {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        self.filter(run, false)?;
        Ok(Flow::Next)
    }
}

impl Test for Filter {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        self.filter(run, true)
    }
}

/// What a program reads.
#[derive(Debug)]
enum Input {
    Nothing,
    Text(Text),
    /// `:pipe`: the message as it is now.
    Message,
}

// §7: execute [":input" <input-data: string> / ":pipe"] [":output" <varname: string>] <program-name: string>
// [<arguments: string-list>]
#[derive(Debug)]
struct ExecuteProgram {
    input: Input,
    output: Option<Box<str>>,
    program: Program,
}

impl ExecuteProgram {
    fn compile(checker: &mut Checker<'_>, mut arguments: Arguments<'_>) -> Option<ExecuteProgram> {
        let text = arguments.tagged_text(checker, "input", None);
        let pipe = arguments.tag(checker, "pipe", None);
        let output = arguments.tagged_constant(checker, "output", Some(Extension::Variables));
        let program = Program::take(&mut arguments, checker);
        arguments.end(checker)?;
        let output = match output {
            Some((place, name)) => Some(checked_name(checker, place, &name)?),
            None => None,
        };
        let input = match (text, pipe) {
            (Some(_), Some(place)) => return checker.error(place, "`:pipe` does not go together with `:input`"),
            (Some((_, text)), None) => Input::Text(text),
            (None, Some(_)) => Input::Message,
            (None, None) => Input::Nothing,
        };
        checker.needs_whole |= matches!(input, Input::Message);
        Some(ExecuteProgram {
            input,
            output,
            program: program?,
        })
    }

    // Whether it ended well; if not, the variable stays as it is.
    fn run(&self, run: &mut Run<'_>, as_test: bool) -> Result<bool, Stop> {
        let output = match &self.input {
            Input::Nothing => self.program.run(run, b"", as_test)?,
            Input::Text(text) => {
                let text = text.value(run)?.into_owned();
                self.program.run(run, text.as_bytes(), as_test)?
            }
            Input::Message => {
                let message = run.subject.message()?;
                let bytes = message.bytes().map_err(unreadable)?;
                self.program.run(run, &bytes, as_test)?
            }
        };
        let Some(output) = output else { return Ok(false) };
        if let Some(name) = &self.output {
            run.set_variable(name, String::from_utf8_lossy(&output).into_owned())?;
        }
        Ok(true)
    }
}

impl Execute for ExecuteProgram {
    fn execute(&self, run: &mut Run<'_>) -> Result<Flow, Stop> {
        self.run(run, false)?;
        Ok(Flow::Next)
    }
}

impl Test for ExecuteProgram {
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        self.run(run, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let long = "ä".repeat(128);
        for (name, right) in [
            ("translator", true),
            ("my program.sh", true),
            (long.as_str(), true),
            (&format!("{long}x"), false),
            ("", false),
            ("../sh", false),
            (".hidden", false),
            ("a/b", false),
            ("a\0b", false),
            ("a\nb", false),
            ("a\u{2028}b", false),
        ] {
            assert_eq!(check_name(name).is_ok(), right, "{name:?}");
        }
    }
}

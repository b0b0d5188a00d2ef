//! Programs of the site for scripts (`vnd.dovecot.pipe`, `filter`, `execute`): which may be run, and how.
//!
//! A name is that of a file in one folder. Its program gets the message on its standard input and the envelope in
//! an environment of its own; no shell is asked, and it is ended when its time is up or it writes too much.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mail::{Address, Cause, ReversePath};
use crate::message::{Message, write_crlf};
use crate::sieve::{ProgramError, ProgramOutput};
use crate::submission::program::{self, End, Environment, Heard, Job, Runner};

use super::wishes::Pipe;
use super::{Delivery, Sorter};

/// The programs that scripts may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// Where they lie.
    pub folder: PathBuf,
    /// How long one may run.
    pub timeout: Duration,
    /// Bytes that one may write to its standard output.
    pub output: usize,
    /// Whether `pipe` may run them.
    pub pipe: bool,
    /// Whether `filter` or `execute` may.
    pub ask: bool,
}

/// What a program is to do, and what it is told of the delivery.
pub(super) struct Call<'a> {
    pub(super) program: &'a str,
    pub(super) arguments: &'a [String],
    pub(super) user: &'a str,
    pub(super) home: &'a Path,
    pub(super) reverse_path: &'a ReversePath,
    pub(super) recipient: &'a Address,
    pub(super) original: Option<&'a Address>,
    pub(super) hostname: &'a str,
}

/// What became of a message that was piped.
pub(super) enum Piped {
    /// The program took it.
    Taken,
    /// The program asks to be tried again.
    Later(String),
    /// It did not take it.
    Failed(String),
}

/// The exit status by which a program asks to be tried again: sysexits(3), EX_TEMPFAIL.
const TEMPFAIL: i32 = 75;
/// Where programs find others.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

impl Sorter {
    pub(super) fn run_pipe(&self, delivery: &Delivery<'_>, pipe: &Pipe, message: &Message) -> Piped {
        let call = self.call(delivery, &pipe.program, &pipe.arguments);
        let allowed = self.options.programs.as_ref().filter(|programs| programs.pipe);
        let ended = match allowed {
            Some(programs) => {
                let runner = self.submitter.runner();
                programs.run(runner, &call, |to| write_crlf(message.reader(), to))
            }
            None => Err(ProgramError::None(pipe.program.clone())),
        };
        match ended {
            Ok((Some(0), ..)) => Piped::Taken,
            Ok((Some(TEMPFAIL), words, _)) => Piped::Later(format!("it asks to be tried again: {words}")),
            Ok((code, words, _)) => Piped::Failed(format!("it ended with {}: {words}", show(code))),
            Err(error) if is_gone(&error) => Piped::Later(Cause::of(&error).to_string()),
            Err(error) => Piped::Failed(Cause::of(&error).to_string()),
        }
    }

    pub(super) fn call<'a>(
        &'a self,
        delivery: &'a Delivery<'_>,
        program: &'a str,
        arguments: &'a [String],
    ) -> Call<'a> {
        Call {
            program,
            arguments,
            user: &delivery.found.user,
            home: &delivery.found.home,
            reverse_path: &delivery.parcel.envelope.reverse_path,
            recipient: &delivery.recipient.address,
            original: delivery.recipient.original.as_ref(),
            hostname: &self.options.hostname,
        }
    }
}

/// Whether nobody was there to run the program: the message is to come again.
pub(super) fn is_gone(error: &ProgramError) -> bool {
    matches!(error, ProgramError::Io { source, .. } if program::is_gone(source))
}

fn show(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"))
}

impl Programs {
    /// Runs a program for `filter` or `execute`.
    pub(super) fn ask(
        &self,
        runner: &dyn Runner,
        call: &Call<'_>,
        input: &[u8],
    ) -> Result<ProgramOutput, ProgramError> {
        if !self.ask {
            return Err(ProgramError::None(call.program.to_owned()));
        }
        let (code, words, output) = self.run(runner, call, |to| to.write_all(input))?;
        if code != Some(0) {
            tracing::info!(
                user = call.user,
                program = call.program,
                "a program of a script ended with {}: {words}",
                show(code)
            );
        }
        Ok(ProgramOutput {
            success: code == Some(0),
            output,
        })
    }

    // Answers the exit status (none after a signal), the words, and the output.
    fn run(
        &self,
        runner: &dyn Runner,
        call: &Call<'_>,
        input: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(Option<i32>, String, Vec<u8>), ProgramError> {
        let name = || call.program.to_owned();
        let trouble = |source| ProgramError::Io { name: name(), source };
        let path = self.find(call.program)?;
        // A file, not a pipe: whether and when the program reads it holds nothing up.
        let mut stdin = tempfile::tempfile().map_err(trouble)?;
        input(&mut stdin).and_then(|()| stdin.rewind()).map_err(trouble)?;
        let job = Job {
            program: path,
            arguments: call.arguments.to_vec(),
            environment: call.environment(),
            folder: Some(call.home.to_owned()),
            input: Some(stdin),
            time: self.timeout,
            output: Some(self.output),
        };
        match runner.run(job).map_err(trouble)? {
            Heard::All(End::Exited(status, words), output) => Ok((status.code(), words, output)),
            Heard::All(End::Killed, _) => Err(ProgramError::Late {
                name: name(),
                seconds: self.timeout.as_secs(),
            }),
            Heard::TooMuch => Err(ProgramError::Flood {
                name: name(),
                limit: self.output as u64,
            }),
        }
    }

    fn find(&self, name: &str) -> Result<PathBuf, ProgramError> {
        program::vetted(&self.folder, name).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => ProgramError::None(name.to_owned()),
            _ => ProgramError::Io {
                name: name.to_owned(),
                source,
            },
        })
    }
}

impl Call<'_> {
    fn environment(&self) -> Environment {
        let sender = match self.reverse_path {
            ReversePath::Null => String::new(),
            ReversePath::Address(address) => address.to_string(),
        };
        Environment::Only(vec![
            ("PATH", PATH.to_owned()),
            ("HOME", self.home.display().to_string()),
            ("USER", self.user.to_owned()),
            ("HOST", self.hostname.to_owned()),
            ("SENDER", sender),
            ("RECIPIENT", self.recipient.to_string()),
            ("ORIG_RECIPIENT", self.original.unwrap_or(self.recipient).to_string()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::submission::program::Direct;

    /// A folder with programs, and a home.
    struct Site {
        folder: tempfile::TempDir,
        home: tempfile::TempDir,
    }

    impl Site {
        fn new(programs: &[(&str, &str)]) -> Site {
            let site = Site {
                folder: tempfile::tempdir().unwrap(),
                home: tempfile::tempdir().unwrap(),
            };
            for (name, body) in programs {
                site.write(name, body, 0o755);
            }
            site
        }

        // By another process: see `sendmail::tests`.
        fn write(&self, name: &str, body: &str, mode: u32) {
            let path = self.folder.path().join(name);
            let mut writer = Command::new("sh")
                .args(["-c", "cat >\"$1\"", "sh"])
                .arg(&path)
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let script = format!("#!/bin/sh\n{body}\n");
            writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
            assert!(writer.wait().unwrap().success());
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn programs(&self) -> Programs {
            Programs {
                folder: self.folder.path().to_owned(),
                timeout: Duration::from_secs(60),
                output: 1 << 20,
                pipe: true,
                ask: true,
            }
        }

        fn ask(&self, name: &str, arguments: &[&str], input: &[u8]) -> Result<ProgramOutput, ProgramError> {
            self.ask_of(&self.programs(), name, arguments, input)
        }

        fn ask_of(
            &self,
            programs: &Programs,
            name: &str,
            arguments: &[&str],
            input: &[u8],
        ) -> Result<ProgramOutput, ProgramError> {
            let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
            let (sender, recipient): (Address, Address) =
                ("bob@example.com".parse().unwrap(), "ann@example.org".parse().unwrap());
            let call = Call {
                program: name,
                arguments: &arguments,
                user: "ann",
                home: self.home.path(),
                reverse_path: &ReversePath::Address(sender),
                recipient: &recipient,
                original: Some(&"info@example.org".parse().unwrap()),
                hostname: "mx.example.org",
            };
            programs.ask(&Direct, &call, input)
        }
    }

    #[test]
    fn arguments_environment_and_input_arrive() {
        let site = Site::new(&[("tell", "for a; do printf '%s\\n' \"$a\"; done; env | sort; pwd; cat")]);
        let told = site
            .ask("tell", &["$(touch x)", "two words", "-n", ""], b"input\r\n")
            .unwrap();
        assert!(told.success);
        let told = String::from_utf8(told.output).unwrap();
        let home = site.home.path().display();
        assert!(told.starts_with("$(touch x)\ntwo words\n-n\n\n"), "{told}");
        assert!(told.ends_with(&format!("\n{home}\ninput\r\n")), "{told}");
        // Those of the shell aside, there is nothing else in its environment.
        let names = ["HOME", "HOST", "ORIG_RECIPIENT", "PATH", "RECIPIENT", "SENDER", "USER"];
        let found: Vec<&str> = told.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        let found: Vec<&str> = found
            .into_iter()
            .filter(|name| !matches!(*name, "PWD" | "OLDPWD" | "SHLVL" | "_"))
            .collect();
        assert_eq!(found, names, "{told}");
        for line in [
            "SENDER=bob@example.com",
            "RECIPIENT=ann@example.org",
            "ORIG_RECIPIENT=info@example.org",
            "USER=ann",
        ] {
            assert!(told.contains(&format!("\n{line}\n")), "{told}");
        }
        assert!(!site.home.path().join("x").exists());
    }

    #[test]
    fn neither_side_waits_for_the_other() {
        let site = Site::new(&[("deaf", "exit 0"), ("echo", "cat"), ("fails", "cat >/dev/null; exit 4")]);
        let much = vec![b'x'; 1 << 20];
        assert!(site.ask("deaf", &[], &much).unwrap().success);
        assert_eq!(site.ask("echo", &[], &much).unwrap().output, much);
        assert!(!site.ask("fails", &[], &much).unwrap().success);
    }

    #[test]
    fn limits_hold() {
        let site = Site::new(&[("slow", "sleep 600"), ("loud", "cat; echo")]);
        let mut programs = site.programs();
        programs.output = 10;
        let loud = site.ask_of(&programs, "loud", &[], b"0123456789");
        assert!(matches!(loud, Err(ProgramError::Flood { limit: 10, .. })), "{loud:?}");
        assert!(site.ask_of(&programs, "loud", &[], b"012345678").is_ok());
        programs.timeout = Duration::from_millis(100);
        let slow = site.ask_of(&programs, "slow", &[], b"");
        assert!(matches!(slow, Err(ProgramError::Late { .. })), "{slow:?}");
        programs.ask = false;
        assert!(matches!(
            site.ask_of(&programs, "loud", &[], b""),
            Err(ProgramError::None(_))
        ));
    }

    #[test]
    fn only_programs_of_the_folder_are_run() {
        let site = Site::new(&[("good", "echo ran")]);
        for (name, mode) in [("writable", 0o757), ("of-a-group", 0o775), ("no-program", 0o644)] {
            site.write(name, "echo ran", mode);
        }
        fs::create_dir(site.folder.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("good", site.folder.path().join("link")).unwrap();
        assert!(site.ask("good", &[], b"").is_ok());
        for name in [
            "",
            ".",
            "..",
            "../good",
            "./good",
            "/bin/true",
            ".hidden",
            "-good",
            "good\0",
            "gööd",
            "missing",
        ] {
            let asked = site.ask(name, &[], b"");
            assert!(matches!(asked, Err(ProgramError::None(_))), "{name:?}: {asked:?}");
        }
        for name in ["writable", "of-a-group", "no-program", "folder", "link"] {
            let asked = site.ask(name, &[], b"");
            assert!(matches!(asked, Err(ProgramError::Io { .. })), "{name:?}: {asked:?}");
        }
        assert!(matches!(site.ask("good", &["\0"], b""), Err(ProgramError::Io { .. })));
        fs::set_permissions(site.folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(site.ask("good", &[], b""), Err(ProgramError::Io { .. })));
    }
}

//! Programs that are run: argv, never a shell, and never longer than their time.
//!
//! What is to be run is a [`Job`], a value; a [`Runner`] runs it. On the command line that is [`Direct`], in this
//! process. A server that has given up the right to run anything asks its helper (`confinement::Helper`), where the same
//! code does it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What is kept of a program's words, in bytes.
const WORDS_MAX: u64 = 1000;
/// How many words a program may write that is listened to, in bytes.
const WORDS_BEARABLE: u64 = 1 << 20;
/// The longest pause between two looks at a program.
const PAUSE: Duration = Duration::from_millis(50);
/// Characters of the name of a program in a folder.
const NAME_MAX: usize = 64;

/// A program that is to be run.
#[derive(Debug)]
pub(crate) struct Job {
    /// Its file.
    pub(crate) program: PathBuf,
    /// What stands behind its name.
    pub(crate) arguments: Vec<String>,
    /// Its environment.
    pub(crate) environment: Environment,
    /// Where it runs; none: where this process is.
    pub(crate) folder: Option<PathBuf>,
    /// Its standard input, read from where the file stands; none: nothing.
    pub(crate) input: Option<File>,
    /// How long it may run.
    pub(crate) time: Duration,
    /// How many bytes of its standard output are listened to; none: it goes nowhere.
    pub(crate) output: Option<usize>,
}

/// The environment of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// That of this process, and these variables.
    With(Vec<(&'static str, String)>),
    /// These variables alone.
    Only(Vec<(&'static str, String)>),
}

/// Who runs programs.
pub(crate) trait Runner: Send + Sync + std::fmt::Debug {
    /// Runs a program to its end. A program that is not listened to has written nothing.
    ///
    /// # Errors
    /// What the system said where it cannot be started or watched; an error that holds a [`Gone`] where there is nobody
    /// left who could run it: then it is to be tried again later.
    fn run(&self, job: Job) -> io::Result<Heard>;
}

/// Nobody is there to run a program.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Gone(pub(crate) &'static str);

/// Whether an error says that nobody is there to run programs, which is no fault of the program.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Gone>())
}

/// Runs programs as children of this process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Direct;

impl Runner for Direct {
    fn run(&self, job: Job) -> io::Result<Heard> {
        let deadline = Instant::now() + job.time;
        let limit = job.output;
        let command = job.into_command();
        match limit {
            Some(limit) => run_and_listen(command, deadline, limit),
            None => run(command, deadline).map(|end| Heard::All(end, Vec::new())),
        }
    }
}

impl Job {
    fn into_command(self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        match &self.environment {
            Environment::With(variables) => command.envs(variables.iter().map(|(name, value)| (name, value))),
            Environment::Only(variables) => command
                .env_clear()
                .envs(variables.iter().map(|(name, value)| (name, value))),
        };
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
            .stdin(self.input.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::null());
        command
    }
}

/// The program of that name in a folder: a plain file that nobody but the site can have put there.
///
/// # Errors
/// `NotFound` where there is none, or it is no name; `PermissionDenied` with the remedy where others could have written
/// it; else what the system said.
pub(crate) fn vetted(folder: &Path, name: &str) -> io::Result<PathBuf> {
    if !is_name(name) {
        return Err(ErrorKind::NotFound.into());
    }
    let path = folder.join(name);
    let metadata = fs::symlink_metadata(&path)?;
    let around = fs::metadata(folder)?;
    let refuse = |why| Err(io::Error::new(ErrorKind::PermissionDenied, why));
    if !metadata.is_file() {
        return refuse("it is no plain file");
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("others may write to the file: take that right away with chmod go-w");
    }
    if around.mode() & 0o022 != 0 {
        return refuse("others may write to its folder: take that right away with chmod go-w");
    }
    if metadata.mode() & 0o111 == 0 {
        return refuse("it is not executable: chmod +x makes it so");
    }
    Ok(path)
}

// A file of the folder and nothing else: no path, nothing hidden, no option of anything.
fn is_name(name: &str) -> bool {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (1..=NAME_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_sign)
}

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, with this on its standard error, as one line.
    Exited(ExitStatus, String),
    /// Its time was up; it and what it started were killed.
    Killed,
}

/// What came of listening to a program.
#[derive(Debug)]
pub(crate) enum Heard {
    /// How it ended, and what it wrote to its standard output by then.
    All(End, Vec<u8>),
    /// It wrote more than it may; it and what it started were killed.
    TooMuch,
}

/// Runs a program in a process group of its own and waits for its end, at most until `deadline`.
///
/// Its words go to an unlinked file, not a pipe: a program that does not end, or leaves a child
/// behind, can then block nothing here.
fn run(mut command: Command, deadline: Instant) -> io::Result<End> {
    let mut words = tempfile::tempfile()?;
    let mut child = command.stderr(words.try_clone()?).process_group(0).spawn()?;
    let ended = guarded(&mut child, |child| wait(child, deadline))?;
    Ok(ended.map_or(End::Killed, |status| End::Exited(status, one_line(&mut words))))
}

/// As [`run`], and answers what it writes to its standard output, up to `limit` bytes; more is [`Heard::TooMuch`],
/// as are too many words. What a child that it leaves behind writes later is not waited for.
fn run_and_listen(mut command: Command, deadline: Instant, limit: usize) -> io::Result<Heard> {
    let mut words = tempfile::tempfile()?;
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(words.try_clone()?)
        .process_group(0)
        .spawn()?;
    let mut output = Vec::new();
    let stopped = guarded(&mut child, |child| listen(child, &words, &mut output, deadline, limit))?;
    Ok(match stopped {
        Stopped::Ended(status) => Heard::All(End::Exited(status, one_line(&mut words)), output),
        Stopped::Late => Heard::All(End::Killed, output),
        Stopped::TooMuch => Heard::TooMuch,
    })
}

/// Why listening stopped.
enum Stopped {
    Ended(ExitStatus),
    Late,
    TooMuch,
}

// No fault on this side leaves a program behind that nobody waits for.
fn guarded<T>(child: &mut Child, watch: impl FnOnce(&mut Child) -> io::Result<T>) -> io::Result<T> {
    let watched = watch(child);
    if watched.is_err() {
        let _ = kill(child);
    }
    watched
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            kill(child)?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE);
    }
}

fn listen(
    child: &mut Child,
    words: &File,
    output: &mut Vec<u8>,
    deadline: Instant,
    limit: usize,
) -> io::Result<Stopped> {
    let mut stdout = child.stdout.take();
    if let Some(pipe) = &stdout {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    let mut pause = Duration::from_millis(1);
    loop {
        // Asked first: what it wrote before its end is in the pipe by now.
        let ended = child.try_wait()?;
        if let Some(pipe) = &mut stdout
            && drain(pipe, output, limit)?
        {
            stdout = None;
        }
        if output.len() > limit || words.metadata()?.len() > WORDS_BEARABLE {
            kill(child)?;
            return Ok(Stopped::TooMuch);
        }
        if let Some(status) = ended {
            return Ok(Stopped::Ended(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            kill(child)?;
            return Ok(Stopped::Late);
        }
        match &stdout {
            Some(pipe) => wait_for(pipe, left.min(PAUSE))?,
            None => {
                std::thread::sleep(left.min(pause));
                pause = (pause * 2).min(PAUSE);
            }
        }
    }
}

// Reads what is there, at most one byte above the limit; answers whether that was the end.
fn drain(pipe: &mut ChildStdout, output: &mut Vec<u8>, limit: usize) -> io::Result<bool> {
    let mut piece = [0; 16 * 1024];
    while output.len() <= limit {
        let room = piece.len().min(limit + 1 - output.len());
        match pipe.read(&mut piece[..room]) {
            Ok(0) => return Ok(true),
            Ok(count) => output.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn wait_for(pipe: &ChildStdout, time: Duration) -> io::Result<()> {
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: time.min(PAUSE).subsec_nanos().into(),
    };
    match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn kill(child: &mut Child) -> io::Result<()> {
    if let Ok(id) = i32::try_from(child.id()) {
        // It leads its own process group; a group that is gone needs no signal.
        let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
    }
    child.wait().map(drop)
}

fn one_line(words: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read back is not worth a second error.
    let _ = words.rewind();
    let _ = words.take(WORDS_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).replace(char::is_control, " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        "it wrote no message".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // None: it wrote too much.
    fn listened(script: &str, time: Duration, limit: usize) -> Option<(End, String)> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null());
        match run_and_listen(command, Instant::now() + time, limit).unwrap() {
            Heard::All(end, output) => Some((end, String::from_utf8(output).unwrap())),
            Heard::TooMuch => None,
        }
    }

    fn heard(script: &str, time: Duration, limit: usize) -> (End, String) {
        listened(script, time, limit).expect(script)
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn output_and_words_are_told_apart() {
        let (end, output) = heard("echo out; echo word >&2; exit 3", MINUTE, 100);
        assert!(
            matches!(&end, End::Exited(status, words) if status.code() == Some(3) && words == "word"),
            "{end:?}"
        );
        assert_eq!(output, "out\n");
    }

    #[test]
    fn more_than_a_pipe_holds_is_heard_up_to_the_limit() {
        let much = "head -c 300000 /dev/zero | tr '\\0' x";
        let (end, output) = heard(much, MINUTE, 300_000);
        assert!(matches!(end, End::Exited(..)), "{end:?}");
        assert_eq!(output.len(), 300_000);
        for (script, limit) in [(much, 299_999), ("yes", 100_000), ("yes >&2", 1)] {
            assert!(listened(script, MINUTE, limit).is_none(), "{script}");
        }
    }

    #[test]
    fn neither_a_program_nor_its_children_are_waited_for_longer_than_that() {
        let begun = Instant::now();
        let (end, output) = heard("echo a; sleep 600 & sleep 600", Duration::from_millis(100), 100);
        assert!(matches!(end, End::Killed) && output == "a\n", "{end:?} {output}");
        // It closes its output and goes on; it ends and a child holds its output.
        let closed = heard("exec >&-; sleep 600", Duration::from_millis(100), 100);
        assert!(matches!(closed.0, End::Killed));
        let (end, output) = heard("echo a; sleep 20 & exit 0", MINUTE, 100);
        assert!(matches!(end, End::Exited(..)) && output == "a\n", "{end:?} {output}");
        assert!(begun.elapsed() < Duration::from_secs(15));
    }
}

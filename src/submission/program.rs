//! Programs that are run: argv, never a shell, and never longer than their time.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What is kept of a program's words, in bytes.
const OUTPUT_MAX: u64 = 1000;

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    /// By itself, with this on its standard error, as one line.
    Exited(ExitStatus, String),
    /// Its time was up; it and what it started were killed.
    Killed,
}

/// Runs a program in a process group of its own and waits for its end, at most until `deadline`.
///
/// Its words go to an unlinked file, not a pipe: a program that does not end, or leaves a child
/// behind, can then block nothing here.
pub(crate) fn run(mut command: Command, deadline: Instant) -> io::Result<End> {
    let mut words = tempfile::tempfile()?;
    let mut child = command.stderr(words.try_clone()?).process_group(0).spawn()?;
    Ok(match wait(&mut child, deadline)? {
        Some(status) => End::Exited(status, one_line(&mut words)),
        None => End::Killed,
    })
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            if let Ok(id) = i32::try_from(child.id()) {
                // It leads its own process group; a group that is gone needs no signal.
                let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn one_line(words: &mut File) -> String {
    let mut bytes = Vec::new();
    // What cannot be read back is not worth a second error.
    let _ = words.rewind();
    let _ = words.take(OUTPUT_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).replace(char::is_control, " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        "it wrote no message".to_owned()
    } else {
        text
    }
}

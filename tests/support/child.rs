//! Processes that end with the test that started them.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A running process, in a process group of its own. Dropped: it is ended, by its own id, and if the test failed
/// its log is shown.
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with its output going to `log`.
    pub fn start(name: &str, command: Command, log: &Path) -> Running {
        Running::start_with_input(name, command, log, Stdio::null())
    }

    /// As [`Running::start`], with this as its standard input.
    pub fn start_with_input(name: &str, mut command: Command, log: &Path, input: Stdio) -> Running {
        let file = File::options().append(true).create(true).open(log).expect("a log file");
        command
            .stdin(input)
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .process_group(0);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name} ({command:?}): {error}"));
        Running {
            name: name.into(),
            child,
            log: log.into(),
        }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Panics if it has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("wait") {
            panic!("{} ended early, {status}:\n{}", self.name, self.log());
        }
    }

    /// Kill -9: as a crash would end it.
    pub fn kill(&mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("wait");
    }

    /// SIGTERM, and its exit status once it is gone.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            if start.elapsed() > Duration::from_secs(20) {
                self.child.kill().expect("kill");
                return self.child.wait().expect("wait");
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal to this process alone.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        let _ = kill(id, signal); // It may be gone already.
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.terminate();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(100)..].join("\n");
            eprintln!("--- log of {}, its end ---\n{last}", self.name);
        }
    }
}

/// Writes a shell script that can be run. By another process, so that no thread that forks meanwhile holds it open for
/// writing.
pub fn script(path: &Path, body: &str) {
    let text = format!("#!/bin/sh\n{body}\n");
    run(Command::new("sh")
        .args(["-c", "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", &text])
        .arg(path));
}

/// Runs a command to its end; panics with all its output if it fails.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

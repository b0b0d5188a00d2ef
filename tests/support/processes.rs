//! Processes of the system, by their ids.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A line of /proc/PID/status.
pub fn status(of: &Path, field: &str) -> String {
    let text = fs::read_to_string(of.join("status")).expect("the status of a process");
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or_else(|| panic!("no {field} in {text}"))
        .trim_start_matches(':')
        .trim()
        .to_owned()
}

/// Its folder in /proc.
pub fn process(id: u32) -> PathBuf {
    Path::new("/proc").join(id.to_string())
}

/// The children of a process.
pub fn children(of: u32) -> Vec<u32> {
    let tasks = fs::read_dir(process(of).join("task")).into_iter().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    let ids = texts.flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    ids.map(|id| id.parse().expect("a process id")).collect()
}

/// What it was started with.
pub fn command_line(of: u32) -> String {
    fs::read_to_string(process(of).join("cmdline")).unwrap_or_default()
}

/// Sends it a signal.
pub fn signal(id: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(id).expect("a process id")), signal).expect("a signal");
}

/// Whether it ended.
pub fn is_gone(id: u32) -> bool {
    // One that ended and that nobody waited for is gone too.
    !process(id).exists() || status(&process(id), "State").starts_with('Z')
}

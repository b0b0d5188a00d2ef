//! How the processes of postroom speak with one another.
//!
//! The running server is confined, and most of what it has no right to is done by other processes of the same program:
//! `confinement` has programs run outside, `privsep` has mail delivered in the rights of its owner. All of them speak
//! over sockets without a name ([`Channel`]) that they inherit from whoever started them; a request is a socket of its own,
//! and perhaps a file, so that requests meet nowhere and those that wait are not lost with a process that dies. What is
//! said is lengths and JSON ([`put`], [`take`]), bounded by whoever listens. A [`Desk`] serves so many at once.

mod channel;
mod desk;
mod frame;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

pub use channel::Channel;
pub use desk::Desk;
pub use frame::{is_lost, put, take};

/// This very program, even where its file was replaced meanwhile.
const OURSELVES: &str = "/proc/self/exe";

/// This program once more, for one of its `helper` commands; what it is told at its start is its standard input, its
/// end of the channel its standard output.
#[must_use]
pub fn ourselves(command: &str, told: impl Into<Stdio>, channel: OwnedFd) -> Command {
    let mut ourselves = Command::new(OURSELVES);
    ourselves
        .arg0("postroom")
        .args(["helper", command])
        .stdin(told)
        .stdout(Stdio::from(channel));
    ourselves
}

/// What a process that was started by [`ourselves`] was given: its standard input, and its channel.
///
/// # Errors
/// Where it has neither.
pub fn given() -> io::Result<(std::fs::File, Channel)> {
    let told = io::stdin().as_fd().try_clone_to_owned()?;
    let channel = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((told.into(), channel.into()))
}

/// A stop or a Ctrl-C is told to all processes; the server needs the others until its last session has ended.
///
/// They are blocked and not ignored, so that programs that are run can be stopped: a new process is started with no signal
/// blocked.
///
/// # Errors
/// What the system says.
pub fn outlive_stops() -> io::Result<()> {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    Ok(signals.into_iter().collect::<SigSet>().thread_block()?)
}

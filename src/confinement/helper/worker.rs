//! The helper's own processes: one that keeps, one that works.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Seek};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::rules::Rules;
use super::{OURSELVES, wire};
use crate::submission::program::{Direct, Heard, Job, Runner};

/// How long the server may take to tell a job, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// A worker that lived for less is started again only after as long.
const BREATH: Duration = Duration::from_secs(1);

/// The process `postroom helper keep`: starts the worker, and starts it again whenever it dies, until the server is
/// gone. Its standard input is the file of the rules, its standard output the socket.
///
/// # Errors
/// Where it is started otherwise, or the system gives no process.
pub fn keep() -> io::Result<()> {
    ignore_the_end_of_the_server()?;
    let (mut rules, socket) = handed()?;
    loop {
        let begun = Instant::now();
        rules.rewind()?;
        let mut worker = Command::new(OURSELVES);
        worker
            .arg0("postroom")
            .args(["helper", "work"])
            .stdin(Stdio::from(rules.try_clone()?))
            .stdout(Stdio::from(socket.try_clone()?));
        if worker.status()?.success() {
            return Ok(());
        }
        thread::sleep(BREATH.saturating_sub(begun.elapsed()));
    }
}

/// The process `postroom helper work`: runs what the server asks for and the rules name, until the server is gone.
/// Its standard input is the file of the rules, its standard output the socket.
///
/// # Errors
/// Where it is started otherwise.
pub fn work() -> io::Result<()> {
    ignore_the_end_of_the_server()?;
    let (mut file, socket) = handed()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let rules = serde_json::from_str(&text)?;
    let rules = Rules::from_json(&rules).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no rules"))?;
    let desk = Arc::new(Desk {
        busy: Mutex::new(0),
        changed: Condvar::new(),
        rules,
    });
    while let Some((stream, input)) = receive(&socket)? {
        desk.take(stream, input);
    }
    desk.close();
    Ok(())
}

// A stop or a Ctrl-C is told to all processes; the server needs us until its last session has ended. Blocked and not
// ignored, so that programs that we run can be stopped: a new process is started with no signal blocked.
fn ignore_the_end_of_the_server() -> io::Result<()> {
    let signals = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    Ok(signals.into_iter().collect::<SigSet>().thread_block()?)
}

fn handed() -> io::Result<(File, OwnedFd)> {
    let rules = io::stdin().as_fd().try_clone_to_owned()?;
    let socket = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((File::from(rules), socket))
}

// None when the server is gone.
fn receive(socket: &OwnedFd) -> io::Result<Option<(UnixStream, Option<File>)>> {
    loop {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        match recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, flags) {
            Ok(message) if message.bytes == 0 => return Ok(None),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let mut handed = control.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(files) => files.collect::<Vec<OwnedFd>>(),
            _ => Vec::new(),
        });
        // Without a socket for the answer it is no request.
        if let Some(stream) = handed.next() {
            return Ok(Some((UnixStream::from(stream), handed.next().map(File::from))));
        }
    }
}

/// Where jobs are done, each on a thread of its own.
struct Desk {
    rules: Rules,
    busy: Mutex<usize>,
    changed: Condvar,
}

impl Desk {
    fn take(self: &Arc<Desk>, stream: UnixStream, input: Option<File>) {
        let busy = lock(&self.busy);
        let full = |busy: &mut usize| *busy >= self.rules.at_once.max(1);
        let waited = self.changed.wait_while(busy, full);
        *waited.unwrap_or_else(PoisonError::into_inner) += 1;
        let desk = Busy(self.clone());
        // Without a thread the socket is closed, so that the server tries again later.
        let _ = thread::Builder::new().spawn(move || desk.serve(stream, input));
    }

    // Programs that run have their time.
    fn close(&self) {
        let busy = lock(&self.busy);
        drop(self.changed.wait_while(busy, |busy| *busy > 0));
    }
}

/// A job that counts as busy.
struct Busy(Arc<Desk>);

impl Busy {
    fn serve(&self, mut stream: UnixStream, input: Option<File>) {
        // Whatever fails here, the server is gone or lost patience, and the message comes again.
        let _ = self.try_serve(&mut stream, input);
    }

    fn try_serve(&self, stream: &mut UnixStream, input: Option<File>) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let job = wire::hear(stream, input)?;
        let ended = self.run(job);
        wire::answer(stream, ended)
    }

    fn run(&self, job: Job) -> io::Result<Heard> {
        if let Err(why) = self.0.rules.check(&job) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Direct.run(job)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        *lock(&self.0.busy) -= 1;
        self.0.changed.notify_all();
    }
}

// It is a number: whole whoever panicked.
fn lock(busy: &Mutex<usize>) -> MutexGuard<'_, usize> {
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

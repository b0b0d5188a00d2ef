//! The helper's own processes: one that keeps, one that works.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::rules::Rules;
use super::wire;
use crate::ipc::{self, Desk};
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
    ipc::outlive_stops()?;
    let (mut rules, channel) = ipc::given()?;
    loop {
        let begun = Instant::now();
        rules.rewind()?;
        let mut worker = ipc::ourselves("work", rules.try_clone()?, channel.clone_end()?);
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
    ipc::outlive_stops()?;
    let (mut file, channel) = ipc::given()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let rules = serde_json::from_str(&text)?;
    let rules = Rules::from_json(&rules).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no rules"))?;
    let (desk, rules) = (Desk::new(rules.at_once), Arc::new(rules));
    while let Some((mut stream, input)) = channel.receive()? {
        let rules = rules.clone();
        // Whatever fails, the server is gone or lost patience, and the message comes again.
        desk.serve(move || drop(serve(&rules, &mut stream, input.map(File::from))));
    }
    // Programs that run have their time.
    desk.close();
    Ok(())
}

fn serve(rules: &Rules, stream: &mut UnixStream, input: Option<File>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let job = wire::hear(stream, input)?;
    wire::answer(stream, run(rules, job))
}

fn run(rules: &Rules, job: Job) -> io::Result<Heard> {
    match rules.check(&job) {
        Ok(()) => Direct.run(job),
        Err(why) => Err(io::Error::new(io::ErrorKind::PermissionDenied, why)),
    }
}

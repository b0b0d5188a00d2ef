//! The helper: a process outside the confinement that runs the programs of the site.
//!
//! It exists because what it runs could not run in the server: a process that is confined can neither gain rights, as
//! postdrop(1) behind Postfix's sendmail does by its group, nor run anything at all. It speaks with nobody but the server
//! that started it, by a socket without a name, and runs nothing but what its [`Rules`] name.
//!
//! The program starts itself once more for it, twice: [`keep`] is a process that does nothing but start [`work`] again
//! whenever it dies, and [`work`] runs programs. Both end when the server is gone. A request brings the file that is the
//! program's standard input, if it has one; `wire` has what is said.

mod rules;
mod wire;
mod worker;

use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use crate::ipc::{self, Channel};
use crate::submission::program::{Gone, Heard, Job, Runner};

pub use rules::{Rules, Scripts};
pub use worker::{keep, work};

/// How long the helper may take beyond the time of a program.
const GRACE: Duration = Duration::from_secs(10);

/// The server's end of it.
#[derive(Debug)]
pub struct Helper {
    /// None where there was nothing to be run when the server started.
    channel: Option<Channel>,
}

/// Why there is no helper.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the helper that runs programs")]
pub struct HelperError(#[source] io::Error);

impl Helper {
    /// Starts the helper with these rules, for good: no reload changes them. Where they name no program, there is none,
    /// and every program is refused.
    ///
    /// # Errors
    /// [`HelperError`] where the system gives no socket, no file or no process.
    pub fn start(rules: &Rules) -> Result<Helper, HelperError> {
        let channel = match rules.is_empty() {
            true => None,
            false => Some(start(rules).map_err(HelperError)?),
        };
        Ok(Helper { channel })
    }
}

fn start(rules: &Rules) -> io::Result<Channel> {
    let (ours, theirs) = Channel::pair()?;
    let mut file = tempfile::tempfile()?;
    file.write_all(rules.to_json().to_string().as_bytes())?;
    file.rewind()?;
    // It ends after this process, so that nobody waits for it.
    ipc::ourselves("keep", file, theirs).spawn()?;
    Ok(ours)
}

impl Runner for Helper {
    fn run(&self, job: Job) -> io::Result<Heard> {
        let Some(channel) = &self.channel else {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "no program was configured when postroom started, and a reload cannot add one: restart it",
            ));
        };
        let text = wire::write_job(&job)?;
        let input = job.input.as_ref().map(AsFd::as_fd);
        let mut ours = channel.request(input).map_err(|_| {
            tracing::error!(
                "the helper that runs programs is gone; what needs one is deferred until postroom is restarted"
            );
            io::Error::other(Gone("the helper that runs programs is gone: restart postroom"))
        })?;
        let time = job.time + GRACE;
        ours.set_write_timeout(Some(GRACE))?;
        ours.set_read_timeout(Some(time))?;
        let answer = wire::ask(&mut ours, &text, job.output);
        answer.unwrap_or_else(|error| {
            tracing::error!(program = %job.program.display(), %error, "the helper ended while it ran a program; it is started again");
            Err(io::Error::other(Gone("the helper ended while it ran the program")))
        })
    }
}

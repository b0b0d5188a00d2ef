//! An agent: the process that delivers for one account, as its owner.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid};
use serde_json::{Value, json};

use super::errands::Errands;
use super::identity::become_user;
use super::monitor::{account_from_json, account_to_json};
use super::wire::{self, Request};
use crate::delivery::{Errand, Parcel, Sorter};
use crate::directory::{Found, SystemAccount};
use crate::ipc::{self, Channel, Desk, put, take};
use crate::mail::{Address, Cause, Deferral, Outcome};
use crate::message::{Spool, SpoolOptions};

/// How long the server may take to make a request, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Requests served at once. The server has bounds of its own; this is for one that was taken over.
const AT_ONCE: usize = 64;
/// An account that was quiet for so long is tended.
const QUIET: Duration = Duration::from_secs(2);
/// How long it is tended before new requests are looked for.
const TURN: Duration = Duration::from_millis(300);
/// An agent that nobody asked for so long ends.
const IDLE: Duration = Duration::from_secs(60);

/// What an agent is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Whose mail it is.
    pub account: SystemAccount,
    /// The folders below which homes lie.
    pub roots: Vec<PathBuf>,
    /// The file of the configuration, for its folder and for errors.
    pub file: PathBuf,
    /// Its text.
    pub config: String,
}

impl Start {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "account": account_to_json(&self.account),
            "roots": self.roots,
            "file": self.file,
            "config": self.config,
        })
    }

    fn from_json(value: &Value) -> Option<Start> {
        let roots = value["roots"].as_array()?.iter();
        Some(Start {
            account: account_from_json(&value["account"])?,
            roots: roots
                .map(|root| root.as_str().map(PathBuf::from))
                .collect::<Option<_>>()?,
            file: value["file"].as_str()?.into(),
            config: value["config"].as_str()?.to_owned(),
        })
    }
}

/// The first step of the process `postroom helper agent`: learns whose mail it is, and becomes that user, for good.
/// Its standard input is the file of what it is told, its standard output the channel.
///
/// # Errors
/// Where it is started otherwise, cannot become that user, or could still become another.
pub fn begin() -> io::Result<(Start, Channel)> {
    ipc::outlive_stops()?;
    let (mut file, channel) = ipc::given()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let start = Start::from_json(&serde_json::from_str(&text)?);
    let start = start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no start"))?;
    become_owner(&start.account)?;
    check_home(&start)?;
    Ok((start, channel))
}

fn become_owner(account: &SystemAccount) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
    if uid.is_root() {
        return Err(io::Error::other("root gets no mail"));
    }
    become_user(Some(&account.name), uid, gid)
}

// With the owner's rights, so that links of his own lead to no more than he may see.
fn check_home(start: &Start) -> io::Result<()> {
    let home = &start.account.home;
    let Some(place) = home.ancestors().find_map(|folder| folder.canonicalize().ok()) else {
        return Ok(());
    };
    let really = |root: &Path| root.canonicalize().unwrap_or_else(|_| root.to_owned());
    match start.roots.iter().any(|root| place.starts_with(really(root))) {
        true => Ok(()),
        false => Err(io::Error::other(format!(
            "the home {} lies in {}, which is below none of [confinement] roots",
            home.display(),
            place.display()
        ))),
    }
}

/// Delivers what comes over the channel, until the server is gone or asks nothing for a while. In between the account is
/// tended.
///
/// # Errors
/// Where the channel fails.
pub fn serve(sorter: Sorter, account: SystemAccount, spool: SpoolOptions, channel: &Channel) -> io::Result<()> {
    let sorter = Arc::new(sorter);
    let agent = Arc::new(Agent {
        errands: Errands::start(sorter.clone())?,
        sorter,
        account,
        spool,
        untended: AtomicBool::new(false),
    });
    let desk = Desk::new(AT_ONCE);
    let mut asked = Instant::now();
    loop {
        if channel.wait(QUIET)? {
            let Some((stream, file)) = channel.receive()? else {
                break;
            };
            asked = Instant::now();
            let agent = agent.clone();
            desk.serve(move || agent.serve(stream, file.map(File::from)));
        } else if desk.busy() > 0 {
            asked = Instant::now();
        } else if agent.untended.swap(false, Ordering::Relaxed) {
            agent.tend();
        } else if asked.elapsed() > IDLE {
            break;
        }
    }
    desk.close();
    Ok(())
}

struct Agent {
    sorter: Arc<Sorter>,
    errands: Errands,
    account: SystemAccount,
    spool: SpoolOptions,
    /// Whether something was delivered since the account was tended.
    untended: AtomicBool,
}

impl Agent {
    fn serve(&self, mut stream: UnixStream, file: Option<File>) {
        // Whatever fails on the way, the server is gone or lost patience: then the MTA sends the message again.
        if let Err(error) = self.try_serve(&mut stream, file) {
            tracing::debug!(%error, "a request came to nothing");
        }
    }

    fn try_serve(&self, stream: &mut UnixStream, file: Option<File>) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let request: Value = serde_json::from_slice(&take(stream, wire::LIMIT)?)?;
        let request = Request::from_json(&request);
        let request = request.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "this is no request"))?;
        let (answer, errands) = match request {
            Request::Resolve {
                address,
                reverse_path,
                size,
            } => match self.sorter.resolve(&address, &reverse_path, size) {
                Ok(_) => (Value::Null, Vec::new()),
                Err(outcome) => (wire::outcome_to_json(&outcome), Vec::new()),
            },
            Request::Deliver { id, envelope, received } => {
                let file = file.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no message"))?;
                let message = Spool::take_over(file, &self.spool)?.came_at(received);
                let parcel = Parcel::new(message, *envelope, id);
                let (outcome, errands) = self.deliver(&parcel);
                (wire::outcome_to_json(&outcome), errands)
            }
        };
        let told = put(stream, answer.to_string().as_bytes());
        self.errands.add(errands);
        told
    }

    fn deliver(&self, parcel: &Parcel) -> (Outcome, Vec<Errand>) {
        let recipient = &parcel.envelope.recipients[0];
        match self.found(&recipient.address) {
            Ok(found) => {
                let delivered = self.sorter.deliver(parcel, recipient, &found, None);
                self.untended.store(true, Ordering::Relaxed);
                delivered
            }
            Err(cause) => (Outcome::Deferred(Deferral::Trouble(cause)), Vec::new()),
        }
    }

    // The server found the account for this address, so that here it is never unknown.
    fn found(&self, address: &Address) -> Result<Found, Cause> {
        let found = self
            .sorter
            .directory()
            .find(address)
            .map_err(|error| Cause::of(&error))?;
        found.ok_or_else(|| Cause::new(format!("{address} is no address of {}", self.account.name)))
    }

    fn tend(&self) {
        let account = self.sorter.account(&self.account.name, &self.account.home);
        match account.and_then(|account| account.tend(Instant::now() + TURN)) {
            Ok(true) => {}
            Ok(false) => self.untended.store(true, Ordering::Relaxed),
            Err(error) => {
                tracing::warn!(user = %self.account.name, cause = %Cause::of(&error), "the upkeep of an account failed; it is tried again after the next delivery");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(home: &Path, root: &Path) -> Start {
        Start {
            account: SystemAccount {
                name: "ann".to_owned(),
                uid: 1000,
                gid: 1001,
                home: home.to_owned(),
            },
            roots: vec![root.to_owned()],
            file: "/etc/postroom/postroom.toml".into(),
            config: "root = \"/srv\"\n".to_owned(),
        }
    }

    #[test]
    fn a_start_arrives_as_it_was_made() {
        let start = start(Path::new("/home/ann"), Path::new("/home"));
        assert_eq!(Start::from_json(&start.to_json()), Some(start.clone()));
        let mut other = start.to_json();
        other["account"]["uid"] = json!(-1);
        assert_eq!(Start::from_json(&other), None);
    }

    #[test]
    fn nobody_becomes_root() {
        let root = SystemAccount {
            name: "root".to_owned(),
            uid: 0,
            gid: 0,
            home: "/root".into(),
        };
        assert!(become_owner(&root).is_err());
    }

    #[test]
    fn a_link_out_of_the_roots_is_no_home() {
        let place = tempfile::tempdir().unwrap();
        let (roots, elsewhere) = (place.path().join("home"), place.path().join("elsewhere"));
        for folder in [&roots, &elsewhere, &roots.join("bob")] {
            std::fs::create_dir(folder).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, roots.join("ann")).unwrap();
        std::os::unix::fs::symlink(&roots, place.path().join("link")).unwrap();
        assert!(check_home(&start(&roots.join("bob"), &roots)).is_ok());
        assert!(check_home(&start(&roots.join("new"), &roots)).is_ok(), "not made yet");
        assert!(check_home(&start(&place.path().join("link/bob"), &place.path().join("link"))).is_ok());
        let error = check_home(&start(&roots.join("ann"), &roots)).unwrap_err();
        assert!(error.to_string().contains("below none"), "{error}");
    }
}

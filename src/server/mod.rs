//! The doors: listeners and connections. Here, and only here, it is async.
//!
//! Called by `cli::serve`: [`Doors::bind`] opens the sockets while there is still the
//! right to, [`run`] serves until the process is told to stop (SIGTERM, SIGINT).
//! Sessions in the middle of a message finish it; all others get 421 4.3.2. Told a second
//! time, it waits for no session, only for deliveries that have begun. Accounts to which
//! something was delivered are tended by `tender` once they are quiet.
//! Vacation replies, notifications and warnings are sent by `errands`, behind the deliveries.
//!
//! Users come to their scripts by `managesieve`, over TLS by `tls`; `throttle` makes guessing of passwords slow, and
//! `scripts` is what is done for them. SIGHUP has the certificate read again.
//!
//! `cli::deliver` logs and reports what became of its one recipient by `handover` too.

mod connection;
mod doors;
mod errands;
mod handover;
mod managesieve;
mod scripts;
mod tender;
mod throttle;
mod tls;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};

use crate::delivery::Sorter;
use crate::message::SpoolOptions;
use crate::smtp;

use errands::Errands;
use managesieve::Hall;
use tender::Tender;

pub use doors::{BindError, Doors, Listen, Place, Protocol};
pub use managesieve::{Options as ManageSieve, Plaintext};
pub use tls::{Certificate, TlsError};

pub(crate) use handover::{failure, record, refuse};

/// Threads beside those of deliveries, for lookups at RCPT TO.
const LOOKUPS: usize = 32;

/// How the server treats its connections.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; further ones get 421.
    pub connections: usize,
    /// Deliveries at once; others wait.
    pub deliveries: usize,
    /// How long a peer may be silent.
    pub idle: Duration,
    /// Where messages wait until they are complete.
    pub spool: SpoolOptions,
    /// What sessions say and bear; each door sets its own protocol.
    pub session: smtp::Options,
    /// How users come to their scripts.
    pub managesieve: ManageSieve,
}

/// What all connections share.
struct Shared {
    sorter: Arc<Sorter>,
    options: Options,
    deliveries: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    hall: Arc<Hall>,
    tender: Tender,
    errands: Errands,
}

/// Serves until SIGTERM or SIGINT, and returns when the last session has ended and the last
/// errand is run.
///
/// # Errors
/// Where the system refuses threads, signals or the sockets.
pub fn run(doors: Doors, sorter: Sorter, options: Options) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(options.deliveries + LOOKUPS + managesieve::LOGINS + managesieve::REQUESTS)
        .build()?;
    let sorter = Arc::new(sorter);
    let shared = Arc::new(Shared {
        tender: Tender::start(sorter.clone()),
        errands: Errands::new(sorter.clone()),
        sorter,
        deliveries: Arc::new(Semaphore::new(options.deliveries.max(1))),
        connections: Arc::new(Semaphore::new(options.connections.max(1))),
        hall: Arc::new(Hall::new(options.managesieve.clone())),
        options,
    });
    // The runtime goes when its threads have ended; what they share goes with the last, and waits for the errands.
    runtime.block_on(serve(doors, shared))
}

async fn serve(doors: Doors, shared: Arc<Shared>) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, stopping) = watch::channel(false);
    // Each connection holds a sender; when the last is gone, so are the connections.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    for door in doors.open()? {
        tokio::spawn(door.accept(shared.clone(), stopping.clone(), alive.clone()));
    }
    drop((alive, stopping));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                tracing::warn!("SIGHUP: a changed configuration needs a restart; a changed certificate does not");
                shared.hall.reload();
            }
        }
    }
    tracing::info!("stopping: sessions in a message finish it");
    let _ = stop.send(true);
    tokio::select! {
        _ = ended.recv() => tracing::info!("stopped"),
        _ = terminate.recv() => tracing::warn!("stopped at once: told so twice"),
        _ = interrupt.recv() => tracing::warn!("stopped at once: told so twice"),
    }
    Ok(())
}

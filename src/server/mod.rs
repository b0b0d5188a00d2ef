//! The doors: listeners and connections. Here, and only here, it is async.
//!
//! Called by `cli::serve`: [`Doors::bind`] opens the sockets while there is still the
//! right to, [`run`] serves until the process is told to stop (SIGTERM, SIGINT).
//! Sessions in the middle of a message finish it; all others get 421 4.3.2. Told a second
//! time, it waits for no session, only for deliveries that have begun.
//!
//! `accept` lets peers in: who may (`networks`), how many (`peers`), and for whom a proxy comes (`proxy`). `connection` is
//! one of LMTP or SMTP, over TLS by `tls`; `handover` makes deliveries of messages, as it is their turn (`turns`). Accounts
//! to which something was delivered are tended by `tender` once they are quiet. Vacation replies, notifications and
//! warnings are sent by `errands`, behind the deliveries. Users come to their scripts by `managesieve`; `throttle` makes
//! guessing of passwords slow, and `scripts` is what is done for them.
//!
//! Told so by SIGHUP, or by `postroom reload` (`control`), it takes a new [`Site`]: connections that are open keep the
//! one they came under. The service manager is told of all this by `notify`.
//!
//! `cli::deliver` logs and reports what became of its one recipient by `handover` too.

mod accept;
mod alarm;
mod connection;
mod control;
mod doors;
mod errands;
mod handover;
mod managesieve;
mod networks;
mod notify;
mod peers;
mod proxy;
mod reload;
mod scripts;
mod tender;
mod throttle;
mod tls;
mod turns;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::delivery::Sorter;
use crate::message::{Pool, SpoolOptions};
use crate::smtp;

use control::Listener;
use errands::Errands;
use managesieve::{Desk, Hall};
use notify::Manager;
use peers::Peers;
use reload::OpenDoors;
use tender::Tender;
use turns::Turns;

pub use control::{Control, ControlError};
pub use doors::{BindError, Doors, Listen, Passed, Place, Protocol, Security};
pub use managesieve::{Options as ManageSieve, Plaintext};
pub use networks::{Network, NetworkError};
pub use reload::{Reread, Site};
pub use tls::{Certificate, Clients, TlsError, TlsOptions};
pub use turns::Bounds;

pub(crate) use handover::{failure, record, refuse};

/// Threads that may block. Far more than ever do: `turns` and the number of connections bound those.
const THREADS: usize = 4096;
/// Notifications of refused recipients that are handed over at once, while their senders wait.
const REPORTS: Bounds = Bounds {
    at_once: 16,
    of_one: 16,
    waiting: 64,
    waiting_of_one: 64,
    patience: Duration::from_secs(30),
};

/// How the server treats its connections.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; further ones get 421.
    pub connections: usize,
    /// Connections at once from one peer; further ones get 421.
    pub connections_per_peer: usize,
    /// Deliveries at once, by account, and those that wait.
    pub deliveries: Bounds,
    /// Recipients that are looked up at once; others wait.
    pub lookups: usize,
    /// How long a recipient may take to be looked up.
    pub lookup_timeout: Duration,
    /// How long a peer may be silent.
    pub idle: Duration,
    /// How long a transaction may take until its message is complete.
    pub transaction: Duration,
    /// Where messages wait until they are complete.
    pub spool: SpoolOptions,
    /// Bytes that all messages together hold in memory.
    pub memory: usize,
    /// What sessions say and bear; each door sets its own protocol.
    pub session: smtp::Options,
    /// How users come to their scripts.
    pub managesieve: ManageSieve,
    /// What doors with TLS show.
    pub certificate: Option<Arc<Certificate>>,
}

/// What all connections share, whatever the configuration says.
struct House {
    peers: Arc<Peers>,
    /// Those of ManageSieve.
    users: Arc<Peers>,
    /// By account.
    deliveries: Arc<Turns<String>>,
    /// By address.
    lookups: Arc<Turns<String>>,
    reports: Arc<Turns<()>>,
    memory: Arc<Pool>,
    desk: Arc<Desk>,
    tender: Tender,
    errands: Errands,
}

/// What connections share that came under one configuration.
struct Shared {
    house: Arc<House>,
    sorter: Arc<Sorter>,
    options: Options,
    hall: Arc<Hall>,
}

/// Serves until SIGTERM or SIGINT, and returns when the last session has ended and the last
/// errand is run. `reread` is called for each reload; `control` is where `postroom reload` asks for one.
///
/// # Errors
/// Where the system refuses threads, signals or the sockets.
pub fn run(doors: Doors, site: Site, reread: Reread, control: Option<Control>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .build()?;
    let house = Arc::new(House::new(&site.options));
    let served = runtime.block_on(serve(doors, site, reread, control, house.clone()));
    // It goes when its threads have ended; what they shared goes after them, and waits for the errands.
    drop(runtime);
    drop(house);
    served
}

async fn serve(
    doors: Doors,
    site: Site,
    reread: Reread,
    control: Option<Control>,
    house: Arc<House>,
) -> io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let control = control.map_or_else(|| Ok(Listener::none()), Control::listen)?;
    let manager = Manager::find();
    let (stop, stopping) = watch::channel(false);
    // Each connection holds a sender; when the last is gone, so are the connections.
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let mut open = OpenDoors::new(doors, site, reread, house, stopping, alive)?;
    manager.ready(&open.status());
    let mut watchdog = watchdog();
    loop {
        let asker = tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => None,
            asker = control.asked() => Some(asker),
            () = watchdog.due() => {
                if runs().await {
                    manager.alive();
                }
                continue;
            }
        };
        manager.reloading();
        let result = open.reload().await;
        manager.ready(&open.status());
        if let Some(asker) = asker {
            asker.answer(&result).await;
        }
    }
    tracing::info!("stopping: sessions in a message finish it");
    manager.stopping();
    let _ = stop.send(true);
    drop(open);
    loop {
        tokio::select! {
            _ = ended.recv() => {
                tracing::info!("stopped");
                return Ok(());
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = watchdog.due() => manager.alive(),
        }
    }
    tracing::warn!("stopped at once: told so twice");
    Ok(())
}

// A task of its own comes to its turn, and a thread to block: the runtime does what it is there for.
async fn runs() -> bool {
    let thread = tokio::spawn(async { tokio::task::spawn_blocking(|| ()).await });
    thread.await.is_ok_and(|ended| ended.is_ok())
}

/// When the service manager wants to hear of us, if it does.
struct Watchdog(Option<tokio::time::Interval>);

fn watchdog() -> Watchdog {
    Watchdog(notify::watchdog().map(|period| {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        interval
    }))
}

impl Watchdog {
    async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => std::future::pending().await,
        }
    }
}

impl House {
    fn new(options: &Options) -> House {
        House {
            peers: Arc::default(),
            users: Arc::default(),
            deliveries: Arc::new(Turns::new(options.deliveries)),
            lookups: Arc::new(Turns::new(options.lookups())),
            reports: Arc::new(Turns::new(REPORTS)),
            memory: Arc::new(Pool::new(options.memory)),
            desk: Arc::default(),
            tender: Tender::start(),
            errands: Errands::new(),
        }
    }

    /// Keeps to other bounds from now on.
    fn set(&self, options: &Options) {
        self.deliveries.set(options.deliveries);
        self.lookups.set(options.lookups());
        self.memory.set(options.memory);
    }
}

impl Options {
    // One address takes no more than a quarter: its account may be locked, or what it is looked up in may hang.
    fn lookups(&self) -> Bounds {
        Bounds {
            at_once: self.lookups,
            of_one: self.lookups.div_ceil(4),
            waiting: self.lookups.saturating_mul(8),
            waiting_of_one: self.lookups.saturating_mul(2),
            patience: self.lookup_timeout,
        }
    }
}

impl Shared {
    fn new(house: &Arc<House>, sorter: Sorter, options: Options) -> Shared {
        Shared {
            hall: Arc::new(Hall::new(options.managesieve.clone(), house.desk.clone())),
            house: house.clone(),
            sorter: Arc::new(sorter),
            options,
        }
    }
}

/// The sorting table closes its indexes with it, for which no other connection should wait.
impl Drop for Shared {
    fn drop(&mut self) {
        let sorter = self.sorter.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(sorter));
        }
    }
}

//! One connection of ManageSieve: bytes in, steps of the session, bytes out.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::directory::{Found, LookupError};
use crate::mail::Cause;
use crate::managesieve::{self, Answer, Credentials, Protection, Refusal, Reply, Request, Session, Step};
use crate::sieve::StorageOptions;
use crate::telemetry::clean;

use super::Shared;
use super::connection::Input;
use super::doors::Stream;
use super::scripts::carry_out;
use super::throttle::Throttle;
use super::tls::{Certificate, Comer};

/// Bytes read at a time.
const ROOM: usize = 16 * 1024;
/// How long somebody may stay who does not log in, or was not asked to yet.
const LOGIN_WITHIN: Duration = Duration::from_secs(300);
/// Passwords that are looked at at once: each may take 64 MiB of memory.
const LOGINS: usize = 4;
/// Requests that are carried out at once.
const REQUESTS: usize = 8;

/// How users come to their scripts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at once; further ones get BYE.
    pub connections: usize,
    /// How long a user who is logged in may be silent.
    pub idle: Duration,
    /// Where passwords may come without TLS.
    pub plaintext: Plaintext,
    /// How much a user may keep.
    pub storage: StorageOptions,
    /// What sessions say and bear.
    pub session: managesieve::Options,
    /// What TLS shows; none: there is no TLS.
    pub certificate: Option<Arc<Certificate>>,
}

/// Where passwords may come without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plaintext {
    /// Over the loopback interface and Unix sockets.
    Loopback,
    /// From everywhere.
    Always,
    /// From nowhere.
    Never,
}

/// What all connections share, whatever the configuration says.
pub(super) struct Desk {
    logins: Semaphore,
    requests: Semaphore,
    throttle: Throttle,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk {
            logins: Semaphore::new(LOGINS),
            requests: Semaphore::new(REQUESTS),
            throttle: Throttle::default(),
        }
    }
}

/// What connections share that came under one configuration.
pub(super) struct Hall {
    pub(super) options: Options,
    session: Arc<managesieve::Options>,
    desk: Arc<Desk>,
}

impl Hall {
    pub(super) fn new(options: Options, desk: Arc<Desk>) -> Hall {
        Hall {
            session: Arc::new(options.session.clone()),
            desk,
            options,
        }
    }

    fn protection(&self, peer: Option<IpAddr>) -> Protection {
        Protection {
            has_certificate: self.options.certificate.is_some(),
            tls: false,
            plaintext: match self.options.plaintext {
                Plaintext::Always => true,
                Plaintext::Never => false,
                Plaintext::Loopback => peer.is_none_or(|peer| peer.is_loopback()),
            },
        }
    }
}

/// A connection, and who is logged in over it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    hall: Arc<Hall>,
    session: Session,
    stopping: watch::Receiver<bool>,
    peer: Option<IpAddr>,
    input: Input,
    output: Vec<u8>,
    owner: Option<Found>,
    /// Since when nobody is logged in.
    stranger_since: Instant,
}

/// What the peer's silence ended in.
enum Heard {
    Bytes,
    Closed,
    TimedOut,
    Stopping,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        hall: Arc<Hall>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<bool>,
    ) -> Connection {
        Connection {
            session: Session::new(hall.session.clone(), hall.protection(peer)),
            shared,
            hall,
            stopping,
            peer,
            input: Input::default(),
            output: Vec::new(),
            owner: None,
            stranger_since: Instant::now(),
        }
    }

    /// Speaks with the peer until one of both has enough.
    pub(super) async fn run(mut self, stream: Box<dyn Stream>) {
        if let Err(error) = self.converse(stream).await {
            tracing::debug!(%error, "connection lost");
        }
    }

    async fn converse(&mut self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        self.say(&self.session.greeting());
        loop {
            let (consumed, step) = self.session.next(self.input.unread());
            self.input.consume(consumed);
            match step {
                Step::NeedMore => {
                    self.flush(&mut stream).await?;
                    match self.listen(&mut stream).await? {
                        Heard::Bytes => {}
                        Heard::Closed => return Ok(()),
                        Heard::TimedOut => return self.part(&mut stream, &Reply::idle()).await,
                        Heard::Stopping => return self.part(&mut stream, &Reply::shutting_down()).await,
                    }
                }
                Step::Reply(reply) => self.say(&reply),
                Step::StartTls => {
                    self.flush(&mut stream).await?;
                    // RFC 5804 §2.2: who wrote these bytes may be another than who speaks TLS.
                    self.input = Input::default();
                    stream = self.secure(stream).await?;
                    self.session.secured();
                }
                Step::Authenticate(credentials) => self.log_in(credentials).await,
                Step::Request(request) => {
                    let answer = self.carry_out(request).await;
                    self.session.answer(&answer);
                    // A pipeline of requests would gather script upon script.
                    self.flush(&mut stream).await?;
                }
                Step::Close(reply) => return self.part(&mut stream, &reply).await,
            }
        }
    }

    async fn secure(&self, stream: Box<dyn Stream>) -> io::Result<Box<dyn Stream>> {
        // The session offers STARTTLS only where there is a certificate.
        let certificate = self.hall.options.certificate.as_ref();
        let certificate = certificate.ok_or(io::ErrorKind::Unsupported)?;
        let (secured, _) = certificate.accept(stream, Comer::User).await?;
        Ok(secured)
    }

    async fn log_in(&mut self, credentials: Credentials) {
        let user = credentials.user.clone();
        match self.authenticated(credentials).await {
            Ok(Some(found)) => {
                self.hall.desk.throttle.forgive(self.peer, &user);
                tracing::info!("managesieve: login from {}: {}", peer_of(self.peer), found.user);
                self.session.logged_in(&found.user);
                self.owner = Some(found);
            }
            Ok(None) => {
                // One line, whose form docs/MANAGESIEVE.md promises to programs that read logs.
                tracing::warn!(
                    "managesieve: login failed from {}: user {:?}",
                    peer_of(self.peer),
                    clean(&user)
                );
                tokio::time::sleep(self.hall.desk.throttle.blame(self.peer, &user)).await;
                self.session.login_refused();
            }
            Err(error) => {
                tracing::error!("managesieve: nobody can log in: {}", Cause::of(&error));
                self.session.login_deferred();
            }
        }
    }

    async fn authenticated(&self, credentials: Credentials) -> Result<Option<Found>, LookupError> {
        let _place = self.hall.desk.logins.acquire().await;
        let shared = self.shared.clone();
        let Credentials { user, password } = credentials;
        let name = user.clone();
        let looked_up = tokio::task::spawn_blocking(move || shared.sorter.directory().authenticate(&user, &password));
        looked_up.await.unwrap_or_else(|panic| {
            Err(LookupError::Unreadable {
                address: name,
                source_name: "the directory".to_owned(),
                cause: Box::new(panic),
            })
        })
    }

    async fn carry_out(&self, request: Request) -> Answer {
        // The session asks only for who is logged in.
        let Some(found) = self.owner.clone() else {
            return Answer::Refused(Refusal::TryLater);
        };
        let _place = self.hall.desk.requests.acquire().await;
        let (shared, storage) = (self.shared.clone(), self.hall.options.storage.clone());
        let done = tokio::task::spawn_blocking(move || carry_out(&shared.sorter, &storage, &found, request));
        done.await.unwrap_or_else(|panic| {
            tracing::error!(%panic, "a thread that changes scripts died");
            Answer::Refused(Refusal::TryLater)
        })
    }

    async fn listen(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<Heard> {
        let limit = match self.session.is_logged_in() {
            true => {
                self.stranger_since = Instant::now();
                self.hall.options.idle
            }
            false => LOGIN_WITHIN.saturating_sub(self.stranger_since.elapsed()),
        };
        let buffer = self.input.room(ROOM);
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop) => Ok(Heard::Stopping),
            read = timeout(limit, stream.read_buf(buffer)) => match read {
                Ok(read) => Ok(if read? == 0 { Heard::Closed } else { Heard::Bytes }),
                Err(_) => Ok(Heard::TimedOut),
            },
        }
    }

    fn say(&mut self, reply: &Reply) {
        self.output.extend_from_slice(reply.bytes());
    }

    async fn part(&mut self, stream: &mut Box<dyn Stream>, reply: &Reply) -> io::Result<()> {
        self.say(reply);
        self.flush(stream).await?;
        stream.shutdown().await
    }

    // A peer that does not read is silent too.
    async fn flush(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(LOGIN_WITHIN, async {
            stream.write_all(&self.output).await?;
            stream.flush().await
        });
        written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.output = Vec::new();
        Ok(())
    }
}

fn peer_of(peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| "a Unix socket".to_owned(), |peer| peer.to_string())
}

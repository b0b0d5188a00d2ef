//! What happens at a door before anybody speaks: who may come in, how many, and for whom a proxy comes.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::mail::Tls;
use crate::smtp::{self, Reply};

use super::connection::Connection;
use super::doors::{Listen, Listener, Protocol, Security, Stream};
use super::proxy::{self, Header, Origin};
use super::tls::{Certificate, Comer};
use super::{Shared, managesieve};

/// After a failed accept(2), such as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// How long a proxy may take to say for whom it comes.
const PROXY_WITHIN: Duration = Duration::from_secs(5);
/// How long a peer may take to hear that it may not come in.
const FAREWELL: Duration = Duration::from_secs(5);

/// A door as the present configuration has it.
pub(super) struct Terms {
    shared: Arc<Shared>,
    listen: Listen,
    session: Arc<smtp::Options>,
    certificate: Option<Arc<Certificate>>,
}

/// An open door: told other terms it keeps to them, told none it closes.
pub(super) struct OpenDoor {
    pub(super) listen: Listen,
    pub(super) terms: watch::Sender<Option<Arc<Terms>>>,
}

/// Somebody at the door.
struct Visit {
    terms: Arc<Terms>,
    peer: Option<IpAddr>,
    stopping: watch::Receiver<bool>,
}

/// Why somebody is not let in.
enum Turned {
    /// After these words, which stand where the greeting would.
    Away(Reply),
    /// Without a word.
    Silently,
}

impl Terms {
    pub(super) fn new(shared: Arc<Shared>, listen: Listen) -> Terms {
        let mut session = shared.options.session.clone();
        if let Protocol::Mail(door) = listen.protocol {
            session.door = door;
        }
        session.starttls = matches!(listen.security, Security::StartTls | Security::Required);
        session.require_tls = listen.security == Security::Required;
        Terms {
            session: Arc::new(session),
            certificate: shared.options.certificate.clone(),
            listen,
            shared,
        }
    }

    fn trusts(&self, peer: Option<IpAddr>) -> bool {
        self.listen.trusted.iter().any(|network| network.has(peer))
    }

    // Who may write to a Unix socket is said by its permissions.
    fn allows(&self, peer: Option<IpAddr>) -> bool {
        peer.is_none() || self.listen.allow.iter().any(|network| network.has(peer))
    }
}

impl OpenDoor {
    /// Lets peers in, in a task of its own that ends when the server stops or the door is closed.
    pub(super) fn open(
        listener: Listener,
        terms: Terms,
        stopping: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> OpenDoor {
        let listen = terms.listen.clone();
        let (terms, present) = watch::channel(Some(Arc::new(terms)));
        tokio::spawn(accept(listener, present, stopping, alive));
        OpenDoor { listen, terms }
    }
}

async fn accept(
    listener: Listener,
    mut present: watch::Receiver<Option<Arc<Terms>>>,
    mut stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopping.wait_for(|stop| *stop) => return,
            _ = present.wait_for(Option::is_none) => return,
            accepted = listener.accept() => accepted,
        };
        let terms = present.borrow().clone();
        match (accepted, terms) {
            (Ok((stream, peer)), Some(terms)) => {
                let (stopping, alive) = (stopping.clone(), alive.clone());
                let visit = Visit { terms, peer, stopping };
                tokio::spawn(async move {
                    let _alive = alive;
                    visit.receive(stream).await;
                });
            }
            (Err(error), _) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files if that is the cause");
                tokio::time::sleep(BREATH).await;
            }
            (Ok(_), None) => return,
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Some(peer.ip().to_canonical())))
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

impl Visit {
    async fn receive(mut self, mut stream: Box<dyn Stream>) {
        let shared = &self.terms.shared;
        let (house, options) = (shared.house.clone(), &shared.options);
        let is_mail = self.terms.listen.protocol != Protocol::ManageSieve;
        // Users come by webmail, which is one peer for many.
        let (peers, most, of_one) = match is_mail {
            true => (&house.peers, options.connections, options.connections_per_peer),
            false => (&house.users, options.managesieve.connections, usize::MAX),
        };
        let Some(mut place) = peers.enter(most.max(1)) else {
            return self
                .turn_away(stream, Turned::Away(Reply::too_many_connections()))
                .await;
        };
        if let Err(turned) = self.identify(&mut stream).await {
            return self.turn_away(stream, turned).await;
        }
        if !place.count(self.peer, of_one) {
            tracing::warn!(peer = %named(self.peer), "refused: it has {of_one} connections already");
            return self.turn_away(stream, Turned::Away(Reply::too_many_of_one())).await;
        }
        match self.terms.listen.protocol {
            Protocol::Mail(_) => self.take_mail(stream).await,
            Protocol::ManageSieve => {
                let (shared, hall) = (self.terms.shared.clone(), self.terms.shared.hall.clone());
                let connection = managesieve::Connection::new(shared, hall, self.peer, self.stopping);
                connection.run(stream).await;
            }
        }
    }

    /// Who it is, and whether that one may come in.
    async fn identify(&mut self, stream: &mut Box<dyn Stream>) -> Result<(), Turned> {
        let is_proxy = self.terms.listen.proxy && self.terms.trusts(self.peer);
        if is_proxy {
            let proxy = self.peer;
            match self.origin(stream).await {
                // To see whether we live; it may come in by itself.
                Ok(Some(Origin::Proxy)) => return Ok(()),
                Ok(Some(Origin::Address(address))) => self.peer = Some(address),
                Ok(Some(Origin::Unix)) => self.peer = None,
                // It went, as those do that look whether a port is open.
                Ok(None) => return Err(Turned::Silently),
                Err(error) => {
                    tracing::warn!(proxy = %named(proxy), "closed: no header of the PROXY protocol: {error}");
                    return Err(Turned::Silently);
                }
            }
        }
        if self.terms.allows(self.peer) {
            return Ok(());
        }
        tracing::warn!(
            peer = %named(self.peer),
            "refused: `allow` of the [[listen]] section at {} does not name it", self.terms.listen.place
        );
        Err(Turned::Away(Reply::not_allowed()))
    }

    // No octet behind the header is read: it may be the first of TLS.
    async fn origin(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<Option<Origin>> {
        let header = async {
            let mut seen = Vec::new();
            loop {
                match proxy::read(&seen).map_err(io::Error::other)? {
                    Header::Of(origin) => return Ok(Some(origin)),
                    Header::Wants(more) => {
                        if stream.take(more as u64).read_buf(&mut seen).await? > 0 {
                            continue;
                        }
                    }
                }
                return match seen.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        };
        tokio::select! {
            header = timeout(PROXY_WITHIN, header) => header.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            _ = self.stopping.wait_for(|stop| *stop) => Ok(None),
        }
    }

    async fn take_mail(mut self, stream: Box<dyn Stream>) {
        let (stream, tls) = match self.terms.listen.security {
            Security::Implicit => match self.secure(stream).await {
                Ok((stream, tls)) => (stream, Some(tls)),
                Err(error) => return tracing::info!(peer = %named(self.peer), "no TLS came about: {error}"),
            },
            _ => (stream, None),
        };
        let Terms {
            shared,
            session,
            certificate,
            ..
        } = &*self.terms;
        let connection = Connection::new(
            shared.clone(),
            session.clone(),
            self.peer,
            self.terms.trusts(self.peer),
            certificate.clone(),
            self.stopping,
        );
        connection.run(stream, tls).await;
    }

    async fn secure(&mut self, stream: Box<dyn Stream>) -> io::Result<(Box<dyn Stream>, Tls)> {
        // The configuration was checked for it.
        let certificate = self.terms.certificate.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        tokio::select! {
            secured = certificate.accept(stream, Comer::Mta) => secured,
            _ = self.stopping.wait_for(|stop| *stop) => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    async fn turn_away(self, mut stream: Box<dyn Stream>, turned: Turned) {
        let words = match (turned, self.terms.listen.protocol, self.terms.listen.security) {
            // Words in the clear mean nothing to who waits for TLS, and a handshake is too much for who may not come.
            (Turned::Silently, ..) | (_, _, Security::Implicit) => return,
            (Turned::Away(reply), Protocol::Mail(_), _) => reply.to_bytes(),
            (Turned::Away(_), Protocol::ManageSieve, _) => {
                crate::managesieve::Reply::too_many_connections().bytes().to_vec()
            }
        };
        let _ = timeout(FAREWELL, async {
            stream.write_all(&words).await?;
            stream.shutdown().await
        })
        .await;
    }
}

pub(super) fn named(peer: Option<IpAddr>) -> String {
    peer.map_or_else(|| "a Unix socket".to_owned(), |peer| peer.to_string())
}

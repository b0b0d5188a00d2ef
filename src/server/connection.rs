//! One connection: bytes in, steps of the session, bytes out.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::directory::Found;
use crate::mail::{Address, DeliveryId, Outcome, Recipient, ReversePath, Tls};
use crate::message::{Spool, SpoolError};
use crate::smtp::{self, Reply, Session, Step};
use crate::telemetry::clean;

use super::Shared;
use super::accept::named;
use super::alarm::Alarm;
use super::doors::Stream;
use super::handover::{self, Consignment, refuse};
use super::tls::{Certificate, Comer};

/// Bytes read at a time between messages: an idle connection holds no more.
const CALM: usize = 4 * 1024;
/// Bytes read at a time while a message comes in.
const BUSY: usize = 64 * 1024;
/// How long the end of TLS may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Recipients whose accounts are kept between RCPT and the message.
const KEPT: usize = 2000;

/// A connection and the transaction under way in it.
pub(super) struct Connection {
    shared: Arc<Shared>,
    session: Session,
    stopping: watch::Receiver<bool>,
    lmtp: bool,
    input: Input,
    output: Vec<u8>,
    accounts: HashMap<Address, Found>,
    incoming: Option<Incoming>,
    peer: Option<IpAddr>,
    certificate: Option<Arc<Certificate>>,
    /// When the transaction under way must be complete.
    deadline: Option<Instant>,
    /// Ends the wait for a peer that says nothing.
    alarm: Alarm,
    /// Whether the last read filled the room there was: more is waiting.
    flowing: bool,
}

/// A message that is coming in.
struct Incoming {
    spool: Spool,
    begun: Instant,
}

/// What was read and not yet consumed.
#[derive(Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
}

/// What the peer's silence ended in.
enum Heard {
    Bytes,
    Closed,
    TimedOut,
    TooSlow,
    Stopping,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        session: Arc<smtp::Options>,
        peer: Option<IpAddr>,
        is_trusted: bool,
        certificate: Option<Arc<Certificate>>,
        stopping: watch::Receiver<bool>,
    ) -> Connection {
        let lmtp = session.door == smtp::Door::Lmtp;
        let mut session = Session::new(session, peer);
        if is_trusted {
            session.trust_peer();
        }
        Connection {
            lmtp,
            session,
            shared,
            stopping,
            input: Input::default(),
            output: Vec::new(),
            accounts: HashMap::new(),
            incoming: None,
            peer,
            certificate,
            deadline: None,
            alarm: Alarm::default(),
            flowing: false,
        }
    }

    /// Speaks with the peer until one of both has enough.
    pub(super) async fn run(mut self, stream: Box<dyn Stream>, tls: Option<Tls>) {
        if let Some(tls) = tls {
            self.tls_started(tls);
        }
        if let Err(error) = self.converse(stream).await {
            tracing::debug!(peer = %named(self.peer), %error, "connection lost");
        }
    }

    async fn converse(&mut self, mut stream: Box<dyn Stream>) -> io::Result<()> {
        let stream = &mut stream;
        self.say(&self.session.greeting());
        loop {
            self.keep_time();
            let (consumed, step) = self.session.next(self.input.unread());
            match step {
                Step::NeedMore => {
                    self.input.consume(consumed);
                    self.flush(stream).await?;
                    match self.listen(stream).await? {
                        Heard::Bytes => {}
                        Heard::Closed => return Ok(()),
                        Heard::TooSlow => {
                            tracing::warn!(peer = %named(self.peer), "closed: a transaction took too long");
                            return self.part(stream, &Reply::too_slow()).await;
                        }
                        Heard::TimedOut => return self.part(stream, &Reply::idle()).await,
                        Heard::Stopping => return self.part(stream, &Reply::shutting_down()).await,
                    }
                    continue;
                }
                Step::Reply(reply) => self.say(&reply),
                Step::Recipient(recipient) => self.look_up(recipient).await,
                Step::MessageStart => {
                    let spool = Spool::new(&self.shared.options.spool).within(&self.shared.house.memory);
                    self.incoming = Some(Incoming {
                        spool,
                        begun: Instant::now(),
                    });
                }
                Step::Content(range) => self.receive(range),
                Step::MessageDropped => self.incoming = None,
                Step::MessageEnd(envelope) => {
                    // What is said so far must not wait for the deliveries.
                    self.flush(stream).await?;
                    self.hand_over(*envelope).await;
                    // Whatever else is in the pipeline.
                    if *self.stopping.borrow() {
                        return self.part(stream, &Reply::shutting_down()).await;
                    }
                }
                Step::StartTls => {
                    if let Err(error) = self.start_tls(stream).await {
                        tracing::info!(peer = %named(self.peer), "no TLS came about: {error}");
                        return Ok(());
                    }
                    // What was read behind STARTTLS is gone, so nothing of it is consumed.
                    continue;
                }
                Step::Close(reply) => return self.part(stream, &reply).await,
            }
            self.input.consume(consumed);
        }
    }

    fn say(&mut self, reply: &Reply) {
        self.output.extend_from_slice(&reply.to_bytes());
    }

    async fn part(&mut self, stream: &mut Box<dyn Stream>, reply: &Reply) -> io::Result<()> {
        self.say(reply);
        self.flush(stream).await?;
        // With TLS it says that nobody cut anything off.
        let ended = timeout(FAREWELL, stream.shutdown()).await;
        ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    // From MAIL until the message is complete; what follows is ours to do.
    fn keep_time(&mut self) {
        let limit = self.shared.options.transaction;
        match self.session.reverse_path().is_some() {
            true => self.deadline = self.deadline.or_else(|| Instant::now().checked_add(limit)),
            false => self.deadline = None,
        }
    }

    // A peer that does not read is silent too.
    async fn flush(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.shared.options.idle, async {
            stream.write_all(&self.output).await?;
            stream.flush().await
        });
        written.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.output.clear();
        if self.output.capacity() > CALM {
            self.output = Vec::new();
        }
        Ok(())
    }

    async fn listen(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<Heard> {
        let in_message = self.session.in_message();
        // Who sends slowly does not hold much.
        let size = if in_message && self.flowing { BUSY } else { CALM };
        let buffer = self.input.room(size);
        let room = buffer.capacity() - buffer.len();
        let left = self
            .deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let idle = self.shared.options.idle;
        let (limit, at_last) = match left {
            Some(left) if left < idle => (left, Heard::TooSlow),
            _ => (idle, Heard::TimedOut),
        };
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop), if !in_message => Ok(Heard::Stopping),
            read = stream.read_buf(buffer) => {
                let read = read?;
                self.flowing = read == room;
                Ok(if read == 0 { Heard::Closed } else { Heard::Bytes })
            }
            () = self.alarm.after(limit) => Ok(at_last),
        }
    }

    async fn look_up(&mut self, recipient: Recipient) {
        let reverse_path = self.session.reverse_path().cloned().unwrap_or(ReversePath::Null);
        let size = self.session.declared_size().unwrap_or(0);
        let outcome = match self.found(&recipient.address, &reverse_path, size).await {
            Ok(found) => {
                if self.accounts.len() >= KEPT {
                    self.accounts.clear();
                }
                self.accounts.insert(recipient.address, found);
                return self.session.recipient_accepted();
            }
            Err(outcome) => outcome,
        };
        let reply = refuse(
            &outcome,
            &DeliveryId::new(),
            &reverse_path,
            &recipient,
            self.session.client().forwarded.queue_id.as_deref(),
            self.session.smtputf8(),
        );
        self.session.recipient_refused(reply);
    }

    // A directory that hangs, or an account that is locked, must not hold the session up for ever, nor all sessions.
    async fn found(&self, address: &Address, reverse_path: &ReversePath, size: u64) -> Result<Found, Outcome> {
        if let Some(found) = self.shared.sorter.resolve_at_once(address) {
            return found;
        }
        let shared = self.shared.clone();
        let (address, reverse_path) = (address.clone(), reverse_path.clone());
        let looked_up = timeout(self.shared.options.lookup_timeout, async {
            let turn = shared.house.lookups.turn(address.to_string()).await;
            let turn = turn.map_err(|busy| handover::too_busy("lookups of recipients", busy))?;
            let task = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                shared.sorter.resolve(&address, &reverse_path, size)
            });
            task.await.unwrap_or_else(|panic| Err(handover::died(&panic)))
        });
        looked_up.await.unwrap_or_else(|_| Err(handover::too_slow()))
    }

    fn receive(&mut self, range: Range<usize>) {
        let Some(incoming) = &mut self.incoming else { return };
        let content = &self.input.unread()[range];
        let written = match incoming.spool.fits(content.len()) {
            true => incoming.spool.write(content),
            // It goes to a file: other connections must not wait for that.
            false => tokio::task::block_in_place(|| incoming.spool.write(content)),
        };
        if let Err(error) = written {
            self.incoming = None;
            self.session.message_refused(spool_failed(&error));
        }
    }

    async fn hand_over(&mut self, envelope: crate::mail::Envelope) {
        let Some(Incoming { spool, begun }) = self.incoming.take() else {
            return;
        };
        let utf8 = envelope.smtputf8;
        let accounts = std::mem::take(&mut self.accounts);
        let recipients = envelope.recipients.len();
        let finished = match spool.is_in_memory() {
            true => spool.finish(),
            // The rest of it goes to a file.
            false => tokio::task::block_in_place(|| spool.finish()),
        };
        let replies = match finished {
            Ok(message) => {
                let consignment = Consignment::new(self.shared.clone(), message, envelope, accounts, begun);
                if self.lmtp {
                    consignment.lmtp_replies(utf8).await
                } else {
                    consignment.smtp_replies(utf8).await
                }
            }
            Err(error) => vec![spool_failed(&error); if self.lmtp { recipients } else { 1 }],
        };
        for reply in &replies {
            self.say(reply);
        }
        self.input.calm();
    }
}

impl Connection {
    // RFC 3207 §4.2: what was said and learnt in the clear is forgotten, and so is what was read behind STARTTLS.
    async fn start_tls(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        self.flush(stream).await?;
        self.input = Input::default();
        // The session offers it only where there is a certificate.
        let certificate = self.certificate.clone().ok_or(io::ErrorKind::Unsupported)?;
        let clear = std::mem::replace(stream, Box::new(tokio::io::empty()));
        let (secured, tls) = tokio::select! {
            secured = certificate.accept(clear, Comer::Mta) => secured?,
            _ = self.stopping.wait_for(|stop| *stop) => return Err(io::ErrorKind::Interrupted.into()),
        };
        *stream = secured;
        self.tls_started(tls);
        Ok(())
    }

    fn tls_started(&mut self, tls: Tls) {
        if let Some(certificate) = &tls.peer {
            tracing::info!(peer = %named(self.peer), certificate = %clean(certificate), "came with a certificate");
        }
        self.session.tls_started(tls);
    }
}

fn spool_failed(error: &SpoolError) -> Reply {
    let id = DeliveryId::new();
    let outcome = handover::spool_outcome(error);
    tracing::error!(%id, cause = %crate::mail::Cause::of(error), "cannot spool a message");
    Reply::of(&outcome, &id, false)
}

impl Input {
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(super) fn consume(&mut self, consumed: usize) {
        self.start += consumed;
    }

    // Room behind what is unread, which is less than a command line long.
    pub(super) fn room(&mut self, size: usize) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve(size);
        &mut self.bytes
    }

    // After a message: back to the size of an idle connection.
    fn calm(&mut self) {
        if self.bytes.capacity() > 2 * CALM {
            self.bytes.drain(..self.start);
            self.start = 0;
            self.bytes.shrink_to(CALM);
        }
    }
}

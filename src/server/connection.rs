//! One connection: bytes in, steps of the session, bytes out.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

use crate::directory::Found;
use crate::mail::{Address, DeliveryId, Recipient};
use crate::message::{Spool, SpoolError};
use crate::smtp::{self, Reply, Session, Step};

use super::Shared;
use super::doors::Stream;
use super::handover::{Consignment, refuse};

/// Bytes read at a time between messages: an idle connection holds no more.
const CALM: usize = 4 * 1024;
/// Bytes read at a time while a message comes in.
const BUSY: usize = 64 * 1024;
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
    Stopping,
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        session: Arc<smtp::Options>,
        peer: Option<IpAddr>,
        stopping: watch::Receiver<bool>,
    ) -> Connection {
        Connection {
            lmtp: session.door == smtp::Door::Lmtp,
            session: Session::new(session, peer),
            shared,
            stopping,
            input: Input::default(),
            output: Vec::new(),
            accounts: HashMap::new(),
            incoming: None,
        }
    }

    /// Speaks with the peer until one of both has enough.
    pub(super) async fn run(mut self, mut stream: Box<dyn Stream>) {
        let places = self.shared.connections.clone();
        let Ok(_place) = places.try_acquire() else {
            let _ = stream.write_all(&Reply::too_many_connections().to_bytes()).await;
            return;
        };
        if let Err(error) = self.converse(&mut stream).await {
            tracing::debug!(%error, "connection lost");
        }
        let _ = stream.shutdown().await;
    }

    async fn converse(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        self.say(&self.session.greeting());
        loop {
            let (consumed, step) = self.session.next(self.input.unread());
            match step {
                Step::NeedMore => {
                    self.input.consume(consumed);
                    self.flush(stream).await?;
                    match self.listen(stream).await? {
                        Heard::Bytes => {}
                        Heard::Closed => return Ok(()),
                        Heard::TimedOut => return self.part(stream, &Reply::idle()).await,
                        Heard::Stopping => return self.part(stream, &Reply::shutting_down()).await,
                    }
                    continue;
                }
                Step::Reply(reply) => self.say(&reply),
                Step::Recipient(recipient) => self.look_up(recipient).await,
                Step::MessageStart => {
                    let spool = Spool::new(&self.shared.options.spool);
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
                    self.hand_over(envelope).await;
                    // Whatever else is in the pipeline.
                    if *self.stopping.borrow() {
                        return self.part(stream, &Reply::shutting_down()).await;
                    }
                }
                // No door offers it.
                Step::StartTls => return Ok(()),
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
        self.flush(stream).await
    }

    // A peer that does not read is silent too.
    async fn flush(&mut self, stream: &mut Box<dyn Stream>) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = tokio::time::timeout(self.shared.options.idle, async {
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
        let buffer = self.input.room(if in_message { BUSY } else { CALM });
        let limit = self.shared.options.idle;
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stop| *stop), if !in_message => Ok(Heard::Stopping),
            read = tokio::time::timeout(limit, stream.read_buf(buffer)) => match read {
                Ok(read) => Ok(if read? == 0 { Heard::Closed } else { Heard::Bytes }),
                Err(_) => Ok(Heard::TimedOut),
            },
        }
    }

    async fn look_up(&mut self, recipient: Recipient) {
        let shared = self.shared.clone();
        let reverse_path = self
            .session
            .reverse_path()
            .cloned()
            .unwrap_or(crate::mail::ReversePath::Null);
        let size = self.session.declared_size().unwrap_or(0);
        let (address, from) = (recipient.address.clone(), reverse_path.clone());
        let looked_up = tokio::task::spawn_blocking(move || shared.sorter.resolve(&address, &from, size)).await;
        let outcome = match looked_up {
            Ok(Ok(found)) => {
                if self.accounts.len() >= KEPT {
                    self.accounts.clear();
                }
                self.accounts.insert(recipient.address, found);
                return self.session.recipient_accepted();
            }
            Ok(Err(outcome)) => outcome,
            Err(panic) => super::handover::died(&panic),
        };
        let reply = refuse(
            &outcome,
            &DeliveryId::new(),
            &reverse_path,
            &recipient,
            self.session.smtputf8(),
        );
        self.session.recipient_refused(reply);
    }

    fn receive(&mut self, range: Range<usize>) {
        let Some(incoming) = &mut self.incoming else { return };
        let content = &self.input.unread()[range];
        let in_memory = self.shared.options.spool.memory as u64;
        let written = match incoming.spool.len() + content.len() as u64 > in_memory {
            // It goes to a file: other connections must not wait for that.
            true => tokio::task::block_in_place(|| incoming.spool.write(content)),
            false => incoming.spool.write(content),
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
        let replies = match tokio::task::block_in_place(|| spool.finish()) {
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

fn spool_failed(error: &SpoolError) -> Reply {
    let id = DeliveryId::new();
    let outcome = super::handover::spool_outcome(error);
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

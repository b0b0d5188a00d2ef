//! The counter: SMTP (RFC 5321) as final delivery and LMTP (RFC 2033), without sockets.
//!
//! Called by `server`, which owns the connection and the clock, and by
//! `submission` and `cli::send`, which speak the other side through [`client`].
//!
//! A [`Session`] is pulled: the server keeps the bytes it has read, shows them to
//! [`Session::next`], acts on the [`Step`] and forgets what was consumed.
//!
//! ```text
//! write(session.greeting())
//! loop {
//!     let (consumed, step) = session.next(&buffer);
//!     match step {
//!         NeedMore         => { write what is gathered; consume; read more into the buffer }
//!         Reply(reply)     => gather reply.to_bytes()
//!         Recipient(r)     => look r up; session.recipient_accepted() or session.recipient_refused(reply)
//!         MessageStart     => spool = new, or session.message_refused(reply)
//!         Content(range)   => spool.write(&buffer[range]), or session.message_refused(reply)
//!         MessageDropped   => spool = none
//!         MessageEnd(e)    => deliver; write one reply for each recipient (LMTP), or `one_reply` or `prdr_replies` (SMTP)
//!         StartTls         => write what is gathered; forget all bytes read; handshake; session.tls_started(tls)
//!         Close(reply)     => write reply; close
//!     }
//!     forget `consumed` bytes of the buffer
//! }
//! ```
//!
//! Every path ends in a [`Step::Close`], or in the server's own decision: idle
//! ([`Reply::idle`]), shutting down ([`Reply::shutting_down`]), connection lost.
//! No input makes it panic, and none makes it keep more than one command line and
//! the envelope.

pub mod client;
mod command;
mod content;
mod forward;
mod path;
mod reply;
mod session;
#[cfg(test)]
mod transcripts;
mod xtext;

pub use content::{DotDecoder, DotEncoder, DotEvent, LineEnds};
pub use reply::{EnhancedStatus, Reply, enhanced_status, one_reply, prdr_replies};
pub use session::{Session, Step};

/// Which of the two protocols a door speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// LMTP: LHLO, and one reply for each recipient after the message (RFC 2033).
    Lmtp,
    /// SMTP: HELO or EHLO, and one reply for all (RFC 5321).
    Smtp,
}

/// What a [`Session`] says and how much it bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The protocol.
    pub door: Door,
    /// Our name in greetings.
    pub hostname: String,
    /// Bytes a message may have, as counted by RFC 1870; 0: no limit.
    pub message_size: u64,
    /// Recipients a message may have; more are 452 4.5.3.
    pub recipients: usize,
    /// Octets a command line may have, its CRLF included (RFC 5321 §4.5.3.1.4 asks
    /// for 512; the parameters of extensions add to that).
    pub command_line: usize,
    /// Bad commands since the last message; one more is 421 4.7.0, and we close.
    pub errors: usize,
    /// Commands and refused recipients since the last message; one more is 421 4.7.0.
    pub commands_without_mail: usize,
    /// Whether STARTTLS is offered (RFC 3207).
    pub starttls: bool,
    /// Whether mail is taken within TLS alone; before it all but a few commands are 530 5.7.0 (RFC 3207 §4).
    pub require_tls: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            door: Door::Lmtp,
            hostname: "localhost".to_owned(),
            message_size: 0,
            recipients: 1000,
            command_line: 4096,
            errors: 20,
            commands_without_mail: 1000,
            starttls: false,
            require_tls: false,
        }
    }
}

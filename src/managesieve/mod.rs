//! Users change their scripts from afar: ManageSieve (RFC 5804), without sockets.
//!
//! Called by `server`, which owns the connection, the clock, TLS, and the accounts.
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
//!         Reply(reply)     => gather reply.bytes()
//!         StartTls         => { write; forget the whole buffer; make TLS; session.secured() }
//!         Authenticate(c)  => look c up; session.logged_in(owner), .login_refused() or .login_deferred()
//!         Request(request) => carry it out; session.answer(answer)
//!         Close(reply)     => write reply; close
//!     }
//!     forget `consumed` bytes of the buffer
//! }
//! ```
//!
//! Every path ends in a [`Step::Close`], or in the server's own decision: idle
//! ([`Reply::idle`]), shutting down ([`Reply::shutting_down`]), connection lost. No input makes
//! it panic, and none makes it keep more than one command and its strings.

mod command;
mod lexer;
mod reply;
mod request;
mod session;
#[cfg(test)]
mod transcripts;

pub use reply::Reply;
pub use request::{Answer, Credentials, Refusal, Request};
pub use session::{Protection, Session, Step};

/// What a [`Session`] says of its server, and how much it bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// What scripts can require (RFC 5228 §6), for the capability `SIEVE`.
    pub extensions: Vec<&'static str>,
    /// Redirects of one message, for the capability `MAXREDIRECTS`.
    pub max_redirects: usize,
    /// Bytes of one script; larger ones are read over and refused.
    pub script_size: usize,
    /// Bad commands; one more is BYE.
    pub errors: usize,
    /// Logins that fail; the last one is followed by BYE.
    pub logins: usize,
    /// Commands of somebody who is not logged in; one more is BYE.
    pub commands_before_login: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            extensions: Vec::new(),
            max_redirects: 4,
            script_size: 1 << 20,
            errors: 20,
            logins: 3,
            commands_before_login: 50,
        }
    }
}

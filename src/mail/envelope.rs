//! The envelope: who sends, who receives, and over which door it came.

use std::fmt;
use std::net::IpAddr;

use super::{Address, ReversePath};

/// What came with a message outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in order; only those that were accepted.
    pub recipients: Vec<Recipient>,
    /// Whether the sender asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Who handed the message over.
    pub client: Client,
}

/// One recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// RCPT TO.
    pub address: Address,
    /// The address before aliases, where known (RFC 3461 §4.2, `deliver -a`).
    pub original: Option<Address>,
}

/// Who handed a message over, for the Received field (RFC 5321 §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The name given with LHLO, HELO or EHLO; empty where there was none.
    pub helo: String,
    /// The peer's address; none over a Unix socket or from standard input.
    pub address: Option<IpAddr>,
    /// How it came.
    pub protocol: Protocol,
}

/// The way a message came, by the names of RFC 3848 and RFC 6531 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP after HELO.
    Smtp,
    /// SMTP after EHLO.
    Esmtp,
    /// SMTP with SMTPUTF8.
    Utf8Smtp,
    /// LMTP.
    Lmtp,
    /// LMTP with SMTPUTF8.
    Utf8Lmtp,
    /// Standard input of `postroom deliver`; stands in no Received field.
    Pipe,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Smtp => "SMTP",
            Protocol::Esmtp => "ESMTP",
            Protocol::Utf8Smtp => "UTF8SMTP",
            Protocol::Lmtp => "LMTP",
            Protocol::Utf8Lmtp => "UTF8LMTP",
            Protocol::Pipe => "pipe",
        })
    }
}

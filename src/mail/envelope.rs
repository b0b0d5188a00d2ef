//! The envelope: who sends, who receives, and over which door it came.

use std::fmt;
use std::net::IpAddr;

use super::{Address, MessageDsn, RecipientDsn, ReversePath};

/// What came with a message outside of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in order; only those that were accepted.
    pub recipients: Vec<Recipient>,
    /// How many more there are, of whom this process is not told.
    pub others: usize,
    /// Whether the sender asked for SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// What the sender asks to be told of the message (RFC 3461).
    pub dsn: MessageDsn,
    /// Whether the client takes a reply for each recipient after the message, as of LMTP (PRDR).
    pub prdr: bool,
    /// Who handed the message over.
    pub client: Client,
}

impl Envelope {
    /// Whether there is one recipient alone, so that naming it tells nobody of another.
    #[must_use]
    pub fn is_to_one(&self) -> bool {
        self.recipients.len() + self.others == 1
    }
}

/// One recipient of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// RCPT TO.
    pub address: Address,
    /// The address before aliases, where known (RFC 3461 §4.2, `deliver -a`).
    pub original: Option<Address>,
    /// What the sender asks to be told of this recipient (RFC 3461).
    pub dsn: RecipientDsn,
}

impl Recipient {
    /// A recipient of whom nothing more is known.
    #[must_use]
    pub fn new(address: Address) -> Recipient {
        Recipient {
            address,
            original: None,
            dsn: RecipientDsn::default(),
        }
    }
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
    /// The TLS that it came through.
    pub tls: Option<Tls>,
    /// What a trusted MTA says of the client that it had the message from.
    pub forwarded: Forwarded,
}

impl Client {
    /// A client of which nothing more is known.
    #[must_use]
    pub fn new(helo: &str, address: Option<IpAddr>, protocol: Protocol) -> Client {
        Client {
            helo: helo.to_owned(),
            address,
            protocol,
            tls: None,
            forwarded: Forwarded::default(),
        }
    }
}

/// The TLS of a connection (RFC 3207).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Its version, such as `TLSv1.3`.
    pub version: String,
    /// Its cipher suite, by the name of IANA.
    pub cipher: String,
    /// The subject of the certificate that the client showed, if it was asked for one and it was good.
    pub peer: Option<String>,
}

/// Where a message came from before, as XFORWARD of a trusted MTA tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// The name of that client, as the MTA found it.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The name that it gave itself.
    pub helo: Option<String>,
    /// The id under which the MTA has the message in its queue.
    pub queue_id: Option<String>,
}

/// The way a message came, by the names of RFC 3848 and RFC 6531 §4.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// SMTP after HELO.
    Smtp,
    /// SMTP after EHLO.
    Esmtp,
    /// SMTP after EHLO, within TLS.
    Esmtps,
    /// SMTP with SMTPUTF8.
    Utf8Smtp,
    /// SMTP with SMTPUTF8, within TLS.
    Utf8Smtps,
    /// LMTP.
    Lmtp,
    /// LMTP within TLS.
    Lmtps,
    /// LMTP with SMTPUTF8.
    Utf8Lmtp,
    /// LMTP with SMTPUTF8, within TLS.
    Utf8Lmtps,
    /// Standard input of `postroom deliver`; stands in no Received field.
    Pipe,
}

impl Protocol {
    /// All of them.
    const ALL: [Protocol; 10] = [
        Protocol::Smtp,
        Protocol::Esmtp,
        Protocol::Esmtps,
        Protocol::Utf8Smtp,
        Protocol::Utf8Smtps,
        Protocol::Lmtp,
        Protocol::Lmtps,
        Protocol::Utf8Lmtp,
        Protocol::Utf8Lmtps,
        Protocol::Pipe,
    ];

    /// The one that is displayed so.
    #[must_use]
    pub fn named(name: &str) -> Option<Protocol> {
        Protocol::ALL.into_iter().find(|protocol| protocol.to_string() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Smtp => "SMTP",
            Protocol::Esmtp => "ESMTP",
            Protocol::Esmtps => "ESMTPS",
            Protocol::Utf8Smtp => "UTF8SMTP",
            Protocol::Utf8Smtps => "UTF8SMTPS",
            Protocol::Lmtp => "LMTP",
            Protocol::Lmtps => "LMTPS",
            Protocol::Utf8Lmtp => "UTF8LMTP",
            Protocol::Utf8Lmtps => "UTF8LMTPS",
            Protocol::Pipe => "pipe",
        })
    }
}

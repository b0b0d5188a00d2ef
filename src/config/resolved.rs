//! Values that are more than a plain number or text.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::sections::{ClientCertificates, choice};
use super::{QuotaMailbox, QuotaWarning, SubmissionTls};
use crate::mail::Address;

choice! {
    /// What is spoken at a door.
    pub enum ListenProtocol {
        /// RFC 2033: an answer for each recipient.
        Lmtp = "lmtp",
        /// RFC 5321, as final delivery.
        Smtp = "smtp",
        /// RFC 5804: users change their scripts.
        ManageSieve = "managesieve",
    }
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A Unix socket.
    Unix(PathBuf),
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// Sockets that systemd opened, by their name.
    Systemd(String),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// A server by name or IP address (without brackets), and its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// The name or the IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(address) => write!(f, "[{address}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Without a port it is 25.
impl FromStr for HostPort {
    type Err = ();

    fn from_str(text: &str) -> Result<HostPort, ()> {
        let (host, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((host, rest)) => {
                let address: Ipv6Addr = host.parse().map_err(|_| ())?;
                (address.to_string(), rest.strip_prefix(':'))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (checked_host(host)?, Some(port)),
                None => (checked_host(text)?, None),
            },
        };
        let port = port.map_or(Ok(25), |port| port.parse().map_err(|_| ()))?;
        if port == 0 {
            return Err(());
        }
        Ok(HostPort { host, port })
    }
}

fn checked_host(host: &str) -> Result<String, ()> {
    let address = Address::parse(&format!("a@{host}")).map_err(|_| ())?;
    if host.starts_with('[') {
        return Err(());
    }
    Ok(address.domain().to_owned())
}

/// How redirects, replies and notices leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionSettings {
    /// To whom they are handed.
    pub relay: Relay,
    /// How long one step of the hand-over may take.
    pub timeout: Duration,
    /// The sender of notices.
    pub notices_from: Address,
    /// The sender of redirects.
    pub redirect_sender: RedirectFrom,
    /// The domain of senders that are rewritten.
    pub srs_domain: Option<String>,
    /// Where the secret lies that makes their hashes.
    pub srs_secret_file: Option<PathBuf>,
}

/// The sender of redirects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectFrom {
    /// That of the message.
    Original,
    /// The account that redirects it.
    Recipient,
    /// That of the message, rewritten.
    Srs,
    /// One address for all.
    Fixed(Address),
}

/// To whom outgoing mail is handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relay {
    /// To nobody: what would have to be sent is deferred.
    None,
    /// To a server, by SMTP.
    Server {
        /// Where it is.
        address: HostPort,
        /// How the way there is protected.
        tls: SubmissionTls,
        /// The certificates that are trusted with [`SubmissionTls::Verify`], as PEM.
        ca_file: PathBuf,
    },
    /// To a program like sendmail(8).
    Sendmail(PathBuf),
}

/// The certificate of this server, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate with the chain behind it.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Whether MTAs are asked for a certificate.
    pub client_certificates: ClientCertificates,
    /// The authorities of those; set where they are asked for.
    pub client_ca: Option<PathBuf>,
    /// How long TLS may take to come about.
    pub handshake_timeout: Duration,
}

/// What there is to quotas beside the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaSettings {
    /// Whether accounts with a quota get a `maildirsize`.
    pub maildirsize: bool,
    /// How single mailboxes count; [`directory::Options`](crate::directory::Options) has them as rules.
    pub mailboxes: Vec<QuotaMailbox>,
    /// What happens at thresholds.
    pub warnings: Vec<QuotaWarning>,
}

//! How a submission fails.

use std::io;
use std::path::PathBuf;

use crate::smtp::client::ClientError;

/// Why a message was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Neither a server nor a program is configured.
    #[error("mail cannot be sent: set `server` or `sendmail` in [submission]")]
    NoRoute,
    /// The list of recipients is empty.
    #[error("the message to be sent has no recipients")]
    NoRecipients,
    /// Half of all places of deliveries are taken by redirects.
    #[error("too many messages are being redirected; is the submission server slow? See [limits] deliveries")]
    Busy,
    /// The server's address could not be read or reached.
    #[error("cannot reach the submission server {address}; is it running, and is [submission] server right?")]
    Connect {
        /// As configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or the time was up.
    #[error("the submission server {address} was lost after {stage}")]
    Connection {
        /// As configured.
        address: String,
        /// The last command answered, or `connecting`.
        stage: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server said no.
    #[error("the submission server {address} answered {stage:?} with: {reply}")]
    Refused {
        /// As configured.
        address: String,
        /// The command, or `connecting`.
        stage: String,
        /// The reply on one line.
        reply: String,
        /// Whether it was a 5yz reply to this message, not to us as a client.
        permanent: bool,
    },
    /// The server speaks something that is not SMTP.
    #[error("the submission server {address} does not speak SMTP as it should")]
    Protocol {
        /// As configured.
        address: String,
        /// What is wrong.
        source: ClientError,
    },
    /// The message needs SMTPUTF8 and the server does not have it (RFC 6531 §3.5).
    #[error("the submission server {address} does not offer SMTPUTF8, which this message needs")]
    NoSmtputf8 {
        /// As configured.
        address: String,
    },
    /// The certificate is to be verified and the server offers no TLS.
    #[error("the submission server {address} does not offer STARTTLS, and [submission] tls asks for it")]
    NoTls {
        /// As configured.
        address: String,
    },
    /// The handshake failed.
    #[error("TLS with the submission server {address} failed; see [submission] tls and ca_file")]
    Tls {
        /// As configured.
        address: String,
        /// What rustls said.
        source: io::Error,
    },
    /// The trusted certificates cannot be read.
    #[error("cannot read certificates from {path:?}; see [submission] ca_file")]
    Certificates {
        /// The PEM file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The sendmail program cannot be started.
    #[error("cannot run {program:?}; see [submission] sendmail")]
    Program {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The sendmail program ended with a failure.
    #[error("{program:?} ended with {status}: {output}")]
    ProgramFailed {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The beginning of what it wrote to standard error, on one line.
        output: String,
        /// Whether its exit code says that trying again is useless.
        permanent: bool,
    },
    /// The sendmail program did not end in time and was killed.
    #[error("{program:?} did not end within the time of [submission] timeout and was killed")]
    ProgramTimeout {
        /// The program.
        program: PathBuf,
    },
    /// The message itself could not be read back.
    #[error("cannot read the message that is to be sent")]
    Content {
        /// What the system said.
        source: io::Error,
    },
}

/// Whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It may work later.
    Temporary,
    /// It never will.
    Permanent,
}

impl SubmitError {
    /// Whether to try again: no for 5yz replies and what no time mends, otherwise yes.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            SubmitError::Refused { permanent: true, .. }
            | SubmitError::ProgramFailed { permanent: true, .. }
            | SubmitError::NoSmtputf8 { .. }
            | SubmitError::NoRecipients => Kind::Permanent,
            _ => Kind::Temporary,
        }
    }
}

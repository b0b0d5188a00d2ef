//! The out-tray: redirects, vacation replies and notices on their way out.
//!
//! Called by `delivery` and the command line: [`Composer`] writes the mail that postroom sends
//! of its own accord, [`Content`] is what is sent, and a [`Submitter`] hands it to the site's
//! MTA by SMTP or through a sendmail program. No queue is kept here.
//!
//! Ends in a [`Receipt`]: the MTA has taken it; or in a [`SubmitError`] that says whether trying
//! again may help.

pub mod compose;
mod content;
mod error;
#[cfg(test)]
mod fake_server;
pub(crate) mod program;
mod redirect;
mod sendmail;
mod server;
mod stream;
mod tls;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::mail::{Address, ReversePath};

pub use compose::{Composer, Failure, NamedAddress, Notification, Vacation};
pub use content::Content;
pub use error::{Kind, SubmitError};
pub use redirect::already_redirected;

/// How mail leaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// The way out.
    pub route: Route,
    /// TLS towards a server; a sendmail program and Unix sockets need none.
    pub tls: Tls,
    /// The time one submission may take, from the connection to the last reply.
    pub timeout: Duration,
    /// Our own name: EHLO, Message-ID, Reporting-MTA.
    pub hostname: String,
    /// The From address of notices and delivery status notifications.
    pub notices_from: Address,
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// An SMTP server.
    Server {
        /// `host:port`, `[v6]:port`, `host` (port 25) or `unix:/path`.
        address: String,
    },
    /// A program that takes sendmail's arguments `-i -f`.
    Sendmail(PathBuf),
    /// None: every submission fails for now.
    None,
}

/// TLS towards a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Where the server offers it, whatever its certificate (RFC 7435); in clear where it fails.
    Opportunistic,
    /// Always, and the certificate must be valid for the server's name.
    Verify {
        /// PEM file of the authorities trusted; none is `/etc/ssl/certs/ca-certificates.crt`.
        ca_file: Option<PathBuf>,
    },
    /// Never.
    None,
}

/// The MTA took the message, for one recipient at least.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The server's reply to the message, on one line, for the log; empty from a sendmail program.
    pub reply: String,
    /// Those of several recipients for whom it was not taken.
    pub refused: Vec<RefusedRecipient>,
}

/// A recipient whom the server refused while it took the message for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecipient {
    /// Whom.
    pub address: Address,
    /// The server's reply, on one line.
    pub reply: String,
    /// Whether to try again.
    pub kind: Kind,
}

/// Hands mail to the site's MTA. Shared by all threads.
#[derive(Debug)]
pub struct Submitter {
    options: Options,
    composer: Composer,
    tls: tls::Connector,
}

impl Submitter {
    /// A submitter; nothing is opened or read before the first message.
    #[must_use]
    pub fn new(options: Options) -> Submitter {
        Submitter {
            composer: Composer::new(&options.hostname, options.notices_from.clone()),
            tls: tls::Connector::new(options.tls.clone()),
            options,
        }
    }

    /// The writer of generated mail, with this site's names.
    #[must_use]
    pub fn composer(&self) -> &Composer {
        &self.composer
    }

    /// Hands over one message for `recipients`. With more than one, look at [`Receipt::refused`].
    ///
    /// Blocks until the MTA has answered, at most [`Options::timeout`]. Should the connection
    /// fail after the last byte, the message may have been taken all the same.
    ///
    /// # Errors
    /// [`SubmitError`] where nobody gets it; [`SubmitError::kind`] says whether to try again.
    pub fn submit(
        &self,
        reverse_path: &ReversePath,
        recipients: &[Address],
        content: &Content,
    ) -> Result<Receipt, SubmitError> {
        if recipients.is_empty() {
            return Err(SubmitError::NoRecipients);
        }
        let deadline = Instant::now() + self.options.timeout;
        match &self.options.route {
            Route::None => Err(SubmitError::NoRoute),
            Route::Sendmail(program) => sendmail::run(program, deadline, reverse_path, recipients, content),
            Route::Server { address } => {
                let transaction = server::Transaction {
                    hostname: self.composer.hostname(),
                    reverse_path,
                    recipients,
                    content,
                };
                server::send(address, deadline, &self.tls, &transaction)
            }
        }
    }
}

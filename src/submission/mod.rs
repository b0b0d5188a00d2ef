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
mod srs;
mod stream;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::mail::{Address, ReversePath};

pub use compose::{Composer, NamedAddress, Notification, Report, Status, StatusAction, Vacation};
pub use content::Content;
pub use error::{Kind, SubmitError};
pub use redirect::already_redirected;
pub use srs::{Srs, SrsError};

/// Which delivery status notifications are asked for.
pub use crate::smtp::client::{Dsn, orcpt};

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
    /// Who is named to the next server as the sender of what is redirected.
    pub redirect_sender: RedirectSender,
}

/// The reverse path of redirects. That of a message without one stays null.
#[derive(Clone, Debug)]
pub enum RedirectSender {
    /// That of the message as it came.
    Original,
    /// The address of the account that redirects it.
    Recipient,
    /// One for all.
    Fixed(Address),
    /// The original one, rewritten to a domain of the site; that of the account where it cannot be.
    Srs(Srs),
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
    /// Whether the server tells the sender what he asked to be told (RFC 3461).
    pub dsn: bool,
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
    runner: Arc<dyn program::Runner>,
}

impl Submitter {
    /// A submitter; nothing is opened or read before the first message.
    #[must_use]
    pub fn new(options: Options) -> Submitter {
        Submitter {
            composer: Composer::new(&options.hostname, options.notices_from.clone()),
            tls: tls::Connector::new(options.tls.clone()),
            runner: Arc::new(program::Direct),
            options,
        }
    }

    /// The same, with another who runs programs than this process itself.
    pub(crate) fn with_runner(self, runner: Arc<dyn program::Runner>) -> Submitter {
        Submitter { runner, ..self }
    }

    /// Who runs programs; those of deliveries too.
    pub(crate) fn runner(&self) -> &dyn program::Runner {
        self.runner.as_ref()
    }

    /// The writer of generated mail, with this site's names.
    #[must_use]
    pub fn composer(&self) -> &Composer {
        &self.composer
    }

    /// The reverse path of a message from `sender` that `account` redirects.
    #[must_use]
    pub fn redirect_sender(&self, sender: &ReversePath, account: &Address) -> ReversePath {
        // RFC 5321 §4.5.5: what has no sender is a notification, and must not get one.
        let ReversePath::Address(address) = sender else {
            return ReversePath::Null;
        };
        let sender = match &self.options.redirect_sender {
            RedirectSender::Original => address.clone(),
            RedirectSender::Recipient => account.clone(),
            RedirectSender::Fixed(fixed) => fixed.clone(),
            RedirectSender::Srs(srs) => srs.rewritten(address).unwrap_or_else(|| account.clone()),
        };
        ReversePath::Address(sender)
    }

    /// Whether notifications about redirected messages come to those who sent them.
    #[must_use]
    pub fn redirects_lead_back(&self) -> bool {
        matches!(
            self.options.redirect_sender,
            RedirectSender::Original | RedirectSender::Srs(_)
        )
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
        self.submit_with(&Dsn::default(), reverse_path, recipients, content)
    }

    /// As [`Submitter::submit`]; a server that offers DSN (RFC 3461) is asked for these notifications.
    ///
    /// # Errors
    /// As [`Submitter::submit`].
    pub fn submit_with(
        &self,
        dsn: &Dsn,
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
            Route::Sendmail(program) => {
                let time = self.options.timeout;
                sendmail::run(self.runner(), program, time, reverse_path, recipients, content)
            }
            Route::Server { address } => {
                let transaction = server::Transaction {
                    hostname: self.composer.hostname(),
                    reverse_path,
                    recipients,
                    content,
                    dsn,
                };
                server::send(address, deadline, &self.tls, &transaction)
            }
        }
    }
}

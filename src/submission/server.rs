//! One transaction with an SMTP server: `smtp`'s client over a socket.

use std::time::Instant;

use rustls::StreamOwned;

use crate::mail::{Address, ReversePath};
use crate::smtp::client::{Client, ClientError, ClientOptions, Dsn, Mail, Pause, Report, StartTls, drive};
use crate::smtp::{Door, LineEnds, Reply};
use crate::submission::stream::{Socket, Stream, host_and_port};
use crate::submission::tls::Connector;
use crate::submission::{Content, Kind, Receipt, RefusedRecipient, SubmitError, Tls};

/// What is to be handed over.
pub(super) struct Transaction<'a> {
    /// Our own name.
    pub hostname: &'a str,
    /// MAIL FROM.
    pub reverse_path: &'a ReversePath,
    /// RCPT TO.
    pub recipients: &'a [Address],
    /// The message.
    pub content: &'a Content,
    /// Which notifications are wanted.
    pub dsn: &'a Dsn,
}

/// Connects to `address` and hands the message over; all of it ends at `deadline`.
pub(super) fn send(
    address: &str,
    deadline: Instant,
    connector: &Connector,
    transaction: &Transaction<'_>,
) -> Result<Receipt, SubmitError> {
    let needs = transaction
        .content
        .needs()
        .map_err(|source| SubmitError::Content { source })?;
    let mail = Mail {
        reverse_path: transaction.reverse_path.clone(),
        recipients: transaction.recipients.to_vec(),
        size: Some(needs.size),
        eight_bit: needs.eight_bit,
        smtputf8: needs.smtputf8,
        dsn: transaction.dsn.clone(),
    };
    let attempt = Attempt {
        address,
        deadline,
        connector,
        transaction,
        mail,
    };
    match attempt.run(true) {
        // RFC 7435 §3: better in clear than not at all, where no more was promised.
        Err(SubmitError::Tls { source, .. }) if *connector.tls() == Tls::Opportunistic => {
            tracing::warn!(server = address, error = %source, "TLS failed; sending in clear");
            attempt.run(false)
        }
        result => result,
    }
}

struct Attempt<'a> {
    address: &'a str,
    deadline: Instant,
    connector: &'a Connector,
    transaction: &'a Transaction<'a>,
    mail: Mail,
}

impl Attempt<'_> {
    fn run(&self, encrypt: bool) -> Result<Receipt, SubmitError> {
        let socket = Socket::connect(self.address, self.deadline).map_err(|source| SubmitError::Connect {
            address: self.address.to_owned(),
            source,
        })?;
        // What goes over a Unix socket leaves the machine nowhere.
        let starttls = match self.connector.tls() {
            Tls::Opportunistic if encrypt && !socket.is_unix() => StartTls::IfOffered,
            Tls::Verify { .. } if !socket.is_unix() => StartTls::Required,
            _ => StartTls::Never,
        };
        let options = ClientOptions {
            door: Door::Smtp,
            hostname: self.transaction.hostname.to_owned(),
            starttls,
            line_ends: LineEnds::Crlf,
        };
        self.converse(socket, Client::new(options, self.mail.clone()))
    }

    fn converse(&self, socket: Socket, mut client: Client) -> Result<Receipt, SubmitError> {
        let mut content = self.transaction.content.lines("\r\n");
        let mut stream = Stream::Plain(socket);
        let mut stage = "connecting".to_owned();
        loop {
            let pause = drive(&mut stream, &mut client, &mut content, &mut |exchange| {
                if !exchange.command.is_empty() {
                    stage.clone_from(&exchange.command);
                }
            });
            // A connection lost once every recipient has a reply is no loss: only QUIT was left.
            let pause = match (pause, client.closed()) {
                (Err(_), Ok(report)) => Pause::Done(report),
                (pause, _) => pause.map_err(|error| self.trouble(error, &stage))?,
            };
            match pause {
                Pause::Done(report) => return self.settled(report),
                Pause::StartTls => {
                    stream = self.encrypted(stream)?;
                    client.tls_started();
                }
            }
        }
    }

    // The client has looked that nothing came in clear behind the reply to STARTTLS.
    fn encrypted(&self, stream: Stream) -> Result<Stream, SubmitError> {
        let Stream::Plain(mut socket) = stream else {
            return Ok(stream);
        };
        let host = host_and_port(self.address).map_or(self.address, |(host, _)| host);
        let mut connection = self.connector.connect(self.address, host)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket).map_err(|source| SubmitError::Tls {
                address: self.address.to_owned(),
                source,
            })?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
    }

    fn settled(&self, report: Report) -> Result<Receipt, SubmitError> {
        let mut receipt = Receipt {
            dsn: report.capabilities.dsn,
            ..Receipt::default()
        };
        for (address, reply) in report.recipients {
            if reply.is_positive() {
                receipt.reply = reply.to_string();
            } else {
                receipt.refused.push(RefusedRecipient {
                    address,
                    reply: reply.to_string(),
                    kind: kind(&reply),
                });
            }
        }
        // Where nobody gets it, one who may get it later is reason enough to try again.
        let nobody = receipt.refused.len() == self.mail.recipients.len();
        match receipt
            .refused
            .iter()
            .max_by_key(|refused| refused.kind == Kind::Temporary)
        {
            Some(refused) if nobody => Err(SubmitError::Refused {
                address: self.address.to_owned(),
                stage: format!("the message for {}", refused.address),
                reply: refused.reply.clone(),
                permanent: refused.kind == Kind::Permanent,
            }),
            _ => Ok(receipt),
        }
    }

    fn trouble(&self, error: ClientError, stage: &str) -> SubmitError {
        let address = self.address.to_owned();
        let lost = |source| SubmitError::Connection {
            address: self.address.to_owned(),
            stage: stage.to_owned(),
            source,
        };
        match error {
            ClientError::Io(source) => lost(source),
            ClientError::Closed => lost(std::io::ErrorKind::UnexpectedEof.into()),
            ClientError::Message(source) => SubmitError::Content { source },
            ClientError::Smtputf8Missing => SubmitError::NoSmtputf8 { address },
            ClientError::TlsMissing => SubmitError::NoTls { address },
            // It refuses us, not this message: the postmaster can mend that.
            ClientError::Refused { command, reply } => SubmitError::Refused {
                address,
                stage: if command.is_empty() {
                    "connecting".to_owned()
                } else {
                    command
                },
                reply: reply.to_string(),
                permanent: false,
            },
            source @ (ClientError::BadReply(_) | ClientError::PlaintextAfterStartTls) => {
                SubmitError::Protocol { address, source }
            }
        }
    }
}

// RFC 4954 §6, RFC 3207 §4: 530, 534, 535 and 538 ask for a login or for TLS, of which this
// message knows nothing.
fn kind(reply: &Reply) -> Kind {
    match reply.code() {
        530 | 534 | 535 | 538 => Kind::Temporary,
        code if (500..600).contains(&code) => Kind::Permanent,
        _ => Kind::Temporary,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::submission::fake_server::{BROKEN_TLS, CERTIFICATE, FakeServer, HANG_UP, SILENCE, Step};
    use crate::submission::{Options, RedirectSender, Route, Submitter};

    const HELLO: [Step; 2] = [("", "220 x"), ("EHLO mx.example.org\r\n", "250-x\r\n250 8BITMIME")];
    const TLS_HELLO: [Step; 2] = [("", "220 x"), ("EHLO", "250-x\r\n250 STARTTLS")];
    const REST: [Step; 5] = [
        ("MAIL", "250 ok"),
        ("RCPT", "250 ok"),
        ("DATA", "354 go"),
        (".", "250 2.0.0 queued as X"),
        ("QUIT", "221 bye"),
    ];

    fn submit(server: &str, tls: Tls, time: Duration, to: &[&str], content: &str) -> Result<Receipt, SubmitError> {
        let submitter = Submitter::new(Options {
            route: Route::Server {
                address: server.to_owned(),
            },
            tls,
            timeout: time,
            hostname: "mx.example.org".to_owned(),
            notices_from: Address::parse("postmaster@example.org").unwrap(),
            redirect_sender: RedirectSender::Original,
        });
        let recipients: Vec<_> = to.iter().map(|to| Address::parse(to).unwrap()).collect();
        let content = Content::new(content.as_bytes().to_vec());
        submitter.submit(&ReversePath::Null, &recipients, &content)
    }

    const MINUTE: Duration = Duration::from_secs(60);
    const ANN: &[&str] = &["ann@example.org"];

    fn verify() -> Tls {
        Tls::Verify {
            ca_file: Some(PathBuf::from(CERTIFICATE)),
        }
    }

    #[test]
    fn a_message_arrives_line_by_line() {
        let server = FakeServer::new(vec![[&HELLO[..], &REST[..]].concat()]);
        let content = "A: ä\r\n\nx\r.\r\n..y\n.";
        let error = submit(&server.address, Tls::Opportunistic, MINUTE, ANN, content).unwrap_err();
        assert!(matches!(error, SubmitError::NoSmtputf8 { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Permanent);
        server.seen();

        let server = FakeServer::new(vec![[&HELLO[..], &REST[..]].concat()]);
        let content = "A: b\r\n\nä\r.\r\n..y\n.";
        let receipt = submit(&server.address, Tls::Opportunistic, MINUTE, ANN, content).unwrap();
        assert_eq!(receipt.reply, "250 2.0.0 queued as X");
        let expected = "EHLO mx.example.org\r\nMAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<ann@example.org>\r\nDATA\r\n\
            .A: b\r\n\r\nä\r\n..\r\n...y\r\n..\r\n.\r\nQUIT\r\n";
        assert_eq!(server.seen(), expected);
    }

    #[test]
    fn refusals_and_losses_are_told_apart() {
        for (at, answer, kind, words) in [
            (0, "421 busy", Kind::Temporary, "421 busy"),
            (0, "554 go away", Kind::Temporary, "554 go away"),
            (0, HANG_UP, Kind::Temporary, "lost after connecting"),
            (0, "SSH-2.0", Kind::Temporary, "does not speak SMTP"),
            (1, "421 busy", Kind::Temporary, "421 busy"),
            (2, "451 not now", Kind::Temporary, "451 not now"),
            (2, "530 log in first", Kind::Temporary, "530 log in first"),
            (2, "550 5.7.1 not you", Kind::Permanent, "550 5.7.1 not you"),
            (3, "450 not now", Kind::Temporary, "450 not now"),
            (3, "550-no\r\n550 such user", Kind::Permanent, "550 no such user"),
            (4, "554 no", Kind::Permanent, "554 no"),
            (4, HANG_UP, Kind::Temporary, "lost after RCPT TO"),
            (5, "552 too much", Kind::Permanent, "552 too much"),
            (5, "452 full", Kind::Temporary, "452 full"),
            (5, HANG_UP, Kind::Temporary, "lost after DATA"),
        ] {
            let mut script = [&HELLO[..], &REST[..]].concat();
            script[at].1 = answer;
            script.truncate(at + 1);
            let server = FakeServer::new(vec![script]);
            let error = submit(&server.address, Tls::None, MINUTE, ANN, "A: b\r\n\r\n").unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(
                error.to_string().contains(words) && error.to_string().contains(&server.address),
                "{error}"
            );
            server.seen();
        }
    }

    #[test]
    fn a_lost_farewell_changes_nothing() {
        let mut script = [&HELLO[..], &REST[..]].concat();
        script[6].1 = HANG_UP;
        let server = FakeServer::new(vec![script]);
        submit(&server.address, Tls::None, MINUTE, ANN, "A: b\r\n\r\n").unwrap();
        server.seen();
    }

    #[test]
    fn the_deadline_holds_at_every_reply() {
        for at in 0..6 {
            let mut script = [&HELLO[..], &REST[..]].concat();
            script[at].1 = SILENCE;
            let server = FakeServer::new(vec![script]);
            let time = Duration::from_millis(200);
            let error = submit(&server.address, Tls::None, time, ANN, "A: b\r\n\r\n").unwrap_err();
            assert!(matches!(error, SubmitError::Connection { .. }), "{error}");
            assert_eq!(error.kind(), Kind::Temporary);
            server.seen();
        }
    }

    #[test]
    fn nobody_there_is_temporary() {
        for address in ["127.0.0.1:1", "unix:/nonexistent/socket", "no port:x", ""] {
            let error = submit(address, Tls::Opportunistic, MINUTE, ANN, "").unwrap_err();
            assert!(matches!(error, SubmitError::Connect { .. }), "{error}");
            assert_eq!(error.kind(), Kind::Temporary);
        }
    }

    #[test]
    fn of_several_recipients_each_is_answered() {
        let two = &["ann@example.org", "bob@example.org"];
        let script = |first, second| {
            let mut script = [&HELLO[..], &REST[..]].concat();
            script[3].1 = first;
            script.insert(4, ("RCPT", second));
            script
        };
        let server = FakeServer::new(vec![script("550 no", "250 ok")]);
        let receipt = submit(&server.address, Tls::None, MINUTE, two, "A: b\r\n\r\n").unwrap();
        let refused = RefusedRecipient {
            address: Address::parse("ann@example.org").unwrap(),
            reply: "550 no".to_owned(),
            kind: Kind::Permanent,
        };
        assert_eq!(
            (receipt.reply.as_str(), receipt.refused),
            ("250 2.0.0 queued as X", vec![refused])
        );
        server.seen();

        let mut neither = script("450 not now", "550 no");
        neither.truncate(5);
        let server = FakeServer::new(vec![neither]);
        let error = submit(&server.address, Tls::None, MINUTE, two, "A: b\r\n\r\n").unwrap_err();
        assert!(
            error.to_string().contains("450 not now") && error.kind() == Kind::Temporary,
            "{error}"
        );
        server.seen();
    }

    #[test]
    fn tls_is_used_where_offered() {
        for tls in [Tls::Opportunistic, verify()] {
            let script = [&TLS_HELLO[..], &[("STARTTLS", "220 go")], &HELLO[1..], &REST[..]].concat();
            let server = FakeServer::new(vec![script]);
            submit(&server.address, tls, MINUTE, ANN, "A: b\r\n\r\n").unwrap();
            let seen = server.seen();
            assert!(
                seen.contains("STARTTLS\r\nEHLO mx.example.org\r\nMAIL FROM:<>\r\n"),
                "{seen}"
            );
        }
        let server = FakeServer::new(vec![[&TLS_HELLO[..], &REST[..]].concat()]);
        submit(&server.address, Tls::None, MINUTE, ANN, "A: b\r\n\r\n").unwrap();
        server.seen();
    }

    #[test]
    fn a_certificate_that_nobody_vouches_for_is_refused() {
        let other = tempfile::NamedTempFile::new().unwrap();
        // The system's authorities do not know it; where there are none, that is refused too.
        for ca_file in [None, Some(other.path().to_owned()), Some(PathBuf::from("/nonexistent"))] {
            let server = FakeServer::new(vec![
                [&TLS_HELLO[..], &[("STARTTLS", "220 go"), ("EHLO", "250 x")]].concat(),
            ]);
            let error = submit(&server.address, Tls::Verify { ca_file }, MINUTE, ANN, "A: b\r\n\r\n").unwrap_err();
            assert!(
                matches!(error, SubmitError::Tls { .. } | SubmitError::Certificates { .. }),
                "{error}"
            );
            assert_eq!(error.kind(), Kind::Temporary);
            assert!(!server.seen().contains("MAIL"));
        }
    }

    #[test]
    fn verified_means_never_in_clear() {
        for script in [
            HELLO.to_vec(),
            [&TLS_HELLO[..], &[("STARTTLS", "454 not now")]].concat(),
        ] {
            let server = FakeServer::new(vec![script]);
            let error = submit(&server.address, verify(), MINUTE, ANN, "A: b\r\n\r\n").unwrap_err();
            assert_eq!(error.kind(), Kind::Temporary, "{error}");
            assert!(!server.seen().contains("MAIL"), "{error}");
        }
    }

    #[test]
    fn opportunistic_goes_on_in_clear() {
        let refused = [&TLS_HELLO[..], &[("STARTTLS", "454 not now")], &REST[..]].concat();
        let broken = [&TLS_HELLO[..], &[("STARTTLS", BROKEN_TLS)]].concat();
        let clear = [&TLS_HELLO[..], &REST[..]].concat();
        for connections in [vec![refused], vec![broken, clear]] {
            let server = FakeServer::new(connections);
            submit(&server.address, Tls::Opportunistic, MINUTE, ANN, "A: b\r\n\r\n").unwrap();
            assert!(server.seen().ends_with("QUIT\r\n"));
        }
    }

    #[test]
    fn what_comes_in_clear_behind_starttls_is_never_taken() {
        let injected = "220 go\r\n250-x\r\n250 SMTPUTF8";
        for tls in [Tls::Opportunistic, verify()] {
            let server = FakeServer::new(vec![
                [&TLS_HELLO[..], &[("STARTTLS", injected), ("EHLO", "250 x")]].concat(),
            ]);
            let error = submit(&server.address, tls, MINUTE, ANN, "A: b\r\n\r\n").unwrap_err();
            assert_eq!(error.kind(), Kind::Temporary, "{error}");
            assert!(!server.seen().contains("MAIL"), "{error}");
        }
    }
}

//! The other side of the counter: hands one message to an SMTP or LMTP server.
//!
//! Called by `submission` (redirects, notices) and `cli::send`. [`Client`] has no
//! sockets: it takes the bytes that came and says in an [`Action`] what to do next.
//! [`drive`] carries the actions out over any `Read + Write` that blocks.
//!
//! Ends in a [`Report`] with one reply for each recipient, or in a [`ClientError`]
//! that says whether trying again may help.

mod capabilities;
mod driver;
mod dsn;
mod replies;

use std::collections::VecDeque;

pub use capabilities::Capabilities;
pub use driver::{Pause, drive, transact};
pub use dsn::{Dsn, orcpt};
pub use replies::parse_reply;

use super::{Door, LineEnds, Reply};
use crate::mail::{Address, ReversePath};

/// Recipients sent before their replies are read. Both sides may have to wait for the
/// other to read when more is on its way than the connection holds (RFC 2920 §3.1).
const PIPELINE_MAX: usize = 50;

/// How to speak to the server.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The protocol.
    pub door: Door,
    /// Our name, for LHLO or EHLO.
    pub hostname: String,
    /// Whether to go over to TLS.
    pub starttls: StartTls,
    /// What becomes of a LF alone in the message; see [`LineEnds`] for when to choose which.
    pub line_ends: LineEnds,
}

/// Whether to use STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Stay as it is: a local connection, or one that is TLS already.
    #[default]
    Never,
    /// Use it where the server has it.
    IfOffered,
    /// Send nothing without.
    Required,
}

/// What to hand over, apart from the message itself.
#[derive(Clone, Debug)]
pub struct Mail {
    /// MAIL FROM.
    pub reverse_path: ReversePath,
    /// RCPT TO, in order.
    pub recipients: Vec<Address>,
    /// Bytes of the message, with lines ending in CR LF; given to servers that want to know.
    pub size: Option<u64>,
    /// Whether the message has bytes above 127.
    pub eight_bit: bool,
    /// Whether its header needs SMTPUTF8 (RFC 6531); the addresses are looked at anyway.
    pub smtputf8: bool,
    /// Which notifications are wanted.
    pub dsn: Dsn,
}

/// How a message was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Each recipient with the reply that settled it, in the order of [`Mail::recipients`].
    pub recipients: Vec<(Address, Reply)>,
    /// What the server can do.
    pub capabilities: Capabilities,
}

/// A command and the reply to it; the command is empty for the greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// As sent, without its CRLF; for a reply after the message, its recipient (LMTP) or `.`.
    pub command: String,
    /// As received.
    pub reply: Reply,
}

/// What to do next for a [`Client`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read from the server and call [`Client::next`] again.
    Read,
    /// Send these bytes.
    Write(Vec<u8>),
    /// Nothing; for those who show or log what is said.
    Said(Exchange),
    /// Begin TLS, throw away all that was read before, then call [`Client::tls_started`].
    StartTls,
    /// Send the message through a [`DotEncoder`](super::DotEncoder) with the line ends of the
    /// options, its end included, then call [`Client::content_sent`].
    Content,
    /// All is said; close the connection.
    Done(Report),
}

/// Why a message could not be handed over, for all recipients alike.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Reading or writing failed.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
    /// The message to send could not be read.
    #[error("cannot read the message to send")]
    Message(#[source] std::io::Error),
    /// The server closed before all was said.
    #[error("the server closed the connection")]
    Closed,
    /// What came is no reply (RFC 5321 §4.2), or one beyond all bounds.
    #[error("the server's reply is not one: {0}")]
    BadReply(&'static str),
    /// The server does not want to talk at all.
    #[error("the server answered {command:?} with: {reply}")]
    Refused {
        /// The command; empty for the greeting.
        command: String,
        /// The reply.
        reply: Reply,
    },
    /// The message or an address needs SMTPUTF8, which the server does not have.
    #[error("the message needs SMTPUTF8, which the server does not offer")]
    Smtputf8Missing,
    /// TLS is required, and the server does not have it.
    #[error("TLS is required, and the server does not offer STARTTLS")]
    TlsMissing,
    /// Bytes came in the clear behind the reply to STARTTLS: someone put them there.
    #[error("the server sent more in the clear after STARTTLS")]
    PlaintextAfterStartTls,
}

impl ClientError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            ClientError::Refused { reply, .. } => reply.is_temporary(),
            ClientError::Smtputf8Missing => false,
            _ => true,
        }
    }
}

/// The client's side of one connection, for one message.
#[derive(Debug)]
pub struct Client {
    options: ClientOptions,
    mail: Mail,
    capabilities: Capabilities,
    secure: bool,
    expected: VecDeque<(Expect, String)>,
    actions: VecDeque<Action>,
    /// Replies that settled a recipient.
    settled: Vec<Option<Reply>>,
    /// How many recipients were sent, how many of those answered well.
    sent: usize,
    accepted: Vec<usize>,
    mail_refused: bool,
}

/// Which reply comes next.
#[derive(Clone, Copy, Debug)]
enum Expect {
    Greeting,
    Hello,
    Helo,
    StartTls,
    Mail,
    Rcpt(usize),
    Data,
    Final(Option<usize>),
    Quit,
}

impl Client {
    /// A client that waits for the server's greeting.
    #[must_use]
    pub fn new(options: ClientOptions, mail: Mail) -> Client {
        Client {
            settled: vec![None; mail.recipients.len()],
            options,
            mail,
            capabilities: Capabilities::default(),
            secure: false,
            expected: VecDeque::from([(Expect::Greeting, String::new())]),
            actions: VecDeque::new(),
            sent: 0,
            accepted: Vec::new(),
            mail_refused: false,
        }
    }

    /// The next action, and how many bytes of `input` are done with.
    ///
    /// # Errors
    /// [`ClientError`]; the connection is of no more use.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Action), ClientError> {
        if let Some(action) = self.actions.pop_front() {
            return Ok((0, action));
        }
        if self.expected.is_empty() {
            return Ok((0, Action::Done(self.report()?)));
        }
        let Some((consumed, reply)) = parse_reply(input)? else {
            return Ok((0, Action::Read));
        };
        if let Some((expect, command)) = self.expected.pop_front() {
            let said = Exchange { command, reply };
            self.actions.push_back(Action::Said(said.clone()));
            self.answered(expect, said, consumed < input.len())?;
        }
        Ok((consumed, self.actions.pop_front().unwrap_or(Action::Read)))
    }

    /// TLS has begun: the server is greeted anew (RFC 3207 §4.2).
    pub fn tls_started(&mut self) {
        self.secure = true;
        self.capabilities = Capabilities::default();
        self.hello();
    }

    /// The message was sent, its final dot included.
    pub fn content_sent(&mut self) {
        match self.options.door {
            // RFC 2033 §4.2
            Door::Lmtp => {
                for at in self.accepted.clone() {
                    let recipient = format!("<{}>", self.mail.recipients[at]);
                    self.expected.push_back((Expect::Final(Some(at)), recipient));
                }
            }
            Door::Smtp => self.expected.push_back((Expect::Final(None), ".".to_owned())),
        }
    }

    /// The server closed the connection: the report, if only the farewell is missing.
    ///
    /// # Errors
    /// [`ClientError::Closed`] where a recipient is not settled.
    pub fn closed(&mut self) -> Result<Report, ClientError> {
        self.report()
    }

    fn report(&self) -> Result<Report, ClientError> {
        let replies: Option<Vec<Reply>> = self.settled.iter().cloned().collect();
        let replies = replies.ok_or(ClientError::Closed)?;
        Ok(Report {
            recipients: self.mail.recipients.iter().cloned().zip(replies).collect(),
            capabilities: self.capabilities.clone(),
        })
    }

    fn answered(&mut self, expect: Expect, said: Exchange, more: bool) -> Result<(), ClientError> {
        let reply = said.reply.clone();
        check_class(expect, &reply)?;
        match expect {
            Expect::Greeting if reply.code() == 220 => self.hello(),
            Expect::Hello if reply.code() == 250 => {
                self.capabilities = Capabilities::of(reply.lines());
                self.after_hello()?;
            }
            // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
            Expect::Hello if self.may_say_helo(&reply) => {
                self.send(Expect::Helo, format!("HELO {}", self.options.hostname));
            }
            Expect::Helo if reply.code() == 250 => self.begin_mail()?,
            Expect::Greeting | Expect::Hello | Expect::Helo => {
                return Err(ClientError::Refused {
                    command: said.command,
                    reply,
                });
            }
            Expect::StartTls if reply.code() == 220 && more => return Err(ClientError::PlaintextAfterStartTls),
            Expect::StartTls if reply.code() == 220 => self.actions.push_back(Action::StartTls),
            Expect::StartTls if self.options.starttls == StartTls::Required => return Err(ClientError::TlsMissing),
            Expect::StartTls => self.begin_mail()?,
            Expect::Mail => {
                if !reply.is_positive() {
                    self.mail_refused = true;
                    self.settle_rest(&reply);
                }
                self.after_envelope();
            }
            Expect::Rcpt(at) => {
                if reply.is_positive() && !self.mail_refused {
                    self.accepted.push(at);
                } else {
                    self.settled[at].get_or_insert(reply);
                }
                self.after_envelope();
            }
            Expect::Data if reply.code() == 354 => self.actions.push_back(Action::Content),
            Expect::Data | Expect::Final(None) => {
                self.settle_rest(&reply);
                self.quit();
            }
            Expect::Final(Some(at)) => {
                self.settled[at] = Some(reply);
                if self.expected.is_empty() {
                    self.quit();
                }
            }
            Expect::Quit => {}
        }
        Ok(())
    }

    fn may_say_helo(&self, reply: &Reply) -> bool {
        self.options.door == Door::Smtp
            && reply.code() / 100 == 5
            && !self.secure
            && self.options.starttls != StartTls::Required
    }

    fn hello(&mut self) {
        let verb = match self.options.door {
            Door::Lmtp => "LHLO",
            Door::Smtp => "EHLO",
        };
        self.send(Expect::Hello, format!("{verb} {}", self.options.hostname));
    }

    fn after_hello(&mut self) -> Result<(), ClientError> {
        match (self.options.starttls, self.capabilities.starttls) {
            (StartTls::Never, _) | (StartTls::IfOffered, false) => self.begin_mail(),
            _ if self.secure => self.begin_mail(),
            (StartTls::Required, false) => Err(ClientError::TlsMissing),
            (StartTls::IfOffered | StartTls::Required, true) => {
                self.send(Expect::StartTls, "STARTTLS".to_owned());
                Ok(())
            }
        }
    }

    fn begin_mail(&mut self) -> Result<(), ClientError> {
        let smtputf8 = self.needs_smtputf8();
        if smtputf8 && !self.capabilities.smtputf8 {
            return Err(ClientError::Smtputf8Missing);
        }
        let mut command = format!("MAIL FROM:<{}>", self.mail.reverse_path);
        if let (true, Some(size)) = (self.capabilities.size.is_some(), self.mail.size) {
            command.push_str(&format!(" SIZE={size}"));
        }
        // RFC 6531 §3.1: SMTPUTF8 mail is eight-bit in its header.
        if (self.mail.eight_bit || smtputf8) && self.capabilities.eight_bit_mime {
            command.push_str(" BODY=8BITMIME");
        }
        if smtputf8 {
            command.push_str(" SMTPUTF8");
        }
        if self.capabilities.dsn {
            command.push_str(&self.mail.dsn.of_mail());
        }
        self.send(Expect::Mail, command);
        if self.capabilities.pipelining {
            self.send_recipients();
        }
        Ok(())
    }

    fn needs_smtputf8(&self) -> bool {
        let sender_is_ascii = self.mail.reverse_path.address().is_none_or(Address::is_ascii);
        let all_ascii = sender_is_ascii && self.mail.recipients.iter().all(Address::is_ascii);
        self.mail.smtputf8 || !all_ascii
    }

    fn send_recipients(&mut self) {
        let count = if self.capabilities.pipelining { PIPELINE_MAX } else { 1 };
        let end = self.mail.recipients.len().min(self.sent + count);
        for at in self.sent..end {
            let mut command = format!("RCPT TO:<{}>", self.mail.recipients[at]);
            if self.capabilities.dsn {
                command.push_str(
                    &self
                        .mail
                        .dsn
                        .of_recipient(self.capabilities.smtputf8 && self.needs_smtputf8()),
                );
            }
            self.send(Expect::Rcpt(at), command);
        }
        self.sent = end;
    }

    // When all that was sent of the envelope is answered: the rest of it, DATA, or the end.
    fn after_envelope(&mut self) {
        if !self.expected.is_empty() {
            return;
        }
        if !self.mail_refused && self.sent < self.mail.recipients.len() {
            self.send_recipients();
        } else if self.accepted.is_empty() {
            self.quit();
        } else {
            self.send(Expect::Data, "DATA".to_owned());
        }
    }

    fn settle_rest(&mut self, reply: &Reply) {
        for settled in &mut self.settled {
            settled.get_or_insert_with(|| reply.clone());
        }
    }

    fn quit(&mut self) {
        self.send(Expect::Quit, "QUIT".to_owned());
    }

    // Neighbouring commands go out together.
    fn send(&mut self, expect: Expect, command: String) {
        // Addresses have no control characters; a configured name might.
        let command: String = command.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let line = command.bytes().chain(*b"\r\n");
        match self.actions.back_mut() {
            Some(Action::Write(bytes)) => bytes.extend(line),
            _ => self.actions.push_back(Action::Write(line.collect())),
        }
        self.expected.push_back((expect, command));
    }
}

// RFC 5321 §4.3.2: 3yz asks for more, which only DATA leads to, and DATA cannot end in 2yz:
// taken at its word, that would be a delivery without a message.
fn check_class(expect: Expect, reply: &Reply) -> Result<(), ClientError> {
    let fits = match expect {
        Expect::Data => !reply.is_positive(),
        _ => reply.code() / 100 != 3,
    };
    fits.then_some(())
        .ok_or(ClientError::BadReply("its code cannot answer the command"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn client(door: Door, starttls: StartTls, recipients: &[&str]) -> Client {
        let options = ClientOptions {
            door,
            hostname: "mta\r\nx".to_owned(),
            starttls,
            line_ends: LineEnds::Crlf,
        };
        let mail = Mail {
            reverse_path: ReversePath::Null,
            recipients: recipients.iter().copied().map(address).collect(),
            size: Some(7),
            eight_bit: true,
            smtputf8: false,
            dsn: Dsn::default(),
        };
        Client::new(options, mail)
    }

    /// Plays the client against a script of the server's bytes; what it sends comes back as text.
    fn play(client: &mut Client, server: &str) -> (String, Result<Report, ClientError>) {
        let (mut sent, mut input) = (String::new(), server.as_bytes());
        loop {
            match client.next(input) {
                Err(error) => return (sent, Err(error)),
                Ok((consumed, action)) => {
                    input = &input[consumed..];
                    match action {
                        Action::Read => return (sent, client.closed()),
                        Action::Write(bytes) => sent.push_str(std::str::from_utf8(&bytes).unwrap()),
                        Action::Said(_) => {}
                        Action::StartTls => {
                            sent.push_str("(tls)\r\n");
                            client.tls_started();
                        }
                        Action::Content => {
                            sent.push_str("(content)\r\n");
                            client.content_sent();
                        }
                        Action::Done(report) => return (sent, Ok(report)),
                    }
                }
            }
        }
    }

    fn replies(result: Result<Report, ClientError>) -> Vec<u16> {
        result
            .unwrap()
            .recipients
            .iter()
            .map(|(_, reply)| reply.code())
            .collect()
    }

    #[test]
    fn lmtp_settles_each_recipient() {
        let mut client = client(
            Door::Lmtp,
            StartTls::Never,
            &["ann@example.org", "bob@example.org", "c@example.org"],
        );
        let server = "220 x\r\n250-x\r\n250-PIPELINING\r\n250-SIZE 100\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n\
                      550 5.1.1 no\r\n250 ok\r\n354 go\r\n250 2.1.5 ann\r\n452 4.2.2 c\r\n221 bye\r\n";
        let (sent, result) = play(&mut client, server);
        assert_eq!(
            sent,
            "LHLO mta??x\r\nMAIL FROM:<> SIZE=7 BODY=8BITMIME\r\nRCPT TO:<ann@example.org>\r\n\
             RCPT TO:<bob@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n(content)\r\nQUIT\r\n"
        );
        assert_eq!(replies(result), [250, 550, 452]);
    }

    #[test]
    fn smtp_has_one_reply_and_helo() {
        let mut client = client(Door::Smtp, StartTls::IfOffered, &["ann@example.org", "bob@example.org"]);
        let server = "220 x\r\n502 no\r\n250 x\r\n250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n250 ok\r\n";
        let (sent, result) = play(&mut client, server);
        assert_eq!(
            sent,
            "EHLO mta??x\r\nHELO mta??x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.org>\r\n\
             RCPT TO:<bob@example.org>\r\nDATA\r\n(content)\r\nQUIT\r\n"
        );
        assert_eq!(replies(result), [250, 550]);
    }

    #[test]
    fn refusals_end_early() {
        for (server, expected) in [
            ("220 x\r\n250 x\r\n451 no\r\n221 x\r\n", Ok(vec![451])),
            (
                "220 x\r\n250-x\r\n250 PIPELINING\r\n550 no\r\n503 no\r\n221 x\r\n",
                Ok(vec![550]),
            ),
            ("220 x\r\n250 x\r\n250 ok\r\n550 no\r\n221 x\r\n", Ok(vec![550])),
            ("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n452 no\r\n", Ok(vec![452])),
            ("554 no\r\n", Err(false)),
            ("421 no\r\n", Err(true)),
            ("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 x\r\n", Err(true)),
            ("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n250 x\r\n", Err(true)),
            ("220 x\r\n250 x\r\n354 ok\r\n", Err(true)),
            ("hello\r\n", Err(true)),
        ] {
            let (_, result) = play(&mut client(Door::Smtp, StartTls::Never, &["ann@example.org"]), server);
            match expected {
                Ok(codes) => assert_eq!(replies(result), codes, "{server}"),
                Err(temporary) => assert_eq!(result.unwrap_err().is_temporary(), temporary, "{server}"),
            }
        }
    }

    #[test]
    fn starttls_forgets_what_was_said_before() {
        let script = "220 x\r\n250-x\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n";
        let mut first = client(Door::Smtp, StartTls::Required, &["ann@example.org"]);
        let (_, injected) = play(&mut first, &format!("{script}220 go\r\n250 x\r\n"));
        assert!(matches!(injected, Err(ClientError::PlaintextAfterStartTls)));

        let mut second = client(Door::Smtp, StartTls::Required, &["ann@example.org"]);
        let (sent, _) = play(&mut second, &format!("{script}220 go\r\n"));
        assert!(sent.ends_with("STARTTLS\r\n(tls)\r\nEHLO mta??x\r\n"), "{sent}");
        assert!(!second.capabilities.smtputf8);
        let (sent, result) = play(
            &mut second,
            "250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n",
        );
        assert!(sent.starts_with("MAIL FROM:<>\r\n"), "{sent}");
        assert_eq!(replies(result), [250]);

        let mut third = client(Door::Smtp, StartTls::Required, &["ann@example.org"]);
        let (_, missing) = play(&mut third, "220 x\r\n250 x\r\n");
        assert!(matches!(missing, Err(ClientError::TlsMissing)));
    }

    #[test]
    fn notifications_are_asked_for_where_dsn_is_offered() {
        let mut dsn = client(Door::Smtp, StartTls::Never, &["bob@example.org"]);
        let ann = address("ann@example.org");
        dsn.mail.dsn.message.ret = Some(crate::mail::Ret::Hdrs);
        dsn.mail.dsn.recipient.notify = crate::mail::Notify::parse("SUCCESS");
        dsn.mail.dsn.recipient.orcpt = Some(orcpt(&ann));
        let rest = "250 ok\r\n250 ok\r\n354 go\r\n250 ok\r\n221 bye\r\n";
        let (sent, _) = play(&mut dsn, &format!("220 x\r\n250-x\r\n250 DSN\r\n{rest}"));
        let asked =
            "MAIL FROM:<> RET=HDRS\r\nRCPT TO:<bob@example.org> NOTIFY=SUCCESS ORCPT=rfc822;ann@example.org\r\n";
        assert!(sent.contains(asked), "{sent}");
        let mut none = client(Door::Smtp, StartTls::Never, &["bob@example.org"]);
        none.mail.dsn = dsn.mail.dsn.clone();
        let (sent, _) = play(&mut none, &format!("220 x\r\n250 x\r\n{rest}"));
        assert!(sent.contains("MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\n"), "{sent}");
    }

    #[test]
    fn smtputf8_is_asked_for_or_missed() {
        let mut with = client(Door::Smtp, StartTls::Never, &["jörg@example.org"]);
        let (sent, _) = play(&mut with, "220 x\r\n250-x\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
        assert!(sent.ends_with("MAIL FROM:<> BODY=8BITMIME SMTPUTF8\r\n"), "{sent}");
        let mut without = client(Door::Smtp, StartTls::Never, &["jörg@example.org"]);
        let (_, result) = play(&mut without, "220 x\r\n250 x\r\n");
        assert!(matches!(result, Err(ClientError::Smtputf8Missing)));
    }
}

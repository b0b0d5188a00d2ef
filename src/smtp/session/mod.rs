//! One connection, seen from the counter: bytes in, steps out.

mod message;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use memchr::memchr;

use self::message::Incoming;
use super::command::{self, Command, Fault, MailParameters};
use super::forward::{self, Attributes};
use super::{Door, DotDecoder, Options, Reply};
use crate::mail::{Address, Client, Envelope, Forwarded, Protocol, Recipient, ReversePath, Tls};

/// Octets of a bad line that are read over before the connection is given up.
const SKIP_MAX: usize = 65_536;

/// What the server does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send what is gathered, read more, and call [`Session::next`] with the rest and the new bytes.
    NeedMore,
    /// Send this reply; it may wait until [`Step::NeedMore`] (RFC 2920 §3.2).
    Reply(Reply),
    /// Look the recipient up, then call [`Session::recipient_accepted`] or
    /// [`Session::recipient_refused`]; until then the step comes again.
    Recipient(Recipient),
    /// A message begins: open a spool, or call [`Session::message_refused`] now.
    MessageStart,
    /// This range of the bytes shown is message content, as the message is: unstuffed, not framed.
    Content(Range<usize>),
    /// The message begun will not end (too large, RSET): drop the spool. What is to
    /// be said to the client follows as replies.
    MessageDropped,
    /// The message is whole: deliver, then answer. LMTP: one reply for each recipient
    /// of the envelope, in order; SMTP: one. The session is ready for the next message.
    MessageEnd(Box<Envelope>),
    /// The client waits for TLS to begin: send what is gathered, forget every byte that was read
    /// (RFC 3207 §5: whatever stands behind STARTTLS in the clear is an attack), shake hands, and
    /// call [`Session::tls_started`]; until then the step comes again.
    StartTls,
    /// Send this reply and close. There is no step after this one.
    Close(Reply),
}

/// The server's side of one connection; see the module for how to drive it.
///
/// How it reads, beyond RFC 5321: a command line ends only in CR LF. A line with a CR
/// or LF alone, with NUL, or longer than [`Options::command_line`] is one bad command
/// up to its true CR LF: answered once, at once, and read over, so that nothing in it
/// can be taken for another command.
#[derive(Debug)]
pub struct Session {
    options: Arc<Options>,
    peer: Option<IpAddr>,
    state: State,
    tls: Option<Tls>,
    trusted: bool,
    forwarded: Forwarded,
    steps: VecDeque<Step>,
    hello: Option<Hello>,
    transaction: Option<Transaction>,
    errors: usize,
    idle_commands: usize,
}

#[derive(Debug)]
struct Hello {
    name: String,
    extended: bool,
}

#[derive(Debug)]
enum State {
    /// The next bytes are a command line.
    Command,
    /// A bad line, already answered, up to its CR LF.
    Skip { after_cr: bool, octets: usize },
    /// A recipient is being looked up.
    Lookup(Recipient),
    /// STARTTLS was answered, and TLS has not begun.
    StartTls,
    /// DATA was read, and no 354 given yet.
    DataBegin,
    /// The next bytes are lines of the message.
    Data(DotDecoder),
    /// So many of the next bytes are a chunk (RFC 3030).
    Chunk {
        remaining: u64,
        size: u64,
        last: bool,
        /// The reply where no message may come now.
        out_of_order: Option<Reply>,
    },
    /// [`Step::Close`] was given.
    Closed(Reply),
}

/// From MAIL to the end of the message.
#[derive(Debug)]
struct Transaction {
    reverse_path: ReversePath,
    parameters: MailParameters,
    recipients: Vec<Recipient>,
    message: Option<Incoming>,
}

/// What became of the bytes shown.
enum Advance {
    More,
    Consumed(usize),
    Content(Range<usize>),
}

impl Session {
    /// A session that was not greeted yet; `peer` is none over a Unix socket.
    #[must_use]
    pub fn new(options: Arc<Options>, peer: Option<IpAddr>) -> Session {
        Session {
            options,
            peer,
            tls: None,
            trusted: false,
            forwarded: Forwarded::default(),
            state: State::Command,
            steps: VecDeque::new(),
            hello: None,
            transaction: None,
            errors: 0,
            idle_commands: 0,
        }
    }

    /// The peer may say for whom it speaks, by XCLIENT and XFORWARD.
    pub fn trust_peer(&mut self) {
        self.trusted = true;
    }

    /// TLS has begun: after [`Step::StartTls`], or before the greeting where the door speaks TLS from
    /// the start. What the client said before does not count (RFC 3207 §4.2).
    pub fn tls_started(&mut self, tls: Tls) {
        self.tls = Some(tls);
        self.begin_anew();
        if matches!(self.state, State::StartTls) {
            self.state = State::Command;
        }
    }

    /// The 220 to begin with.
    #[must_use]
    pub fn greeting(&self) -> Reply {
        let protocol = match self.options.door {
            Door::Lmtp => "LMTP",
            Door::Smtp => "ESMTP",
        };
        Reply::plain(220, &format!("{} {protocol} postroom", self.options.hostname))
    }

    /// The next step, and how many bytes of `input` are done with.
    ///
    /// `input` is all that was read and not yet consumed. The bytes consumed are to be
    /// forgotten after the step was carried out; a range in the step counts from the
    /// start of `input`. What stays unconsumed at [`Step::NeedMore`] is shorter than
    /// [`Options::command_line`] (of which 64 is the least).
    pub fn next(&mut self, input: &[u8]) -> (usize, Step) {
        let mut consumed = 0;
        loop {
            if let Some(step) = self.steps.pop_front() {
                return (consumed, step);
            }
            match self.advance(&input[consumed..]) {
                Advance::More => return (consumed, Step::NeedMore),
                Advance::Consumed(length) => consumed += length,
                Advance::Content(range) => {
                    let range = consumed + range.start..consumed + range.end;
                    return (range.end, Step::Content(range));
                }
            }
        }
    }

    /// The recipient of [`Step::Recipient`] exists; the reply comes as a step.
    pub fn recipient_accepted(&mut self) {
        if let Some(recipient) = self.looked_up() {
            if let Some(transaction) = &mut self.transaction {
                transaction.recipients.push(recipient);
            }
            self.reply(Reply::new(250, (2, 1, 5), "OK"));
        }
    }

    /// The recipient of [`Step::Recipient`] is refused; the reply comes as a step.
    pub fn recipient_refused(&mut self, reply: Reply) {
        if self.looked_up().is_some() {
            self.reply_without_mail(reply);
        }
    }

    /// Whether a message is coming in: a server that stops lets it come to its end.
    #[must_use]
    pub fn in_message(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.message.is_some())
    }

    /// MAIL FROM of the present transaction.
    #[must_use]
    pub fn reverse_path(&self) -> Option<&ReversePath> {
        self.transaction.as_ref().map(|t| &t.reverse_path)
    }

    /// The size that MAIL declared for the present transaction, in bytes (RFC 1870).
    #[must_use]
    pub fn declared_size(&self) -> Option<u64> {
        self.transaction.as_ref().and_then(|t| t.parameters.size)
    }

    /// Whether the present transaction asked for SMTPUTF8, so that replies may have UTF-8.
    #[must_use]
    pub fn smtputf8(&self) -> bool {
        self.transaction.as_ref().is_some_and(|t| t.parameters.smtputf8)
    }

    /// Who the client is, by its address and its own words.
    #[must_use]
    pub fn client(&self) -> Client {
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let protocol = match (self.options.door, self.smtputf8(), self.tls.is_some()) {
            (Door::Lmtp, false, false) => Protocol::Lmtp,
            (Door::Lmtp, false, true) => Protocol::Lmtps,
            (Door::Lmtp, true, false) => Protocol::Utf8Lmtp,
            (Door::Lmtp, true, true) => Protocol::Utf8Lmtps,
            (Door::Smtp, true, false) => Protocol::Utf8Smtp,
            (Door::Smtp, true, true) => Protocol::Utf8Smtps,
            (Door::Smtp, false, false) if extended => Protocol::Esmtp,
            (Door::Smtp, false, true) if extended => Protocol::Esmtps,
            (Door::Smtp, false, _) => Protocol::Smtp,
        };
        Client {
            helo: self.hello.as_ref().map_or_else(String::new, |hello| hello.name.clone()),
            address: self.peer,
            protocol,
            tls: self.tls.clone(),
            forwarded: self.forwarded.clone(),
        }
    }

    fn advance(&mut self, input: &[u8]) -> Advance {
        match &self.state {
            State::Command => self.line(input),
            State::Skip { after_cr, octets } => self.skip(input, *after_cr, *octets),
            State::Lookup(recipient) => {
                self.steps.push_back(Step::Recipient(recipient.clone()));
                Advance::Consumed(0)
            }
            State::StartTls => {
                self.steps.push_back(Step::StartTls);
                Advance::Consumed(0)
            }
            State::DataBegin => {
                self.state = State::Data(DotDecoder::new());
                self.reply(Reply::plain(354, "End with a dot on a line of its own"));
                Advance::Consumed(0)
            }
            State::Data(_) => self.data(input),
            State::Chunk { .. } => self.chunk(input),
            State::Closed(reply) => {
                self.steps.push_back(Step::Close(reply.clone()));
                Advance::Consumed(0)
            }
        }
    }

    // RFC 5321 §2.3.8: lines end in CR LF, and in nothing else.
    fn line(&mut self, input: &[u8]) -> Advance {
        let limit = self.options.command_line.max(64);
        let window = &input[..input.len().min(limit)];
        match memchr(b'\n', window) {
            Some(at) if at > 0 && window[at - 1] == b'\r' => {
                self.command(&window[..at - 1]);
                Advance::Consumed(at + 1)
            }
            Some(at) => self.bad_line(&window[..=at], "Lines end with CR LF"),
            None if window.len() == limit => self.bad_line(window, "Line too long"),
            None => Advance::More,
        }
    }

    fn bad_line(&mut self, start: &[u8], text: &str) -> Advance {
        let reply = Reply::new(500, (5, 5, 2), text);
        // Its octets are content, and nobody knows how many they are.
        if command::is_bdat(start) {
            self.close(reply);
            return Advance::Consumed(start.len());
        }
        self.state = State::Skip {
            after_cr: start.ends_with(b"\r"),
            octets: start.len(),
        };
        self.bad(reply);
        Advance::Consumed(start.len())
    }

    fn skip(&mut self, input: &[u8], after_cr: bool, octets: usize) -> Advance {
        if input.is_empty() {
            return Advance::More;
        }
        if after_cr && input[0] == b'\n' {
            self.state = State::Command;
            return Advance::Consumed(1);
        }
        let window = &input[..input.len().min(SKIP_MAX.saturating_sub(octets).max(1))];
        if let Some(at) = memchr::memmem::find(window, b"\r\n") {
            self.state = State::Command;
            return Advance::Consumed(at + 2);
        }
        if octets + window.len() >= SKIP_MAX {
            self.close(Reply::too_many_errors());
        } else {
            self.state = State::Skip {
                after_cr: window.ends_with(b"\r"),
                octets: octets + window.len(),
            };
        }
        Advance::Consumed(window.len())
    }

    fn command(&mut self, line: &[u8]) {
        match command::parse(line, self.options.door) {
            Ok(command) => self.obey(command),
            Err(Fault::Reply(reply)) => self.bad(reply),
            Err(Fault::Lost) => self.close(Reply::new(501, (5, 5, 4), "Cannot read the size of the chunk, closing")),
        }
    }

    fn obey(&mut self, command: Command) {
        if self.options.require_tls && self.tls.is_none() && !may_precede_tls(&command) {
            // Octets of a chunk are read over all the same.
            if let Command::Bdat(chunk) = command {
                return self.begin_chunk(chunk);
            }
            return self.bad(Reply::new(530, (5, 7, 0), "Say STARTTLS first"));
        }
        match command {
            Command::Hello { name, extended } => self.hello(name, extended),
            Command::Mail { .. } if self.hello.is_none() => self.bad(out_of_order("Say hello first")),
            Command::Mail { .. } if self.transaction.is_some() => self.bad(out_of_order("MAIL was already given")),
            Command::Mail {
                reverse_path,
                parameters,
            } => self.mail(reverse_path, parameters),
            Command::Rcpt(recipient) => self.rcpt(recipient),
            Command::Data => self.begin_data(),
            Command::Bdat(chunk) => self.begin_chunk(chunk),
            Command::Rset => {
                self.reset();
                self.reply_without_mail(Reply::new(250, (2, 0, 0), "OK"));
            }
            Command::Noop => self.reply_without_mail(Reply::new(250, (2, 0, 0), "OK")),
            // RFC 5321 §3.5.3: nobody is told who lives here.
            Command::Vrfy => self.reply_without_mail(Reply::new(252, (2, 0, 0), "Send mail and see")),
            Command::Help => self.reply_without_mail(Reply::new(214, (2, 0, 0), "See RFC 5321 and RFC 2033")),
            Command::StartTls => self.start_tls(),
            Command::Xclient(attributes) => self.xclient(&attributes),
            Command::Xforward(attributes) => self.xforward(attributes),
            Command::Quit => self.close(Reply::new(221, (2, 0, 0), "Bye")),
        }
    }

    fn hello(&mut self, name: String, extended: bool) {
        // RFC 5321 §4.1.4: as RSET.
        self.reset();
        self.hello = Some(Hello { name, extended });
        let mut text = self.options.hostname.clone();
        if extended {
            text.push_str("\nPIPELINING");
            // RFC 1870 §4: 0 stands for no fixed limit.
            text.push_str(&format!("\nSIZE {}", self.options.message_size));
            text.push_str("\n8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nCHUNKING\nBINARYMIME\nDSN");
            if self.options.door == Door::Smtp {
                text.push_str("\nPRDR");
            }
            if self.offers_tls() {
                text.push_str("\nSTARTTLS");
            }
            if self.trusted {
                text.push_str(&format!("\n{}\n{}", forward::XCLIENT, forward::XFORWARD));
            }
        }
        self.reply_without_mail(Reply::plain(250, &text));
    }

    fn mail(&mut self, reverse_path: ReversePath, parameters: MailParameters) {
        let limit = self.options.message_size;
        if limit > 0 && parameters.size.is_some_and(|size| size > limit) {
            return self.reply_without_mail(Reply::too_large(limit));
        }
        if let Some(address) = reverse_path.address() {
            if !parameters.smtputf8 && !address.is_ascii() {
                return self.reply_without_mail(needs_smtputf8());
            }
            if !self.may_be_bare(address) {
                return self.bad(Reply::new(501, (5, 1, 7), "The sender address needs a domain"));
            }
        }
        self.transaction = Some(Transaction {
            reverse_path,
            parameters,
            recipients: Vec::new(),
            message: None,
        });
        self.reply_without_mail(Reply::new(250, (2, 1, 0), "OK"));
    }

    fn rcpt(&mut self, recipient: Recipient) {
        let address = &recipient.address;
        let Some(transaction) = &self.transaction else {
            return self.bad(out_of_order("MAIL comes first"));
        };
        if transaction.message.is_some() {
            return self.bad(out_of_order("The message has begun"));
        }
        if transaction.recipients.len() >= self.options.recipients {
            // Not counted: to close now would cost the recipients that were accepted.
            return self.reply(Reply::too_many_recipients());
        }
        if !transaction.parameters.smtputf8 && !address.is_ascii() {
            return self.reply_without_mail(needs_smtputf8());
        }
        if !self.may_be_bare(address) {
            return self.bad(Reply::new(501, (5, 1, 3), "The recipient address needs a domain"));
        }
        self.state = State::Lookup(recipient);
    }

    // RFC 5321 §4.5.1: SMTP has `<postmaster>` alone; to LMTP system users are known by their names.
    fn may_be_bare(&self, address: &Address) -> bool {
        !address.domain().is_empty()
            || self.options.door == Door::Lmtp
            || address.local().eq_ignore_ascii_case("postmaster")
    }

    fn looked_up(&mut self) -> Option<Recipient> {
        match std::mem::replace(&mut self.state, State::Command) {
            State::Lookup(recipient) => Some(recipient),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn offers_tls(&self) -> bool {
        self.options.starttls && self.tls.is_none()
    }

    fn start_tls(&mut self) {
        if !self.options.starttls {
            return self.bad(Reply::new(502, (5, 5, 1), "Command not implemented"));
        }
        if self.tls.is_some() {
            return self.bad(out_of_order("TLS has begun already"));
        }
        if self.transaction.is_some() {
            return self.bad(out_of_order("STARTTLS is not for the middle of a message"));
        }
        self.reply(Reply::new(220, (2, 0, 0), "Begin TLS"));
        self.state = State::StartTls;
    }

    // The client in whose name the peer speaks from now on: it is greeted as one that has just come.
    fn xclient(&mut self, attributes: &Attributes) {
        if let Some(refusal) = self.refuses_to_hear() {
            return self.bad(refusal);
        }
        if let Some(address) = attributes.address() {
            self.peer = address;
        }
        self.begin_anew();
        let greeting = self.greeting();
        self.reply_without_mail(greeting);
    }

    fn xforward(&mut self, attributes: Attributes) {
        if let Some(refusal) = self.refuses_to_hear() {
            return self.bad(refusal);
        }
        attributes.add_to(&mut self.forwarded);
        self.reply_without_mail(Reply::new(250, (2, 0, 0), "OK"));
    }

    fn refuses_to_hear(&self) -> Option<Reply> {
        match (self.trusted, &self.transaction) {
            (false, _) => Some(Reply::new(550, (5, 7, 0), "You may not speak for others")),
            (true, Some(_)) => Some(out_of_order("Say this before MAIL")),
            (true, None) => None,
        }
    }

    fn begin_anew(&mut self) {
        self.reset();
        self.hello = None;
    }

    fn reset(&mut self) {
        self.forwarded = Forwarded::default();
        let message = self.transaction.take().and_then(|transaction| transaction.message);
        if message.is_some_and(|message| message.refusal.is_none()) {
            self.steps.push_back(Step::MessageDropped);
        }
    }

    fn reply(&mut self, reply: Reply) {
        self.steps.push_back(Step::Reply(reply));
    }

    fn reply_without_mail(&mut self, reply: Reply) {
        self.idle_commands += 1;
        if self.idle_commands > self.options.commands_without_mail {
            return self.close(Reply::too_many_errors());
        }
        self.reply(reply);
    }

    fn bad(&mut self, reply: Reply) {
        self.errors += 1;
        if self.errors > self.options.errors {
            return self.close(Reply::too_many_errors());
        }
        self.reply(reply);
    }

    fn close(&mut self, reply: Reply) {
        self.state = State::Closed(reply);
    }
}

// RFC 3207 §4: NOOP, EHLO, STARTTLS and QUIT; RSET and HELP do no harm.
fn may_precede_tls(command: &Command) -> bool {
    matches!(
        command,
        Command::Hello { .. } | Command::Noop | Command::StartTls | Command::Quit | Command::Rset | Command::Help
    )
}

fn out_of_order(text: &str) -> Reply {
    Reply::new(503, (5, 5, 1), text)
}

fn needs_smtputf8() -> Reply {
    Reply::new(553, (5, 6, 7), "A UTF-8 address needs the parameter SMTPUTF8")
}

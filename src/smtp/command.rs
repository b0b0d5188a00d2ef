//! Commands: one line, once, to a checked value (RFC 5321 §4.1.1).

use super::forward::{self, Attributes};
use super::{Door, Reply, path, xtext};
use crate::mail::{Address, MessageDsn, Notify, Recipient, Ret, ReversePath};

/// Octets of the name a client gives itself (RFC 5321 §4.5.3.1.2).
const NAME_MAX: usize = 255;
/// Characters of ORCPT (RFC 3461 §4.2) and of ENVID (§4.4).
const ORCPT_MAX: usize = 500;
const ENVID_MAX: usize = 100;

/// A command that is well formed and that this door knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// LHLO, EHLO (`extended`) or HELO.
    Hello {
        name: String,
        extended: bool,
    },
    Mail {
        reverse_path: ReversePath,
        parameters: MailParameters,
    },
    Rcpt(Recipient),
    Data,
    Bdat(Chunk),
    Rset,
    Noop,
    Vrfy,
    Help,
    StartTls,
    Xclient(Attributes),
    Xforward(Attributes),
    Quit,
}

/// The parameters of MAIL that we announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MailParameters {
    /// RFC 1870.
    pub(super) size: Option<u64>,
    /// RFC 6531.
    pub(super) smtputf8: bool,
    /// BODY=BINARYMIME (RFC 3030 §3).
    pub(super) binary: bool,
    /// RET and ENVID (RFC 3461).
    pub(super) dsn: MessageDsn,
    /// A reply for each recipient after the message (PRDR, as Exim has it).
    pub(super) prdr: bool,
}

/// BDAT (RFC 3030 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    /// Octets that follow the line, whatever the reply.
    pub(super) size: u64,
    pub(super) last: bool,
    /// What is wrong with the rest of the line.
    pub(super) fault: Option<Reply>,
}

/// Why a line is not a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The reply; the next line is a command again.
    Reply(Reply),
    /// A BDAT whose size cannot be read: nobody knows where the next command begins,
    /// and to guess would let content pass for commands.
    Lost,
}

impl From<Reply> for Fault {
    fn from(reply: Reply) -> Fault {
        Fault::Reply(reply)
    }
}

/// Whether a line, even a broken one, begins with BDAT.
pub(super) fn is_bdat(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"BDAT"))
}

/// Parses a line without its CRLF.
pub(super) fn parse(line: &[u8], door: Door) -> Result<Command, Fault> {
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains(forbidden));
    let Some(text) = text else {
        return Err(if is_bdat(line) {
            Fault::Lost
        } else {
            syntax("Invalid characters").into()
        });
    };
    let text = text.trim_end_matches([' ', '\t']);
    let (verb, argument) = text.split_once(' ').unwrap_or((text, ""));
    let bare = |command: Command| match argument {
        "" => Ok(command),
        _ => Err(bad_argument("No argument is allowed here").into()),
    };
    match (verb.to_ascii_uppercase().as_str(), door) {
        ("LHLO", Door::Lmtp) | ("EHLO", Door::Smtp) => hello(argument, true),
        ("HELO", Door::Smtp) => hello(argument, false),
        // RFC 2033 §4.1: HELO and EHLO are not LMTP's, and LHLO is not SMTP's.
        ("HELO" | "EHLO", Door::Lmtp) => Err(unknown("This is LMTP, say LHLO").into()),
        ("LHLO", Door::Smtp) => Err(unknown("This is SMTP, say EHLO").into()),
        ("MAIL", _) => Ok(mail(argument, door)?),
        ("RCPT", _) => Ok(rcpt(argument)?),
        ("DATA", _) => bare(Command::Data),
        ("BDAT", _) => bdat(argument),
        ("RSET", _) => bare(Command::Rset),
        ("QUIT", _) => bare(Command::Quit),
        ("NOOP", _) => Ok(Command::Noop),
        ("HELP", _) => Ok(Command::Help),
        ("VRFY", _) if argument.is_empty() => Err(bad_argument("VRFY needs an argument").into()),
        ("VRFY", _) => Ok(Command::Vrfy),
        ("STARTTLS", _) => bare(Command::StartTls),
        ("XCLIENT", _) => Ok(Command::Xclient(forward::parse(argument)?)),
        ("XFORWARD", _) => Ok(Command::Xforward(forward::parse(argument)?)),
        ("EXPN" | "AUTH" | "ETRN" | "TURN" | "SEND" | "SOML" | "SAML", _) => {
            Err(Reply::new(502, (5, 5, 1), "Command not implemented").into())
        }
        _ if is_bdat(line) => Err(Fault::Lost),
        _ => Err(unknown("Command not recognized").into()),
    }
}

// All control characters but TAB; CR, LF and NUL above all.
fn forbidden(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

fn syntax(text: &str) -> Reply {
    Reply::new(501, (5, 5, 2), text)
}

fn bad_argument(text: &str) -> Reply {
    Reply::new(501, (5, 5, 4), text)
}

fn unknown(text: &str) -> Reply {
    Reply::new(500, (5, 5, 1), text)
}

// RFC 5321 §4.1.1.1. Names that are no domain are taken: clients have them, and
// nothing rests on them; only what could not stand in a Received field is refused.
fn hello(argument: &str, extended: bool) -> Result<Command, Fault> {
    let name = argument.trim();
    let speakable = |c: char| !c.is_control() && !c.is_whitespace() && !"()<>\\\";".contains(c);
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(speakable) {
        return Err(bad_argument("A host name is needed").into());
    }
    Ok(Command::Hello {
        name: name.to_owned(),
        extended,
    })
}

// RFC 5321 §4.1.1.2: mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF
fn mail(argument: &str, door: Door) -> Result<Command, Reply> {
    let path = keyword(argument, "FROM:").ok_or_else(|| bad_argument("Write MAIL FROM:<address>"))?;
    let bad = || Reply::new(501, (5, 1, 7), "Bad sender address syntax");
    let (address, rest) = path::parse(path).ok_or_else(bad)?;
    let reverse_path = address.map_or(ReversePath::Null, ReversePath::Address);
    let mut parameters = MailParameters::default();
    let mut seen: Vec<String> = Vec::new();
    for parameter in split_parameters(rest).ok_or_else(bad)? {
        let (name, value) = parameter
            .split_once('=')
            .map_or((parameter, None), |(n, v)| (n, Some(v)));
        let name = name.to_ascii_uppercase();
        if seen.contains(&name) {
            return Err(bad_argument("A parameter stands twice"));
        }
        mail_parameter(&name, value, door, &mut parameters)?;
        seen.push(name);
    }
    Ok(Command::Mail {
        reverse_path,
        parameters,
    })
}

fn mail_parameter(name: &str, value: Option<&str>, door: Door, parameters: &mut MailParameters) -> Result<(), Reply> {
    match (name, value) {
        ("SIZE", Some(value)) => {
            let size = size_value(value).ok_or_else(|| bad_argument("SIZE needs a number"))?;
            parameters.size = Some(size);
        }
        ("SIZE", None) => return Err(bad_argument("SIZE needs a number")),
        // RFC 6152; we keep eight bits in any case.
        ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") || value.eq_ignore_ascii_case("8BITMIME") => {}
        ("BODY", Some(value)) if value.eq_ignore_ascii_case("BINARYMIME") => parameters.binary = true,
        ("BODY", _) => return Err(bad_argument("BODY is 7BIT, 8BITMIME or BINARYMIME")),
        ("SMTPUTF8", None) => parameters.smtputf8 = true,
        ("SMTPUTF8", Some(_)) => return Err(bad_argument("SMTPUTF8 has no value")),
        ("RET", value) => {
            let ret = value.and_then(Ret::parse);
            parameters.dsn.ret = Some(ret.ok_or_else(|| bad_argument("RET is FULL or HDRS"))?);
        }
        ("ENVID", value) => {
            let envid = value.filter(|value| (1..=ENVID_MAX).contains(&value.len()));
            let envid = envid.and_then(xtext::decode);
            parameters.dsn.envid = Some(envid.ok_or_else(|| bad_argument("ENVID is 1 to 100 characters of xtext"))?);
        }
        // LMTP answers for each recipient in any case.
        ("PRDR", None) if door == Door::Smtp => parameters.prdr = true,
        ("PRDR", Some(_)) if door == Door::Smtp => return Err(bad_argument("PRDR has no value")),
        _ => return Err(unknown_parameter(name)),
    }
    Ok(())
}

// RFC 1870 §3: 1*20DIGIT. What 64 bits cannot hold is larger than any limit.
fn size_value(text: &str) -> Option<u64> {
    let digits = (1..=20).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn not_implemented() -> Reply {
    Reply::new(555, (5, 5, 4), "This parameter is not implemented")
}

// RFC 5321 §4.1.1.11: esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
fn unknown_parameter(name: &str) -> Reply {
    if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        not_implemented()
    } else {
        bad_argument("Bad parameter syntax")
    }
}

// RFC 5321 §4.1.1.3: rcpt = "RCPT TO:" ( ... / Forward-path ) [SP Rcpt-parameters] CRLF
fn rcpt(argument: &str) -> Result<Command, Reply> {
    let path = keyword(argument, "TO:").ok_or_else(|| bad_argument("Write RCPT TO:<address>"))?;
    let bad = || Reply::new(501, (5, 1, 3), "Bad recipient address syntax");
    let (address, rest) = path::parse(path).ok_or_else(bad)?;
    let address = address.ok_or_else(bad)?;
    let mut recipient = Recipient::new(address);
    for parameter in split_parameters(rest).ok_or_else(bad)? {
        let (name, value) = parameter
            .split_once('=')
            .map_or((parameter, None), |(n, v)| (n, Some(v)));
        rcpt_parameter(&name.to_ascii_uppercase(), value, &mut recipient)?;
    }
    Ok(Command::Rcpt(recipient))
}

fn rcpt_parameter(name: &str, value: Option<&str>, recipient: &mut Recipient) -> Result<(), Reply> {
    let given_before = match name {
        "NOTIFY" => recipient.dsn.notify.is_some(),
        "ORCPT" => recipient.dsn.orcpt.is_some(),
        _ => return Err(unknown_parameter(name)),
    };
    if given_before {
        return Err(bad_argument("A parameter stands twice"));
    }
    if name == "NOTIFY" {
        let notify = value.and_then(Notify::parse);
        let notify = notify.ok_or_else(|| bad_argument("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY"))?;
        recipient.dsn.notify = Some(notify);
        return Ok(());
    }
    let value = value.filter(|value| value.len() <= ORCPT_MAX);
    let (kind, address) = value
        .and_then(orcpt)
        .ok_or_else(|| bad_argument("ORCPT is a type, `;` and an address in xtext"))?;
    // RFC 3461 §4.2, RFC 6533 §3: addresses of these two types are addresses of ours.
    if ["rfc822", "utf-8"].iter().any(|known| kind.eq_ignore_ascii_case(known)) {
        recipient.original = Address::parse(&address).ok();
    }
    recipient.dsn.orcpt = Some(format!("{kind};{address}"));
    Ok(())
}

// RFC 3461 §4.2: original-recipient-address = addr-type ";" xtext, and the type is an atom.
fn orcpt(value: &str) -> Option<(&str, String)> {
    let (kind, address) = value.split_once(';')?;
    let is_type = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let address = xtext::decode_address(kind, address).filter(|address| !address.is_empty())?;
    is_type.then_some((kind, address))
}

// A space after the colon is not in the grammar, but in many clients.
fn keyword<'a>(argument: &'a str, keyword: &str) -> Option<&'a str> {
    let argument = argument.trim_start_matches(' ');
    let head = argument.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword)
        .then(|| argument[keyword.len()..].trim_start_matches(' '))
}

// What follows a path: nothing, or a space and parameters.
fn split_parameters(rest: &str) -> Option<impl Iterator<Item = &str>> {
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.split(' ').filter(|parameter| !parameter.is_empty()))
}

// RFC 3030 §2: bdat-cmd ::= "BDAT" SP chunk-size [ SP end-marker ] CR LF
fn bdat(argument: &str) -> Result<Command, Fault> {
    let mut words = argument.split(' ').filter(|word| !word.is_empty());
    let digits = |word: &&str| word.bytes().all(|b| b.is_ascii_digit());
    let size = words.next().filter(digits).and_then(|word| word.parse().ok());
    let Some(size) = size else {
        return Err(Fault::Lost);
    };
    let marker = words.next();
    let last = marker.is_some_and(|word| word.eq_ignore_ascii_case("LAST"));
    let well_formed = (marker.is_none() || last) && words.next().is_none();
    let fault = (!well_formed).then(|| bad_argument("Write BDAT size [LAST]"));
    Ok(Command::Bdat(Chunk { size, last, fault }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(line: &[u8], door: Door) -> String {
        match parse(line, door) {
            Ok(command) => format!("{command:?}"),
            Err(Fault::Reply(reply)) => reply.to_string(),
            Err(Fault::Lost) => "lost".to_owned(),
        }
    }

    #[test]
    fn knows_its_door() {
        for (line, door, start) in [
            ("lhlo mta", Door::Lmtp, "Hello"),
            ("EHLO mta", Door::Smtp, "Hello"),
            ("HELO mta", Door::Smtp, "Hello"),
            ("LHLO mta", Door::Smtp, "500 5.5.1"),
            ("EHLO mta", Door::Lmtp, "500 5.5.1"),
            ("HELO mta", Door::Lmtp, "500 5.5.1"),
            ("LHLO", Door::Lmtp, "501 5.5.4"),
            ("LHLO a b", Door::Lmtp, "501 5.5.4"),
            ("LHLO (x)", Door::Lmtp, "501 5.5.4"),
            ("LHLO [IPv6:::1]", Door::Lmtp, "Hello"),
        ] {
            let outcome = outcome(line.as_bytes(), door);
            assert!(outcome.starts_with(start), "{line}: {outcome}");
        }
    }

    #[test]
    fn reads_mail() {
        for (line, path, size, smtputf8) in [
            ("MAIL FROM:<>", "", None, false),
            (
                "mail from:<ann@example.org> size=10 body=8bitmime",
                "ann@example.org",
                Some(10),
                false,
            ),
            ("MAIL FROM: <ann@example.org>  SMTPUTF8 ", "ann@example.org", None, true),
            (
                "MAIL FROM:<@a,@b:ann@example.org> SIZE=99999999999999999999",
                "ann@example.org",
                Some(u64::MAX),
                false,
            ),
        ] {
            let Ok(Command::Mail {
                reverse_path,
                parameters,
            }) = parse(line.as_bytes(), Door::Lmtp)
            else {
                panic!("{line}");
            };
            assert_eq!(reverse_path.to_string(), path);
            let expected = MailParameters {
                size,
                smtputf8,
                ..MailParameters::default()
            };
            assert_eq!(parameters, expected);
        }
    }

    #[test]
    fn refuses() {
        for (line, start) in [
            (&b""[..], "500 5.5.1"),
            (b"FOO", "500 5.5.1"),
            (b" NOOP", "500 5.5.1"),
            (b"EXPN x", "502 5.5.1"),
            (b"STARTTLS now", "501 5.5.4"),
            (b"XFORWARD", "501 5.5.4"),
            (b"VRFY", "501 5.5.4"),
            (b"DATA x", "501 5.5.4"),
            (b"NOOP \xff", "501 5.5.2"),
            (b"NOOP \rx", "501 5.5.2"),
            (b"NOOP\0", "501 5.5.2"),
            (b"MAIL", "501 5.5.4"),
            (b"MAIL FROM ann", "501 5.5.4"),
            (b"MAIL FROM:ann@example.org", "501 5.1.7"),
            (b"MAIL FROM:<ann@example.org>SIZE=1", "501 5.1.7"),
            (b"MAIL FROM:<> SIZE=", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=-1", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=111111111111111111111", "501 5.5.4"),
            (b"MAIL FROM:<> SIZE=1 size=1", "501 5.5.4"),
            (b"MAIL FROM:<> BODY=9BIT", "501 5.5.4"),
            (b"MAIL FROM:<> SMTPUTF8=yes", "501 5.5.4"),
            (b"MAIL FROM:<> RET=ALL", "501 5.5.4"),
            (b"MAIL FROM:<> RET", "501 5.5.4"),
            (b"MAIL FROM:<> ENVID=", "501 5.5.4"),
            (b"MAIL FROM:<> ENVID=a=b", "501 5.5.4"),
            (b"MAIL FROM:<> PRDR", "555 5.5.4"),
            (b"MAIL FROM:<> BY=120;R", "555 5.5.4"),
            (b"MAIL FROM:<> =x", "501 5.5.4"),
            (b"RCPT TO:<>", "501 5.1.3"),
            (b"RCPT TO:<a b@example.org>", "501 5.1.3"),
            (b"RCPT TO:<ann@example.org> ORCPT=rfc822", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> ORCPT=rfc822;", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> ORCPT=;x@y", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> ORCPT=rfc822;a=b@y", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> ORCPT=rfc822;a+0Ab@y", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> NOTIFY=", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> NOTIFY=NEVER,DELAY", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"),
            (b"RCPT TO:<ann@example.org> FOO=x", "555 5.5.4"),
            (b"BDAT", "lost"),
            (b"BDAT x", "lost"),
            (b"BDAT\t1", "lost"),
            (b"BDAT +1", "lost"),
            (b"BDAT 99999999999999999999", "lost"),
            (b"BDAT 1\x00", "lost"),
            (b"bdat 1 \xff", "lost"),
        ] {
            let outcome = outcome(line, Door::Lmtp);
            assert!(outcome.starts_with(start), "{}: {outcome}", line.escape_ascii());
        }
    }

    #[test]
    fn reads_what_senders_want_to_be_told() {
        let Ok(Command::Mail { parameters, .. }) =
            parse(b"MAIL FROM:<> RET=hdrs ENVID=a+2Bb BODY=BINARYMIME PRDR", Door::Smtp)
        else {
            panic!("it is well formed");
        };
        assert!(parameters.binary && parameters.prdr);
        assert_eq!(parameters.dsn.ret, Some(Ret::Hdrs));
        assert_eq!(parameters.dsn.envid.as_deref(), Some("a+b"));
        for (words, original, orcpt, notify) in [
            ("", None, None, None),
            (
                " ORCPT=rfc822;info+2Bx@example.org NOTIFY=success,delay",
                Some("info+x@example.org"),
                Some("rfc822;info+x@example.org"),
                Some("SUCCESS,DELAY"),
            ),
            (
                " NOTIFY=never ORCPT=utf-8;j\\x{F6}rg@example.org",
                Some("jörg@example.org"),
                Some("utf-8;jörg@example.org"),
                Some("NEVER"),
            ),
            // Some clients write what is no address here.
            (" ORCPT=rfc822;ann", Some("ann"), Some("rfc822;ann"), None),
            (" ORCPT=x400;/S+3Dann/", None, Some("x400;/S=ann/"), None),
        ] {
            let line = format!("RCPT TO:<ann@example.org>{words}");
            let Ok(Command::Rcpt(recipient)) = parse(line.as_bytes(), Door::Lmtp) else {
                panic!("{line}");
            };
            assert_eq!(
                recipient.original.map(|it| it.to_string()).as_deref(),
                original,
                "{line}"
            );
            assert_eq!(recipient.dsn.orcpt.as_deref(), orcpt, "{line}");
            assert_eq!(
                recipient.dsn.notify.map(|it| it.to_string()).as_deref(),
                notify,
                "{line}"
            );
        }
    }

    #[test]
    fn reads_bdat() {
        for (line, size, last, valid) in [
            ("BDAT 0", 0, false, true),
            ("bdat 10 last", 10, true, true),
            ("BDAT 10 FIRST", 10, false, false),
            ("BDAT 10 LAST x", 10, true, false),
        ] {
            let Ok(Command::Bdat(chunk)) = parse(line.as_bytes(), Door::Lmtp) else {
                panic!("{line}");
            };
            assert_eq!(
                (chunk.size, chunk.last, chunk.fault.is_none()),
                (size, last, valid),
                "{line}"
            );
        }
    }
}

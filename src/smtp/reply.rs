//! Replies (RFC 5321 §4.2, RFC 2034), and the one place that makes them of outcomes.

use std::fmt;
use std::io::Write;

use crate::mail::{Deferral, DeliveryId, Outcome, Refusal};

/// Octets of text on one line: a line has 512 with code, status and CRLF (RFC 5321 §4.5.3.1.5).
const TEXT_MAX: usize = 480;
/// Lines of one reply; what a script says beyond them is left out.
const LINES_MAX: usize = 16;

/// Class, subject and detail of an enhanced status code (RFC 3463).
pub type EnhancedStatus = (u8, u16, u16);

/// One reply: code, enhanced status where it has one, and at least one line of text.
///
/// The text holds no control characters, so that nothing in it can pass for
/// another reply, and non-ASCII only where it was made by [`Reply::utf8`] or read
/// from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedStatus>,
    lines: Vec<String>,
}

impl Reply {
    /// A reply in ASCII; line breaks in `text` make it one of several lines,
    /// other characters that cannot stand in a reply become spaces or `?`.
    #[must_use]
    pub fn new(code: u16, enhanced: EnhancedStatus, text: &str) -> Reply {
        Reply::made(code, Some(enhanced), text, false)
    }

    /// As [`Reply::new`], keeping UTF-8: only to a client that asked for SMTPUTF8 (RFC 6531 §3.7.4.1).
    #[must_use]
    pub fn utf8(code: u16, enhanced: EnhancedStatus, text: &str) -> Reply {
        Reply::made(code, Some(enhanced), text, true)
    }

    /// A reply without enhanced status: greetings, LHLO and 354 (RFC 2034 §4).
    #[must_use]
    pub fn plain(code: u16, text: &str) -> Reply {
        Reply::made(code, None, text, false)
    }

    fn made(code: u16, enhanced: Option<EnhancedStatus>, text: &str, utf8: bool) -> Reply {
        Reply {
            code,
            enhanced,
            lines: lines(text, utf8),
        }
    }

    /// What a server said, its lines already split, checked and freed of control characters.
    pub(super) fn received(code: u16, enhanced: Option<EnhancedStatus>, lines: Vec<String>) -> Reply {
        Reply { code, enhanced, lines }
    }

    /// The three digits.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, where there is one.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedStatus> {
        self.enhanced
    }

    /// The text, line by line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// 2yz.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4yz: trying again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.code / 100 == 4
    }

    /// The reply as it goes over the wire, every line ending in CRLF.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        for (at, line) in self.lines.iter().enumerate() {
            // RFC 5321 §4.2.1: a hyphen after the code on all lines but the last.
            let separator = if at + 1 < self.lines.len() { '-' } else { ' ' };
            // Writing to a Vec cannot fail.
            let _ = write!(bytes, "{}{separator}", self.code);
            if let Some((class, subject, detail)) = self.enhanced {
                let _ = write!(bytes, "{class}.{subject}.{detail} ");
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes
    }

    /// The reply that tells a client what became of its message.
    ///
    /// `id` is the delivery's, named where it helps to find the cause in the log;
    /// `utf8` says whether the client asked for SMTPUTF8.
    #[must_use]
    pub fn of(outcome: &Outcome, id: &DeliveryId, utf8: bool) -> Reply {
        let (code, enhanced) = codes(outcome);
        Reply::made(code, Some(enhanced), &words(outcome, id), utf8)
    }

    /// No account has the address: 550 5.1.1, at RCPT.
    #[must_use]
    pub fn unknown_user() -> Reply {
        Reply::new(550, (5, 1, 1), "No such user here")
    }

    /// The account is full: 552 5.2.2, at RCPT.
    #[must_use]
    pub fn over_quota() -> Reply {
        Reply::new(552, (5, 2, 2), "Mailbox is full")
    }

    /// The account is full, and the client shall try again: 452 4.2.2, at RCPT.
    #[must_use]
    pub fn over_quota_for_now() -> Reply {
        Reply::new(452, (4, 2, 2), "Mailbox is full, try again later")
    }

    /// The directory could not tell whether the address exists: 451 4.3.0.
    #[must_use]
    pub fn lookup_failed() -> Reply {
        Reply::new(451, (4, 3, 0), "Cannot look up the recipient now, try again later")
    }

    /// The message is larger than `limit` bytes: 552 5.3.4.
    #[must_use]
    pub fn too_large(limit: u64) -> Reply {
        Reply::new(
            552,
            (5, 3, 4),
            &format!("Message is larger than the limit of {limit} bytes"),
        )
    }

    /// No room for the message: 452 4.3.1.
    #[must_use]
    pub fn disk_full() -> Reply {
        Reply::new(452, (4, 3, 1), "No storage left, try again later")
    }

    /// Anything else that went wrong here: 451 4.3.0.
    #[must_use]
    pub fn trouble(id: &DeliveryId) -> Reply {
        Reply::new(451, (4, 3, 0), &format!("Try again later ({id})"))
    }

    /// One recipient more than a message may have: 452 4.5.3.
    #[must_use]
    pub fn too_many_recipients() -> Reply {
        Reply::new(452, (4, 5, 3), "Too many recipients, send the rest in another message")
    }

    /// Nothing was heard for too long: 421 4.4.2.
    #[must_use]
    pub fn idle() -> Reply {
        Reply::new(421, (4, 4, 2), "Idle too long, closing")
    }

    /// The server stops: 421 4.3.2.
    #[must_use]
    pub fn shutting_down() -> Reply {
        Reply::new(421, (4, 3, 2), "Shutting down, try again later")
    }

    /// No connection more is served now: 421 4.3.2, in place of the greeting.
    #[must_use]
    pub fn too_many_connections() -> Reply {
        Reply::new(421, (4, 3, 2), "Too many connections, try again later")
    }

    /// No connection more of this peer is served now: 421 4.7.0, in place of the greeting.
    #[must_use]
    pub fn too_many_of_one() -> Reply {
        Reply::new(
            421,
            (4, 7, 0),
            "Too many connections from your address, try again later",
        )
    }

    /// The peer is none of those that may come: 554 5.7.1, in place of the greeting (RFC 5321 §3.1).
    #[must_use]
    pub fn not_allowed() -> Reply {
        Reply::new(554, (5, 7, 1), "No mail is taken from your address")
    }

    /// The transaction takes longer than it may: 421 4.4.2.
    #[must_use]
    pub fn too_slow() -> Reply {
        Reply::new(421, (4, 4, 2), "The transaction takes too long, closing")
    }

    /// There is too much to do for this command: 451 4.3.0.
    #[must_use]
    pub fn too_busy() -> Reply {
        Reply::new(451, (4, 3, 0), "Too busy, try again later")
    }

    /// The connection brings nothing but trouble: 421 4.7.0.
    #[must_use]
    pub fn too_many_errors() -> Reply {
        Reply::new(421, (4, 7, 0), "Too many errors, closing")
    }
}

/// On one line, as for a log or a terminal; lines are joined by a space.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some((class, subject, detail)) = self.enhanced {
            write!(f, " {class}.{subject}.{detail}")?;
        }
        for line in self.lines.iter().filter(|line| !line.is_empty()) {
            write!(f, " {line}")?;
        }
        Ok(())
    }
}

/// The enhanced status of an outcome (RFC 3463), also for logs and for `deliver`.
#[must_use]
pub fn enhanced_status(outcome: &Outcome) -> EnhancedStatus {
    codes(outcome).1
}

/// The single reply of SMTP to a message for several recipients.
///
/// Also gives the places in `outcomes` of those refused although the reply is
/// positive: to them the sender needs a delivery status notification (not where it
/// is null; where it cannot be handed over, the reply is [`Reply::trouble`] instead).
#[must_use]
pub fn one_reply(outcomes: &[Outcome], id: &DeliveryId, utf8: bool) -> (Reply, Vec<usize>) {
    let replies: Vec<Reply> = outcomes.iter().map(|outcome| Reply::of(outcome, id, utf8)).collect();
    let Some(first) = replies.first() else {
        return (Reply::trouble(id), Vec::new());
    };
    if replies.iter().all(|reply| reply == first) {
        return (first.clone(), Vec::new());
    }
    // Alike but for their words: the codes of all, and words that tell none of another.
    if replies.iter().all(|reply| reply.same_codes(first)) {
        let text = match outcomes.first() {
            Some(Outcome::Delivered { .. }) => format!("Delivered ({id})"),
            Some(Outcome::Refused(_)) => "Refused by all recipients".to_owned(),
            _ => format!("Try again later ({id})"),
        };
        return (Reply::made(first.code, first.enhanced, &text, utf8), Vec::new());
    }
    if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Deferred(_))) {
        return (Reply::trouble(id), Vec::new());
    }
    let refused = |(at, outcome): (usize, &Outcome)| matches!(outcome, Outcome::Refused(_)).then_some(at);
    let refused: Vec<usize> = outcomes.iter().enumerate().filter_map(refused).collect();
    if refused.len() < outcomes.len() {
        return (Reply::new(250, (2, 1, 5), &format!("Delivered ({id})")), refused);
    }
    (Reply::new(554, (5, 0, 0), "Refused by all recipients"), Vec::new())
}

/// The replies to a message where the client asked for one for each recipient (PRDR): that they
/// begin, each, and the one for all. Recipients alike get that one alone, as without PRDR.
#[must_use]
pub fn prdr_replies(outcomes: &[Outcome], id: &DeliveryId, utf8: bool) -> Vec<Reply> {
    let each: Vec<Reply> = outcomes.iter().map(|outcome| Reply::of(outcome, id, utf8)).collect();
    if each.iter().all(|reply| reply.same_codes(&each[0])) {
        return vec![one_reply(outcomes, id, utf8).0];
    }
    let mut replies = vec![Reply::plain(353, "A reply for each recipient follows")];
    replies.extend(each);
    // A negative one would count for all of them.
    replies.push(Reply::new(
        250,
        (2, 0, 0),
        &format!("Each recipient was answered ({id})"),
    ));
    replies
}

impl Reply {
    fn same_codes(&self, other: &Reply) -> bool {
        (self.code, self.enhanced) == (other.code, other.enhanced)
    }
}

// DESIGN.md, "Replies".
fn codes(outcome: &Outcome) -> (u16, EnhancedStatus) {
    match outcome {
        Outcome::Delivered { .. } => (250, (2, 1, 5)),
        Outcome::Refused(Refusal::UnknownUser) => (550, (5, 1, 1)),
        Outcome::Refused(Refusal::OverQuota) => (552, (5, 2, 2)),
        Outcome::Refused(Refusal::TooLarge(_)) => (552, (5, 3, 4)),
        Outcome::Refused(Refusal::Rejected(_)) => (550, (5, 7, 1)),
        Outcome::Refused(Refusal::Loop) => (554, (5, 4, 6)),
        Outcome::Deferred(Deferral::OverQuota) => (452, (4, 2, 2)),
        Outcome::Deferred(Deferral::DiskFull(_)) => (452, (4, 3, 1)),
        Outcome::Deferred(Deferral::Trouble(_)) => (451, (4, 3, 0)),
    }
}

// The sender is told little; the cause is for the log.
fn words(outcome: &Outcome, id: &DeliveryId) -> String {
    match outcome {
        Outcome::Delivered { id, .. } => format!("Delivered ({id})"),
        Outcome::Refused(Refusal::UnknownUser) => "No such user here".to_owned(),
        Outcome::Refused(Refusal::OverQuota) => "Mailbox is full".to_owned(),
        Outcome::Refused(Refusal::TooLarge(limit)) => format!("Message is larger than the limit of {limit} bytes"),
        Outcome::Refused(Refusal::Rejected(reason)) if reason.trim().is_empty() => {
            "Refused by the recipient".to_owned()
        }
        Outcome::Refused(Refusal::Rejected(reason)) => reason.clone(),
        Outcome::Refused(Refusal::Loop) => "Mail loop: the message has been here before".to_owned(),
        Outcome::Deferred(Deferral::OverQuota) => "Mailbox is full, try again later".to_owned(),
        Outcome::Deferred(Deferral::DiskFull(_)) => format!("No storage left, try again later ({id})"),
        Outcome::Deferred(Deferral::Trouble(_)) => format!("Try again later ({id})"),
    }
}

fn lines(text: &str, utf8: bool) -> Vec<String> {
    // One short line that any client may see, as nearly all are.
    if text.len() <= TEXT_MAX && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return vec![text.trim_end().to_owned()];
    }
    let mut lines = Vec::new();
    // CR LF, CR and LF each break a line; nothing else does.
    for line in text.trim_end().replace("\r\n", "\n").split(['\n', '\r']) {
        let clean: String = line.chars().map(|c| speakable(c, utf8)).collect();
        wrap(clean.trim_end(), &mut lines);
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    lines.truncate(LINES_MAX);
    lines
}

fn speakable(c: char, utf8: bool) -> char {
    match c {
        // RFC 5321 §4.2: textstring = 1*(%d09 / %d32-126)
        ' '..='~' => c,
        _ if c.is_control() => ' ',
        // Line and paragraph separator, and what turns the direction of writing.
        '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        _ if utf8 => c,
        _ => '?',
    }
}

fn wrap(mut line: &str, lines: &mut Vec<String>) {
    while line.len() > TEXT_MAX && lines.len() < LINES_MAX {
        let end = line.floor_char_boundary(TEXT_MAX);
        let end = line[..end].rfind(' ').filter(|at| *at > 0).unwrap_or(end);
        let (head, tail) = line.split_at(end);
        lines.push(head.to_owned());
        line = tail.trim_start();
    }
    lines.push(line.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Cause;

    fn id() -> DeliveryId {
        DeliveryId::from_stored("K7Q2").unwrap()
    }

    fn delivered(id: &str) -> Outcome {
        Outcome::Delivered {
            id: DeliveryId::from_stored(id).unwrap(),
            placements: Vec::new(),
            redirected: Vec::new(),
            again: false,
        }
    }

    fn rejected(reason: &str) -> Outcome {
        Outcome::Refused(Refusal::Rejected(reason.to_owned()))
    }

    fn trouble() -> Outcome {
        Outcome::Deferred(Deferral::Trouble(Cause::new("cannot create /var/vmail")))
    }

    fn disk_full() -> Outcome {
        Outcome::Deferred(Deferral::DiskFull(Cause::new("x")))
    }

    #[test]
    fn tells_outcomes() {
        for (outcome, wire) in [
            (delivered("A1"), "250 2.1.5 Delivered (A1)\r\n"),
            (
                Outcome::Refused(Refusal::UnknownUser),
                "550 5.1.1 No such user here\r\n",
            ),
            (Outcome::Refused(Refusal::OverQuota), "552 5.2.2 Mailbox is full\r\n"),
            (
                Outcome::Refused(Refusal::TooLarge(10)),
                "552 5.3.4 Message is larger than the limit of 10 bytes\r\n",
            ),
            (rejected("go away"), "550 5.7.1 go away\r\n"),
            (rejected(" \r\n"), "550 5.7.1 Refused by the recipient\r\n"),
            (
                rejected("one\r\ntwo\nthree\rfour\n"),
                "550-5.7.1 one\r\n550-5.7.1 two\r\n550-5.7.1 three\r\n550 5.7.1 four\r\n",
            ),
            (rejected("Grüße\0\u{85}x"), "550 5.7.1 Gr??e  x\r\n"),
            (
                Outcome::Refused(Refusal::Loop),
                "554 5.4.6 Mail loop: the message has been here before\r\n",
            ),
            (
                Outcome::Deferred(Deferral::OverQuota),
                "452 4.2.2 Mailbox is full, try again later\r\n",
            ),
            (disk_full(), "452 4.3.1 No storage left, try again later (K7Q2)\r\n"),
            (trouble(), "451 4.3.0 Try again later (K7Q2)\r\n"),
        ] {
            let reply = Reply::of(&outcome, &id(), false);
            assert_eq!(String::from_utf8(reply.to_bytes()).unwrap(), wire);
            assert_eq!(reply.enhanced(), Some(enhanced_status(&outcome)));
        }
        assert_eq!(
            Reply::of(&rejected("Grüße"), &id(), true).to_string(),
            "550 5.7.1 Grüße"
        );
    }

    #[test]
    fn bounds_a_reason() {
        for (reason, utf8) in [
            ("x".repeat(100_000), false),
            ("ä".repeat(100_000), true),
            ("word ".repeat(50_000), false),
            ("\n".repeat(50_000) + "x", false),
        ] {
            let bytes = Reply::of(&rejected(&reason), &id(), utf8).to_bytes();
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.split_inclusive("\r\n").all(|line| line.len() <= 512));
            assert!(text.split_inclusive("\r\n").count() <= LINES_MAX);
        }
    }

    #[test]
    fn one_reply_for_several() {
        let unknown = || Outcome::Refused(Refusal::UnknownUser);
        for (outcomes, wire, refused) in [
            (vec![delivered("A1")], "250 2.1.5 Delivered (A1)", vec![]),
            (
                vec![delivered("A1"), delivered("A2")],
                "250 2.1.5 Delivered (K7Q2)",
                vec![],
            ),
            (vec![unknown(), unknown()], "550 5.1.1 No such user here", vec![]),
            (
                vec![rejected("a"), rejected("b")],
                "550 5.7.1 Refused by all recipients",
                vec![],
            ),
            (
                vec![rejected("a"), unknown()],
                "554 5.0.0 Refused by all recipients",
                vec![],
            ),
            (
                vec![rejected("a"), delivered("A1"), unknown()],
                "250 2.1.5 Delivered (K7Q2)",
                vec![0, 2],
            ),
            (
                vec![rejected("a"), delivered("A1"), trouble()],
                "451 4.3.0 Try again later (K7Q2)",
                vec![],
            ),
            (
                vec![disk_full(), disk_full()],
                "452 4.3.1 No storage left, try again later (K7Q2)",
                vec![],
            ),
            (vec![disk_full(), trouble()], "451 4.3.0 Try again later (K7Q2)", vec![]),
            (vec![], "451 4.3.0 Try again later (K7Q2)", vec![]),
        ] {
            let (reply, indexes) = one_reply(&outcomes, &id(), false);
            assert_eq!((reply.to_string().as_str(), indexes), (wire, refused), "{outcomes:?}");
        }
    }
}

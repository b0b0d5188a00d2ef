//! The line of one delivery.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::mail::{Address, Deferral, DeliveryId, Outcome, Refusal, ReversePath};

/// Octets of one field; what others send cannot fill the disk.
const FIELD_MAX: usize = 1000;

/// Whether the message of a line repeats its fields, for logs that show nothing else.
static SPELL_OUT: AtomicBool = AtomicBool::new(false);

pub(super) fn spell_out(yes: bool) {
    SPELL_OUT.store(yes, Ordering::Relaxed);
}

/// What the log keeps of one message for one recipient.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// The delivery id, as in the reply.
    pub id: String,
    /// The reverse path; empty where it is null.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// The account; empty where there is none.
    pub user: String,
    /// Where it lies, names separated by commas; empty where nowhere.
    pub mailbox: String,
    /// The UIDs, in the order of the mailboxes.
    pub uid: String,
    /// The Message-ID; empty where there is none.
    pub msgid: String,
    /// The id under which the MTA has it in its queue, where known.
    pub queue_id: Option<String>,
    /// Bytes as received.
    pub size: u64,
    /// What became of it.
    pub status: &'static str,
    /// The enhanced status code of the reply (RFC 3463).
    pub code: String,
    /// From the first byte of the message to the outcome.
    pub seconds: f64,
    /// Addresses to which it was redirected.
    pub redirected: Option<String>,
    /// Why it was refused or deferred.
    pub cause: Option<String>,
}

/// What an [`Outcome`] does not say itself.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The delivery id of this attempt.
    pub id: &'a DeliveryId,
    /// MAIL FROM.
    pub from: &'a ReversePath,
    /// RCPT TO.
    pub to: &'a Address,
    /// The account, where one was found.
    pub user: Option<&'a str>,
    /// The Message-ID, where there is one.
    pub message_id: Option<&'a str>,
    /// The id under which the MTA has it in its queue, where known.
    pub queue_id: Option<&'a str>,
    /// Bytes as received.
    pub size: u64,
    /// The enhanced status code of the reply, such as `2.1.5`.
    pub code: &'a str,
    /// How long it took.
    pub time: Duration,
}

impl Line {
    /// The line of an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome, about: &About<'_>) -> Line {
        let line = Line {
            id: about.id.to_string(),
            from: about.from.to_string(),
            to: about.to.to_string(),
            user: about.user.unwrap_or_default().to_owned(),
            msgid: about.message_id.unwrap_or_default().to_owned(),
            queue_id: about.queue_id.map(str::to_owned),
            size: about.size,
            status: status(outcome),
            code: about.code.to_owned(),
            seconds: (about.time.as_secs_f64() * 1000.0).round() / 1000.0,
            ..Line::default()
        };
        match outcome {
            Outcome::Delivered {
                id,
                placements,
                redirected,
                ..
            } => Line {
                id: id.to_string(),
                mailbox: joined(placements.iter().map(|place| place.mailbox.as_str())),
                uid: joined(
                    placements
                        .iter()
                        .map(|place| place.uid.map_or_else(String::new, |uid| uid.to_string())),
                ),
                redirected: (!redirected.is_empty()).then(|| joined(redirected)),
                ..line
            },
            Outcome::Refused(refusal) => Line {
                cause: Some(refusal_cause(refusal)),
                ..line
            },
            Outcome::Deferred(deferral) => Line {
                cause: Some(deferral_cause(deferral)),
                ..line
            },
        }
    }

    /// Writes the line: one event at info, whatever became of the message.
    pub fn record(&self) {
        let seconds = self.seconds;
        let message = if SPELL_OUT.load(Ordering::Relaxed) {
            self.spelled_out()
        } else {
            "mail".to_owned()
        };
        tracing::info!(
            target: "postroom::mail",
            id = &*clean(&self.id),
            from = &*clean(&self.from),
            to = &*clean(&self.to),
            user = &*clean(&self.user),
            mailbox = &*clean(&self.mailbox),
            uid = &*clean(&self.uid),
            msgid = &*clean(&self.msgid),
            queue_id = self.queue_id.as_deref().map(clean).as_deref(),
            size = self.size,
            status = self.status,
            code = &*clean(&self.code),
            seconds,
            redirected = self.redirected.as_deref().map(clean).as_deref(),
            cause = self.cause.as_deref().map(clean).as_deref(),
            "{message}"
        );
    }

    fn spelled_out(&self) -> String {
        let mut text = format!("{} from=<{}> to=<{}>", self.id, self.from, self.to);
        let fields = [
            ("user", &self.user),
            ("mailbox", &self.mailbox),
            ("uid", &self.uid),
            ("msgid", &self.msgid),
        ];
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            let _ = write!(text, " {name}={value}"); // writing to a String cannot fail
        }
        if let Some(queue_id) = &self.queue_id {
            let _ = write!(text, " queue_id={queue_id}");
        }
        let (size, status, code, seconds) = (self.size, self.status, &self.code, self.seconds);
        let _ = write!(text, " size={size} status={status} code={code} seconds={seconds}");
        if let Some(redirected) = &self.redirected {
            let _ = write!(text, " redirected={redirected}");
        }
        if let Some(cause) = &self.cause {
            let _ = write!(text, " ({cause})");
        }
        clean(&text).into_owned()
    }
}

/// A text that cannot end a line, colour it or turn it round: control characters and
/// those that steer the direction of writing become `?`; at most 1000 octets are kept.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    let short = &text[..text.floor_char_boundary(FIELD_MAX)];
    if !is_plain(short) && short.contains(is_steering) {
        return Cow::Owned(short.replace(is_steering, "?"));
    }
    Cow::Borrowed(short)
}

/// Writes what [`clean`] makes of all that is written to it.
pub(super) struct Cleaner<'a, W> {
    to: &'a mut W,
    /// Octets that are kept of what comes.
    left: usize,
}

impl<W: Write> Cleaner<'_, W> {
    pub(super) fn new(to: &mut W) -> Cleaner<'_, W> {
        Cleaner { to, left: FIELD_MAX }
    }
}

impl<W: Write> Write for Cleaner<'_, W> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let short = &text[..text.floor_char_boundary(self.left)];
        // Behind what was left out nothing more is kept.
        self.left = match text.len() - short.len() {
            0 => self.left - text.len(),
            _ => 0,
        };
        if is_plain(short) {
            return self.to.write_str(short);
        }
        for c in short.chars() {
            self.to.write_char(if is_steering(c) { '?' } else { c })?;
        }
        Ok(())
    }
}

/// Whether there is nothing but visible ASCII and spaces, as in nearly all lines.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn is_steering(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered { again: true, .. } => "duplicate",
        Outcome::Delivered { placements, .. } if !placements.is_empty() => "delivered",
        Outcome::Delivered { redirected, .. } if !redirected.is_empty() => "redirected",
        Outcome::Delivered { .. } => "discarded",
        Outcome::Refused(_) => "refused",
        Outcome::Deferred(_) => "deferred",
    }
}

fn refusal_cause(refusal: &Refusal) -> String {
    match refusal {
        Refusal::UnknownUser => "no such user".to_owned(),
        Refusal::OverQuota => "the account is full".to_owned(),
        Refusal::TooLarge(limit) => format!("the message is larger than {limit} bytes"),
        Refusal::Rejected(reason) => format!("refused by the filter: {reason}"),
        Refusal::Loop => "the message has passed here too often".to_owned(),
    }
}

fn deferral_cause(deferral: &Deferral) -> String {
    match deferral {
        Deferral::OverQuota => "the account is full".to_owned(),
        Deferral::DiskFull(cause) | Deferral::Trouble(cause) => cause.to_string(),
    }
}

fn joined(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut joined = String::new();
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            joined.push(',');
        }
        joined.push_str(text.as_ref());
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry};

    use super::super::{Level, start};
    use super::*;
    use crate::mail::{Cause, MailboxName, Placement, Uid};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn recorded(line: &Line) -> serde_json::Value {
        let written = Written::default();
        let writer = written.clone();
        let layer = start::json(move || writer.clone()).with_filter(start::filter(Level::Info));
        tracing::subscriber::with_default(Registry::default().with(layer), || line.record());
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    fn line(outcome: &Outcome, message_id: &str) -> Line {
        let about = About {
            id: &DeliveryId::from_stored("K7Q2").unwrap(),
            from: &ReversePath::Null,
            to: &Address::parse("ann+x@example.org").unwrap(),
            user: Some("ann@example.org"),
            message_id: Some(message_id),
            queue_id: Some("4bXyZ"),
            size: 42,
            code: "2.1.5",
            time: Duration::from_micros(12_345),
        };
        Line::of(outcome, &about)
    }

    fn delivered(mailboxes: &[&str], redirected: &[&str], again: bool) -> Outcome {
        let place = |name: &&str| Placement {
            mailbox: MailboxName::parse(name, '.').unwrap(),
            uid: Uid::new(7),
        };
        Outcome::Delivered {
            id: DeliveryId::from_stored("FIRST").unwrap(),
            placements: mailboxes.iter().map(place).collect(),
            redirected: redirected.iter().map(|text| (*text).to_owned()).collect(),
            again,
        }
    }

    #[test]
    fn one_event_with_all_fields() {
        let value = recorded(&line(&delivered(&["INBOX", "Lists"], &[], false), "<1@example.org>"));
        for (field, expected) in [
            ("id", "FIRST"),
            ("from", ""),
            ("to", "ann+x@example.org"),
            ("user", "ann@example.org"),
            ("mailbox", "INBOX,Lists"),
            ("uid", "7,7"),
            ("msgid", "<1@example.org>"),
            ("queue_id", "4bXyZ"),
            ("status", "delivered"),
            ("code", "2.1.5"),
            ("level", "INFO"),
            ("message", "mail"),
        ] {
            assert_eq!(value[field], expected, "{field}");
        }
        assert_eq!(value["size"], 42);
        assert_eq!(value["seconds"], 0.012);
        assert!(value.get("cause").is_none() && value.get("redirected").is_none());
    }

    #[test]
    fn every_outcome_has_its_status() {
        let trouble = Cause::new("no space");
        for (outcome, status, cause) in [
            (delivered(&["INBOX"], &["b@example.org"], false), "delivered", None),
            (delivered(&[], &["b@example.org"], false), "redirected", None),
            (delivered(&[], &[], false), "discarded", None),
            (delivered(&["INBOX"], &[], true), "duplicate", None),
            (Outcome::Refused(Refusal::UnknownUser), "refused", Some("no such user")),
            (
                Outcome::Refused(Refusal::OverQuota),
                "refused",
                Some("the account is full"),
            ),
            (
                Outcome::Deferred(Deferral::Trouble(trouble.clone())),
                "deferred",
                Some("no space"),
            ),
            (
                Outcome::Deferred(Deferral::DiskFull(trouble)),
                "deferred",
                Some("no space"),
            ),
        ] {
            let value = recorded(&line(&outcome, ""));
            assert_eq!(value["status"].as_str(), Some(status));
            assert_eq!(value.get("cause").and_then(|cause| cause.as_str()), cause);
        }
    }

    #[test]
    fn nobody_writes_lines_of_his_own() {
        let reason = "no\r\nFeb 1 postroom: id=fake\u{1b}[2K\u{2028}\u{202e}".to_owned();
        let outcome = Outcome::Refused(Refusal::Rejected(reason));
        let line = line(&outcome, "<a\nb\0>");
        let value = recorded(&line);
        assert_eq!(value["msgid"], "<a?b?>");
        let texts = [value["cause"].as_str().unwrap().to_owned(), line.spelled_out()];
        assert!(texts.iter().all(|text| !text.contains(is_steering)), "{texts:?}");
        assert!(clean(&"ä".repeat(5000)).len() <= FIELD_MAX);
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_cleaned_alike(pieces in proptest::collection::vec("[ a~\n\u{7f}\u{85}\u{202e}ä]{0,9}|ä{400}|x{999}", 0..5)) {
            let mut written = String::new();
            let mut cleaner = Cleaner::new(&mut written);
            for piece in &pieces {
                cleaner.write_str(piece).unwrap();
            }
            let whole = pieces.concat();
            prop_assert_eq!(written, clean(&whole));
        }
    }

    #[test]
    fn spelled_out_for_the_journal() {
        let text = line(&Outcome::Deferred(Deferral::OverQuota), "").spelled_out();
        assert_eq!(
            text,
            "K7Q2 from=<> to=<ann+x@example.org> user=ann@example.org queue_id=4bXyZ size=42 status=deferred code=2.1.5 \
             seconds=0.012 (the account is full)"
        );
    }
}

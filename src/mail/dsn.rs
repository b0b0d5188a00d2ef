//! What a sender asks to be told of his message: the words of RFC 3461.

use std::fmt;

/// What is asked for the message as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MessageDsn {
    /// RET: how much of the message comes back with a notification of failure (§4.3).
    pub ret: Option<Ret>,
    /// ENVID: the name that the sender gave this transaction (§4.4); decoded from xtext.
    pub envid: Option<String>,
}

/// What is asked for one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientDsn {
    /// NOTIFY: when the sender is told (§4.1); without it, he is told of failures.
    pub notify: Option<Notify>,
    /// ORCPT: the recipient as the sender wrote it (§4.2), as `type;address`; decoded from xtext.
    pub orcpt: Option<String>,
}

/// RET (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header alone.
    Hdrs,
}

/// NOTIFY (RFC 3461 §4.1); with none of the three it is NEVER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// SUCCESS.
    pub success: bool,
    /// FAILURE.
    pub failure: bool,
    /// DELAY.
    pub delay: bool,
}

impl MessageDsn {
    /// Whether the sender wants the whole message back where it could not be delivered.
    #[must_use]
    pub fn wants_all_back(&self) -> bool {
        self.ret == Some(Ret::Full)
    }
}

impl RecipientDsn {
    /// Whether the sender is told that the message did not arrive.
    #[must_use]
    pub fn on_failure(&self) -> bool {
        // §4.1: without NOTIFY failures are told.
        self.notify.is_none_or(|notify| notify.failure)
    }

    /// Whether the sender is told that the message arrived.
    #[must_use]
    pub fn on_success(&self) -> bool {
        self.notify.is_some_and(|notify| notify.success)
    }
}

impl Notify {
    /// Reads NEVER, or each of the other words once, in any case; none where it is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Notify> {
        let mut notify = Notify::default();
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(notify);
        }
        for word in text.split(',') {
            let wish = match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => &mut notify.success,
                "FAILURE" => &mut notify.failure,
                "DELAY" => &mut notify.delay,
                _ => return None,
            };
            if std::mem::replace(wish, true) {
                return None;
            }
        }
        Some(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.success, "SUCCESS"),
            (self.failure, "FAILURE"),
            (self.delay, "DELAY"),
        ];
        let words: Vec<&str> = words.iter().filter(|(wish, _)| *wish).map(|(_, word)| *word).collect();
        match words.is_empty() {
            true => f.write_str("NEVER"),
            false => f.write_str(&words.join(",")),
        }
    }
}

impl Ret {
    /// Reads FULL or HDRS, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Ret> {
        match text.to_ascii_uppercase().as_str() {
            "FULL" => Some(Ret::Full),
            "HDRS" => Some(Ret::Hdrs),
            _ => None,
        }
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Ret::Full => "FULL",
            Ret::Hdrs => "HDRS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notify_is_never_or_each_word_once() {
        for (text, spelled) in [
            ("never", Some("NEVER")),
            ("Success", Some("SUCCESS")),
            ("delay,FAILURE,success", Some("SUCCESS,FAILURE,DELAY")),
            ("", None),
            ("NEVER,SUCCESS", None),
            ("SUCCESS,SUCCESS", None),
            ("SUCCESS,", None),
            ("SUCCESS\r\nDATA", None),
        ] {
            let parsed = Notify::parse(text).map(|notify| notify.to_string());
            assert_eq!(parsed.as_deref(), spelled, "{text}");
        }
    }

    #[test]
    fn failures_are_told_unless_it_is_not_wanted() {
        let wishes = |text: Option<&str>| {
            let dsn = RecipientDsn {
                notify: text.and_then(Notify::parse),
                orcpt: None,
            };
            (dsn.on_failure(), dsn.on_success())
        };
        assert_eq!(wishes(None), (true, false));
        assert_eq!(wishes(Some("NEVER")), (false, false));
        assert_eq!(wishes(Some("SUCCESS")), (false, true));
        assert_eq!(wishes(Some("SUCCESS,FAILURE")), (true, true));
        assert_eq!(wishes(Some("DELAY")), (false, false));
    }
}

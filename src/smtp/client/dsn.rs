//! What is asked of a server that announces DSN: RFC 3461.

use std::fmt::Write;

use crate::mail::Address;

/// Which delivery status notifications are wanted; nothing is asked of a server without DSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    notify: Option<String>,
    ret: Option<String>,
    original: Option<Address>,
}

impl Dsn {
    /// No notification at all, for mail that no person sent (RFC 3834 §3.3, RFC 5230 §5.1).
    #[must_use]
    pub fn never() -> Dsn {
        Dsn::new(Some("NEVER"), None, None)
    }

    /// These values of NOTIFY and RET, in any case, and the recipient as the sender knows it (ORCPT). What RFC 3461
    /// does not know is left out.
    #[must_use]
    pub fn new(notify: Option<&str>, ret: Option<&str>, original: Option<&Address>) -> Dsn {
        let known = |value: &str| matches!(value, "FULL" | "HDRS");
        Dsn {
            notify: notify.map(str::to_ascii_uppercase).filter(|value| is_notify(value)),
            ret: ret.map(str::to_ascii_uppercase).filter(|value| known(value)),
            original: original.cloned(),
        }
    }

    /// What follows MAIL FROM (§4.3).
    pub(super) fn of_mail(&self) -> String {
        self.ret.as_ref().map(|ret| format!(" RET={ret}")).unwrap_or_default()
    }

    /// What follows RCPT TO (§4.1, §4.2). The original recipient is for notifications: without any, nobody asks.
    pub(super) fn of_recipient(&self, smtputf8: bool) -> String {
        let Some(notify) = &self.notify else {
            return String::new();
        };
        let mut words = format!(" NOTIFY={notify}");
        if let Some(original) = self.original.as_ref().filter(|_| notify != "NEVER") {
            words.push_str(" ORCPT=");
            words.push_str(&typed(&original.to_string(), smtputf8));
        }
        words
    }
}

// §4.1: NEVER alone, or each of the others once.
fn is_notify(value: &str) -> bool {
    let words: Vec<&str> = value.split(',').collect();
    let known = |word: &&str| matches!(*word, "SUCCESS" | "FAILURE" | "DELAY");
    let once = |(at, word): (usize, &&str)| !words[..at].contains(word);
    value == "NEVER" || words.iter().all(known) && words.iter().enumerate().all(once)
}

// §4.2: rfc822 and xtext; RFC 6533 §3: utf-8, as it is where SMTPUTF8 is spoken.
fn typed(address: &str, smtputf8: bool) -> String {
    let mut text = String::from(if address.is_ascii() { "rfc822;" } else { "utf-8;" });
    for c in address.chars() {
        let plain = c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\');
        // Writing to a String does not fail.
        let _ = match c {
            _ if plain || !c.is_ascii() && smtputf8 => write!(text, "{c}"),
            _ if address.is_ascii() => write!(text, "+{:02X}", u32::from(c)),
            _ => write!(text, "\\x{{{:02X}}}", u32::from(c)),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_rfc_knows_is_asked_for() {
        let ann: Address = "ann+x@example.org".parse().unwrap();
        for (notify, ret, of_mail, of_recipient) in [
            (None, None, "", ""),
            (None, Some("full"), " RET=FULL", ""),
            (Some("never"), Some("HDRS"), " RET=HDRS", " NOTIFY=NEVER"),
            (
                Some("success,FAILURE"),
                None,
                "",
                " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann+2Bx@example.org",
            ),
            (Some("NEVER,SUCCESS"), Some("ALL"), "", ""),
            (Some("SUCCESS,SUCCESS"), Some("FULL BODY=x"), "", ""),
            (Some("SUCCESS\r\nDATA"), Some(""), "", ""),
            (Some(""), None, "", ""),
        ] {
            let dsn = Dsn::new(notify, ret, Some(&ann));
            assert_eq!(
                (dsn.of_mail().as_str(), dsn.of_recipient(false).as_str()),
                (of_mail, of_recipient),
                "{notify:?} {ret:?}"
            );
        }
        assert_eq!(Dsn::never().of_recipient(false), " NOTIFY=NEVER");
    }

    #[test]
    fn addresses_are_spelled_for_the_wire() {
        for (address, smtputf8, spelled) in [
            ("a=b@example.org", false, "rfc822;a+3Db@example.org"),
            ("\"a b\"@example.org", true, "rfc822;\"a+20b\"@example.org"),
            (
                "jörg+x@exämple.org",
                false,
                "utf-8;j\\x{F6}rg\\x{2B}x@ex\\x{E4}mple.org",
            ),
            ("jörg@exämple.org", true, "utf-8;jörg@exämple.org"),
        ] {
            assert_eq!(typed(address, smtputf8), spelled);
        }
    }
}

//! What is asked of a server that announces DSN: RFC 3461.

use crate::mail::{Address, MessageDsn, Notify, RecipientDsn};
use crate::smtp::xtext;

/// Characters of ORCPT (RFC 3461 §4.2).
const ORCPT_MAX: usize = 500;

/// Which delivery status notifications are wanted; nothing is asked of a server without DSN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dsn {
    /// RET and ENVID.
    pub message: MessageDsn,
    /// NOTIFY and ORCPT; the latter is for notifications, so that it is not given where none is wanted.
    pub recipient: RecipientDsn,
}

impl Dsn {
    /// No notification at all, for mail that no person sent (RFC 3834 §3.3, RFC 5230 §5.1).
    #[must_use]
    pub fn never() -> Dsn {
        Dsn {
            recipient: RecipientDsn {
                notify: Some(Notify::default()),
                orcpt: None,
            },
            ..Dsn::default()
        }
    }

    /// What follows MAIL FROM (§4.3, §4.4).
    pub(super) fn of_mail(&self) -> String {
        let ret = self.message.ret.map(|ret| format!(" RET={}", ret.as_str()));
        let envid = self.message.envid.as_deref();
        let envid = envid.map(|envid| format!(" ENVID={}", xtext::encode(envid)));
        ret.into_iter().chain(envid).collect()
    }

    /// What follows RCPT TO (§4.1, §4.2).
    pub(super) fn of_recipient(&self, smtputf8: bool) -> String {
        let RecipientDsn { notify, orcpt } = &self.recipient;
        let never = *notify == Some(Notify::default());
        let notify = notify.map(|notify| format!(" NOTIFY={notify}"));
        let orcpt = orcpt.as_deref().filter(|_| !never);
        let orcpt = orcpt.and_then(|orcpt| orcpt.split_once(';'));
        let orcpt = orcpt.map(|(kind, address)| spelled(kind, address, smtputf8));
        // One that is too long would cost the recipient his mail; without it notifications name him as we do.
        let orcpt = orcpt.filter(|orcpt| orcpt.len() <= ORCPT_MAX);
        let orcpt = orcpt.map(|orcpt| format!(" ORCPT={orcpt}"));
        notify.into_iter().chain(orcpt).collect()
    }
}

/// A recipient as the sender knows it, in the form of ORCPT.
#[must_use]
pub fn orcpt(address: &Address) -> String {
    let kind = if address.is_ascii() { "rfc822" } else { "utf-8" };
    format!("{kind};{address}")
}

fn spelled(kind: &str, address: &str, smtputf8: bool) -> String {
    match kind.to_ascii_lowercase().as_str() {
        "rfc822" | "utf-8" => xtext::encode_address(address, smtputf8),
        _ => format!("{kind};{}", xtext::encode(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Ret;

    #[test]
    fn only_what_is_wanted_is_asked_for() {
        let ann: Address = "ann+x@example.org".parse().unwrap();
        for (notify, ret, envid, known, of_mail, of_recipient) in [
            (None, None, None, None, "", ""),
            (None, Some(Ret::Full), None, None, " RET=FULL", ""),
            (
                Some("never"),
                Some(Ret::Hdrs),
                Some("a=b"),
                Some(&ann),
                " RET=HDRS ENVID=a+3Db",
                " NOTIFY=NEVER",
            ),
            (
                Some("success,FAILURE"),
                None,
                None,
                Some(&ann),
                "",
                " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann+2Bx@example.org",
            ),
            (None, None, None, Some(&ann), "", " ORCPT=rfc822;ann+2Bx@example.org"),
        ] {
            let dsn = Dsn {
                message: MessageDsn {
                    ret,
                    envid: envid.map(str::to_owned),
                },
                recipient: RecipientDsn {
                    notify: notify.and_then(Notify::parse),
                    orcpt: known.map(orcpt),
                },
            };
            assert_eq!(
                (dsn.of_mail().as_str(), dsn.of_recipient(false).as_str()),
                (of_mail, of_recipient)
            );
        }
        assert_eq!(Dsn::never().of_recipient(false), " NOTIFY=NEVER");
    }

    #[test]
    fn types_that_we_do_not_know_go_on_as_they_came() {
        let of = |orcpt: &str, smtputf8| {
            let mut dsn = Dsn::default();
            dsn.recipient.orcpt = Some(orcpt.to_owned());
            dsn.of_recipient(smtputf8)
        };
        assert_eq!(of("x400;/S=ann/", false), " ORCPT=x400;/S+3Dann/");
        assert_eq!(of("utf-8;jörg@example.org", true), " ORCPT=utf-8;jörg@example.org");
    }

    #[test]
    fn an_original_recipient_that_is_too_long_is_left_out() {
        let parameters = |local: &str| {
            let address: Address = format!("{local}@example.org").parse().unwrap();
            let mut dsn = Dsn::default();
            dsn.recipient.orcpt = Some(orcpt(&address));
            dsn.of_recipient(false)
        };
        assert_eq!(parameters("ö"), " ORCPT=utf-8;\\x{F6}@example.org");
        assert_eq!(parameters(&"ö".repeat(127)), "");
        assert!(parameters(&"o".repeat(255)).len() > 255);
    }
}

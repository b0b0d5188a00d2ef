//! Notifications by mail: the mailto method of RFC 5436.

use crate::mail::Address;
use crate::message::{Message, Summary};
use crate::submission::Content;
use crate::submission::compose::mailto::Mailto;
use crate::submission::compose::{Composer, NamedAddress};

/// What a notification says, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The addresses in the method's URI.
    pub to: Vec<Address>,
    /// The user whose script asks for it.
    pub owner: Address,
    /// `:from`; none is the address for notices.
    pub from: Option<NamedAddress>,
    /// The method's URI; its `subject` and `body` are used (RFC 6068).
    pub method: String,
    /// `:message`; empty where the script gave none.
    pub message: String,
    /// 1 high, 2 normal, 3 low.
    pub importance: u8,
}

/// Who gets one notification, at most.
const RECIPIENTS_MAX: usize = 10;

impl Notification {
    /// Who gets it: the addresses in the URI and those of its `cc` and `bcc`, each once, ten at most.
    #[must_use]
    pub fn recipients(&self) -> Vec<Address> {
        let Mailto { cc, bcc, .. } = Mailto::parse(&self.method);
        let mut recipients: Vec<Address> = Vec::new();
        for address in self.to.iter().cloned().chain(cc).chain(bcc) {
            if recipients.len() < RECIPIENTS_MAX && !recipients.iter().any(|known| known.same_mailbox(&address)) {
                recipients.push(address);
            }
        }
        recipients
    }
}

impl Composer {
    /// The notification that `original` has come. Sent with the null reverse path, so that
    /// nothing goes round.
    ///
    /// RFC 5436 §2.7 wants none for an original that has Auto-Submitted itself: that is for the
    /// filter to know.
    #[must_use]
    pub fn notification(&self, notification: &Notification, original: &Message) -> Content {
        let summary = Summary::of(original.header(), original.structure());
        let method = Mailto::parse(&notification.method);
        // RFC 5436 §2.7: :message, else the URI's subject, else the original's.
        let subject = match (notification.message.as_str(), &method.subject) {
            ("", Some(subject)) => subject,
            ("", None) => &summary.subject,
            (message, _) => message,
        };
        let from = notification.from.clone().unwrap_or_else(|| self.postmaster());
        let to: Vec<NamedAddress> = notification.to.iter().cloned().map(NamedAddress::from).collect();
        let mut fields = self.fields(&from, &to, subject, &auto_submitted(&notification.owner));
        if !method.cc.is_empty() {
            let shown = method.cc.iter().take(RECIPIENTS_MAX);
            let cc: Vec<NamedAddress> = shown.cloned().map(NamedAddress::from).collect();
            fields.addresses("Cc", &cc);
        }
        // RFC 5436 §2.7: the notification may refer to the message that it is about; it is no reply to it.
        fields.references(&summary);
        if let Some(importance) = importance(notification.importance) {
            fields.plain("Importance", importance);
        }
        fields.text_body(&method.body.unwrap_or_else(|| words(&summary)));
        Content::new(fields.finish())
    }
}

// RFC 5436 §2.7: owner-email is optional: an address that is no plain ASCII word is left out.
fn auto_submitted(owner: &Address) -> String {
    let owner = owner.to_string();
    let plain = owner.len() <= 200 && owner.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\'));
    if plain {
        format!("auto-notified; owner-email=\"{owner}\"")
    } else {
        "auto-notified".to_owned()
    }
}

// RFC 5436 §2.4, in the field of RFC 2156 §5.3.4; normal needs no word.
fn importance(importance: u8) -> Option<&'static str> {
    match importance {
        1 => Some("high"),
        3 => Some("low"),
        _ => None,
    }
}

fn words(original: &Summary) -> String {
    format!(
        "A message has come.\n\nFrom: {}\nSubject: {}\n",
        original.from, original.subject
    )
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::submission::compose::tests::{bytes, check, composer};

    #[test]
    fn subject_and_body_come_from_the_right_place() {
        let original = Message::from_bytes("From: bob@example.com\r\nSubject: hello\r\n\r\nsecret\r\n".as_bytes());
        for (method, message, subject, body) in [
            ("mailto:a@b", "", "hello", "Subject: hello"),
            (
                "mailto:a@b?subject=s%0D%0ABcc:%20x@y&body=b%C3%A4",
                "",
                "s  Bcc: x@y",
                "bä",
            ),
            ("mailto:a@b?subject=s", "Grüße", "Grüße", "bob@example.com"),
        ] {
            let notification = Notification {
                to: vec![Address::parse("a@b").unwrap(), Address::parse("c@d").unwrap()],
                owner: Address::parse("ann@example.org").unwrap(),
                from: None,
                method: method.to_owned(),
                message: message.to_owned(),
                importance: 1,
            };
            let written = bytes(&composer().notification(&notification, &original));
            check(&written);
            let owner = "\r\nAuto-Submitted: auto-notified; owner-email=\"ann@example.org\"\r\n";
            assert!(
                written.contains(owner) && written.contains("\r\nTo: <a@b>, <c@d>\r\n"),
                "{written}"
            );
            assert!(
                written.contains("\r\nImportance: high\r\n") && !written.contains("secret"),
                "{written}"
            );
            let parsed = MessageParser::new().parse(written.as_bytes()).unwrap();
            let found: Vec<_> = parsed.subject().unwrap().split_whitespace().collect();
            assert_eq!(found, subject.split_whitespace().collect::<Vec<_>>());
            assert!(parsed.body_text(0).unwrap().contains(body), "{written}");
        }
    }
}

//! Redirected messages: as they came, after one field of our own.

use crate::mail::Address;
use crate::message::{Header, Message};
use crate::submission::Content;
use crate::submission::compose::ascii_form;

/// Names the account that redirected a message, once for each pass.
const REDIRECTED_FROM: &str = "X-Postroom-Redirected-From";

impl Content {
    /// `message` as the filter of `account` redirects it (RFC 5228 §4.2): byte for byte, after a
    /// field that [`already_redirected`] knows again. Such fields of `came`, the header of the message as it
    /// came, stand there too where the filter took them away (RFC 5293): loops end all the same.
    ///
    /// `smtputf8` is [`crate::mail::Envelope::smtputf8`] of the message as it came.
    #[must_use]
    pub fn redirect(message: &Message, came: &Header, account: &Address, smtputf8: bool) -> Content {
        let mut fields = format!("{REDIRECTED_FROM}: {}\r\n", mark(account)).into_bytes();
        let kept: Vec<&[u8]> = marks(message.header()).collect();
        for lost in marks(came).filter(|mark| mark.is_ascii() && !kept.contains(mark)) {
            fields.extend_from_slice(&[REDIRECTED_FROM.as_bytes(), b": ", lost, b"\r\n"].concat());
        }
        Content::before(fields, message, smtputf8)
    }
}

/// Whether a filter of `account` has redirected this message before: it has come back, and
/// sending it on again would make a loop (RFC 5228 §10).
///
/// The number of hops is [`Header::count`] of `Received`.
#[must_use]
pub fn already_redirected(header: &Header, account: &Address) -> bool {
    let mark = mark(account);
    marks(header).any(|found| found.eq_ignore_ascii_case(mark.as_bytes()))
}

// Words joined below a mark by a message that begins with white space do not count.
fn marks(header: &Header) -> impl Iterator<Item = &[u8]> {
    header.all(REDIRECTED_FROM).map(|field| first_word(field.value()))
}

fn mark(account: &Address) -> String {
    let folded = account.folded();
    if folded.chars().all(|c| c.is_ascii_graphic()) {
        folded
    } else {
        ascii_form(&folded)
    }
}

fn first_word(value: &[u8]) -> &[u8] {
    let word = value.trim_ascii_start();
    let end = word.iter().position(u8::is_ascii_whitespace).unwrap_or(word.len());
    &word[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::compose::tests::bytes;

    #[test]
    fn a_filter_cannot_take_the_marks_away() {
        let [ann, bob] = ["ann@example.org", "bob@example.org"].map(|text| Address::parse(text).unwrap());
        let original = Message::from_bytes("Subject: x\r\n\r\nbody\r\n".as_bytes());
        let at_bob = Content::redirect(&original, original.header(), &ann, false);
        let came = Message::from_bytes(bytes(&at_bob).into_bytes());
        // The original again: all that was added is gone.
        let edited = Content::redirect(&original, came.header(), &bob, false);
        let sent = bytes(&edited);
        assert_eq!(sent.matches(REDIRECTED_FROM).count(), 2, "{sent}");
        let back = Message::from_bytes(sent.into_bytes());
        assert!(already_redirected(back.header(), &ann) && already_redirected(back.header(), &bob));
        let whole = bytes(&Content::redirect(&came, came.header(), &bob, false));
        assert_eq!(whole.matches(REDIRECTED_FROM).count(), 2, "{whole}");
    }

    #[test]
    fn what_was_redirected_is_known_again() {
        let others = Address::parse("bob@example.org").unwrap();
        for account in [
            "ann@example.org",
            "Ann@Example.ORG",
            "jörg@exämple.org",
            "\"a b\"@example.org",
            "ann",
        ] {
            let account = Address::parse(account).unwrap();
            for original in [
                "Subject: x\r\n\r\nbody\r\n",
                "Subject: x\n\nbody",
                " odd\r\n\r\nbody",
                "",
            ] {
                let message = Message::from_bytes(original.as_bytes());
                assert!(!already_redirected(message.header(), &account));
                let sent = bytes(&Content::redirect(&message, message.header(), &account, false));
                assert!(sent.ends_with(original) && sent.is_ascii(), "{sent:?}");
                let again = Message::from_bytes(sent.into_bytes());
                assert!(already_redirected(again.header(), &account), "{account} {original:?}");
                assert!(!already_redirected(again.header(), &others));
                let twice = Content::redirect(&again, again.header(), &others, false);
                let twice = Message::from_bytes(bytes(&twice).into_bytes());
                assert!(already_redirected(twice.header(), &account) && already_redirected(twice.header(), &others));
            }
        }
    }
}

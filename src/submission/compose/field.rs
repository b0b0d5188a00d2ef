//! Header fields: encoded, folded, and never with a line end of somebody else.

use mail_builder::encoders::Base64Encoder;

use crate::mail::Address;
use crate::submission::compose::{NamedAddress, text};

/// Where a line is folded (RFC 5322 §2.1.1 wants 78; RFC 2047 §2 wants 76 with encoded words).
const LINE: usize = 76;
/// Octets of text in one encoded word: 52 characters of base 64, 64 with the rest.
const ENCODED_OCTETS: usize = 39;
/// A longer word is encoded, so that it can be cut.
const WORD_MAX: usize = 60;
/// Characters kept of a text from outside.
const TEXT_MAX: usize = 2000;

/// Header fields, and a body after them, as they are written.
pub(super) struct Fields {
    bytes: Vec<u8>,
    hostname: String,
}

impl Fields {
    /// None yet; `hostname` completes addresses without a domain.
    pub(super) fn new(hostname: &str) -> Fields {
        Fields {
            bytes: Vec::new(),
            hostname: hostname.to_owned(),
        }
    }

    /// A value of our own making, folded at its spaces; control characters are dropped.
    pub(super) fn plain(&mut self, name: &str, value: &str) {
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.folded(name, value.split_whitespace());
    }

    /// Unstructured text (RFC 5322 §2.2.1) from anywhere.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        let value = cleaned(value);
        if is_plain(&value) {
            self.folded(name, value.split_whitespace());
        } else {
            self.folded(name, encoded_words(&value).iter().map(String::as_str));
        }
    }

    /// A list of addresses (RFC 5322 §3.4).
    pub(super) fn addresses(&mut self, name: &str, addresses: &[NamedAddress]) {
        let mut words = Vec::new();
        for (at, NamedAddress { name, address }) in addresses.iter().enumerate() {
            let comma = if at + 1 < addresses.len() { "," } else { "" };
            let spec = addr_spec(address, &self.hostname);
            words.extend(phrase(&cleaned(name)));
            words.push(format!("<{spec}>{comma}"));
        }
        self.folded(name, words.iter().map(String::as_str));
    }

    /// Message ids (RFC 5322 §3.6.4), with or without their brackets; what cannot be one is
    /// left out. Nothing is written where none is left.
    pub(super) fn ids<'a>(&mut self, name: &str, ids: impl Iterator<Item = &'a str>) {
        let ids: Vec<String> = ids.filter_map(message_id).collect();
        if !ids.is_empty() {
            self.folded(name, ids.iter().map(String::as_str));
        }
    }

    /// The fields of a text part, the empty line and the text. Ends the header.
    pub(super) fn text_body(&mut self, words: &str) {
        let (encoding, body) = text::encode(words);
        self.plain("Content-Type", "text/plain; charset=utf-8");
        self.plain("Content-Transfer-Encoding", encoding);
        self.end();
        self.raw(&body);
    }

    /// The empty line after a header.
    pub(super) fn end(&mut self) {
        self.raw(b"\r\n");
    }

    /// Bytes as they are: whole lines that end in CRLF.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn folded<'a>(&mut self, name: &str, words: impl Iterator<Item = &'a str>) {
        self.raw(name.as_bytes());
        self.raw(b":");
        let mut length = name.len() + 1;
        let mut first = true;
        for word in words {
            // Never before the first word: some readers take such a field for an empty one.
            if !first && length + 1 + word.len() > LINE {
                self.raw(b"\r\n");
                length = 0;
            }
            self.raw(b" ");
            self.raw(word.as_bytes());
            length += 1 + word.len();
            first = false;
        }
        if first {
            self.raw(b" ");
        }
        self.raw(b"\r\n");
    }
}

/// An address in graphic ASCII, `\x{F6}` for what is not: utf-8-addr-xtext of RFC 6533 §3.
pub(in crate::submission) fn ascii_form(address: &str) -> String {
    let mut form = String::new();
    for c in address.chars() {
        if c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') {
            form.push(c);
        } else {
            form.push_str(&format!("\\x{{{:02X}}}", u32::from(c)));
        }
    }
    form
}

fn cleaned(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(TEXT_MAX).map(clean).collect()
}

fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || c.is_ascii_graphic())
        && !text.contains("=?")
        && text.split(' ').all(|word| word.len() <= WORD_MAX)
}

// RFC 2047 §4.1, §5: each word is whole characters; the space between two is not text.
fn encoded_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chunk = String::new();
    for c in text.chars() {
        if chunk.len() + c.len_utf8() > ENCODED_OCTETS {
            words.push(encoded_word(&chunk));
            chunk.clear();
        }
        chunk.push(c);
    }
    words.push(encoded_word(&chunk));
    words
}

fn encoded_word(text: &str) -> String {
    // Writing into memory does not fail, and base 64 is ASCII.
    let base64 = Base64Encoder::new().encode(text.as_bytes()).unwrap_or_default();
    format!("=?utf-8?B?{}?=", String::from_utf8_lossy(&base64))
}

// RFC 5322 §3.2.5 phrase: atoms, a quoted string, or encoded words.
fn phrase(name: &str) -> Vec<String> {
    let name = name.trim();
    if name.is_empty() {
        return Vec::new();
    }
    let is_atom = |c: char| c.is_ascii_alphanumeric() || c == ' ' || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if !is_plain(name) || name.len() > WORD_MAX {
        encoded_words(name)
    } else if name.chars().all(is_atom) {
        name.split_whitespace().map(str::to_owned).collect()
    } else {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        vec![format!("\"{quoted}\"")]
    }
}

// RFC 5322 §3.4.1: a domain always, and dots only between atoms, unlike the envelope's grammar.
fn addr_spec(address: &Address, hostname: &str) -> String {
    let text = address.to_string();
    let local = address.local();
    let at_host = if address.domain().is_empty() {
        format!("@{hostname}")
    } else {
        String::new()
    };
    if text.starts_with('"') || !local.split('.').any(str::is_empty) {
        return text + &at_host;
    }
    let rest = text.strip_prefix(local).unwrap_or_default();
    format!("\"{local}\"{rest}{at_host}")
}

// RFC 5322 §3.6.4, loosely: what others wrote is repeated if it can do no harm.
fn message_id(id: &str) -> Option<String> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let harmless = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | ',');
    (!id.is_empty() && id.len() <= 250 && id.chars().all(harmless)).then(|| format!("<{id}>"))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn written(write: impl FnOnce(&mut Fields)) -> String {
        let mut fields = Fields::new("mx.example.org");
        write(&mut fields);
        String::from_utf8(fields.finish()).unwrap()
    }

    #[test]
    fn addresses_are_read_as_written() {
        for (name, address, spec) in [
            ("", "ann@example.org", "ann@example.org"),
            ("Ann Example", "ann@example.org", "ann@example.org"),
            ("Ann, \"the\" \\ one <x@y>", "ann@example.org", "ann@example.org"),
            (
                "Änn Ünlü, Köchin und so weiter und so weiter",
                "ann@example.org",
                "ann@example.org",
            ),
            ("=?utf-8?B?eA==?=", "ann@example.org", "ann@example.org"),
            ("", "ann", "ann@mx.example.org"),
            ("", "jörg@exämple.org", "jörg@exämple.org"),
        ] {
            let address = Address::parse(address).unwrap();
            let name = name.to_owned();
            let line = written(|f| {
                f.addresses(
                    "To",
                    &[NamedAddress {
                        name: name.clone(),
                        address,
                    }],
                )
            });
            let message = MessageParser::new().parse(line.as_bytes()).unwrap();
            let to = message.to().unwrap().first().unwrap();
            assert_eq!(
                (to.name().unwrap_or_default(), to.address().unwrap()),
                (&*name, spec),
                "{line}"
            );
        }
    }

    #[test]
    fn addresses_are_spelled_by_rfc_5322() {
        for (address, spec) in [
            ("a..b@example.org", "\"a..b\"@example.org"),
            (".a@example.org", "\".a\"@example.org"),
            ("a.", "\"a.\"@mx.example.org"),
            ("\"a b\"@example.org", "\"a b\"@example.org"),
            ("a.b@example.org", "a.b@example.org"),
        ] {
            assert_eq!(addr_spec(&Address::parse(address).unwrap(), "mx.example.org"), spec);
        }
    }

    #[test]
    fn ids_are_repeated_only_where_harmless() {
        for (ids, line) in [
            (vec!["<a@b>", "c@d"], "References: <a@b> <c@d>\r\n"),
            (vec!["<a@b>\r\nBcc: x", "<c d>", "", "<>", "<ä@b>"], ""),
        ] {
            assert_eq!(written(|f| f.ids("References", ids.into_iter())), line);
        }
    }

    #[test]
    fn ascii_forms() {
        for (address, form) in [
            ("ann@example.org", "ann@example.org"),
            ("jörg+x@exämple.org", "j\\x{F6}rg\\x{2B}x@ex\\x{E4}mple.org"),
            ("\"a b\"@c", "\"a\\x{20}b\"@c"),
            ("日@c", "\\x{65E5}@c"),
        ] {
            assert_eq!(ascii_form(address), form);
        }
    }
}

//! The grammar of Content-Type and Content-Disposition: RFC 2045 §5.1, RFC 2183, RFC 2231.

/// Parameters of one field that are read; more are ignored.
const PARAMETERS_MAX: usize = 64;
/// Bytes of a type that are kept.
const WORD_MAX: usize = 128;
/// Bytes of one value that are kept.
const VALUE_MAX: usize = 1024;

/// A parameter as it was written: unquoted, pieces joined (RFC 2231 §3), not yet decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// The bytes, at most 1,024.
    pub value: Vec<u8>,
    /// Whether they are `charset'language'percent-encoded` (RFC 2231 §4).
    pub extended: bool,
}

/// The value of a Content-Type or Content-Disposition field, with its parameters.
#[derive(Debug, Default)]
pub struct Content {
    /// What stands before the first semicolon, in lower case, without white space and comments.
    pub(super) value: String,
    /// Whether some parameters were left out.
    pub(super) cut: bool,
    parameters: Vec<(Name, Vec<u8>)>,
}

/// `name`, `name*`, `name*0`, `name*0*`.
#[derive(Debug)]
struct Name {
    base: String,
    section: Option<u32>,
    extended: bool,
}

impl Content {
    /// Parses an unfolded field value; whatever it holds, something is returned. Of a flood of parameters only
    /// the first are known.
    #[must_use]
    pub fn parse(raw: &[u8]) -> Content {
        let mut cursor = Cursor { rest: raw };
        let mut content = Content {
            value: cursor.leading(),
            ..Content::default()
        };
        while cursor.skip_past(b';') {
            let Some((name, value)) = cursor.parameter() else {
                continue;
            };
            if content.parameters.len() == PARAMETERS_MAX {
                content.cut = true;
                break;
            }
            content.cut |= value.len() > VALUE_MAX;
            content.parameters.push((Name::parse(&name), value));
        }
        content
    }

    /// What stands before the first semicolon, in lower case, without white space and comments; at most 128 bytes.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The parameter `name`, in lower case. The plain form counts only where there is no RFC 2231 one.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Parameter> {
        let all = || self.parameters.iter().filter(|(n, _)| n.base == name);
        if let Some((found, value)) = all().find(|(n, _)| n.extended && n.section.is_none()) {
            return Some(parameter(value.clone(), found.extended));
        }
        let mut sections: Vec<_> = all().filter(|(n, _)| n.section.is_some()).collect();
        if sections.iter().any(|(n, _)| n.section == Some(0)) {
            sections.sort_by_key(|(n, _)| n.section);
            let extended = sections.iter().any(|(n, _)| n.extended);
            let value = sections.iter().flat_map(|(_, value)| value.iter().copied());
            return Some(parameter(value.take(VALUE_MAX).collect(), extended));
        }
        all().next().map(|(_, value)| parameter(value.clone(), false))
    }

    /// All parameters as BODYSTRUCTURE tells them: each name once, the plain form before the extended
    /// one, whose name ends in `*`. The sections of RFC 2231 §3 are joined; where some but not all of them
    /// are percent-encoded, the others become so.
    pub(super) fn joined(&self) -> Vec<(String, Vec<u8>)> {
        let mut joined: Vec<(String, Vec<u8>)> = Vec::new();
        let add = |joined: &mut Vec<(String, Vec<u8>)>, name: String, mut value: Vec<u8>| {
            value.truncate(VALUE_MAX);
            if !joined.iter().any(|(known, _)| *known == name) {
                joined.push((name, value));
            }
        };
        for (name, value) in &self.parameters {
            match (name.section, name.extended) {
                (None, false) => add(&mut joined, name.base.clone(), value.clone()),
                (None, true) => add(&mut joined, format!("{}*", name.base), value.clone()),
                (Some(0), _) => {
                    let (value, extended) = self.sections(&name.base);
                    let mark = if extended { "*" } else { "" };
                    add(&mut joined, format!("{}{mark}", name.base), value);
                }
                (Some(_), _) => {}
            }
        }
        joined
    }

    // RFC 2231 §4.1: sections with and without percent-encoding may be mixed.
    fn sections(&self, base: &str) -> (Vec<u8>, bool) {
        let mut sections: Vec<_> = self
            .parameters
            .iter()
            .filter(|(n, _)| n.base == base && n.section.is_some())
            .collect();
        sections.sort_by_key(|(n, _)| n.section);
        let extended = sections.iter().any(|(n, _)| n.extended);
        let mut joined = Vec::new();
        if extended && !sections[0].0.extended {
            joined.extend_from_slice(b"''");
        }
        for (name, value) in sections {
            if extended && !name.extended {
                value.iter().for_each(|byte| percent_encode(*byte, &mut joined));
            } else {
                joined.extend_from_slice(value);
            }
        }
        (joined, extended)
    }
}

// RFC 2231 §7: attribute-char
fn percent_encode(byte: u8, to: &mut Vec<u8>) {
    if byte.is_ascii_graphic() && !b"*'%()<>@,;:\\\"/[]?=".contains(&byte) {
        to.push(byte);
    } else {
        to.extend_from_slice(format!("%{byte:02X}").as_bytes());
    }
}

fn parameter(mut value: Vec<u8>, extended: bool) -> Parameter {
    value.truncate(VALUE_MAX);
    Parameter { value, extended }
}

impl Name {
    // RFC 2231 §7: attribute ["*" section] ["*"]
    fn parse(name: &str) -> Name {
        let (name, extended) = match name.strip_suffix('*') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (base, section) = match name.split_once('*') {
            Some((base, section)) => (base, section.parse().ok()),
            None => (name, None),
        };
        Name {
            base: base.to_owned(),
            section,
            extended,
        }
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    // RFC 2045 §5.1: type "/" subtype, or one word; comments and white space may stand
    // around each. Where the semicolon is missing, what follows is no part of it.
    fn leading(&mut self) -> String {
        let mut value = String::new();
        let mut apart = false;
        loop {
            let before = self.rest.len();
            self.skip_space();
            apart |= self.rest.len() < before && !value.is_empty() && !value.ends_with('/');
            match self.rest.first() {
                None | Some(b';') => return value,
                Some(b'/') => apart = false,
                Some(_) if apart => return value,
                Some(_) => {}
            }
            if let Some(byte @ b'!'..=b'~') = self.next()
                && value.len() < WORD_MAX
            {
                value.push(char::from(byte.to_ascii_lowercase()));
            }
        }
    }

    // RFC 5322 §3.2.2; nested comments are counted, not recursed into.
    fn comment(&mut self) {
        let mut open = 0usize;
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => {
                    self.next();
                }
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return;
            }
        }
    }

    fn skip_past(&mut self, wanted: u8) -> bool {
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'(' => {
                    self.comment();
                    continue;
                }
                b'"' => {
                    self.quoted();
                    continue;
                }
                _ => self.rest = &self.rest[1..],
            }
            if byte == wanted {
                return true;
            }
        }
        false
    }

    fn skip_space(&mut self) {
        while let Some(&byte) = self.rest.first() {
            match byte {
                b'(' => self.comment(),
                b' ' | b'\t' | b'\r' | b'\n' => self.rest = &self.rest[1..],
                _ => return,
            }
        }
    }

    // RFC 2045 §5.1: parameter := attribute "=" value
    fn parameter(&mut self) -> Option<(String, Vec<u8>)> {
        self.skip_space();
        let end = self.rest.iter().position(|b| b"=;\" \t(".contains(b))?;
        let name = String::from_utf8_lossy(&self.rest[..end]).to_ascii_lowercase();
        self.rest = &self.rest[end..];
        self.skip_space();
        if self.rest.first() != Some(&b'=') {
            return None;
        }
        self.next();
        self.skip_space();
        let value = if self.rest.first() == Some(&b'"') {
            self.quoted()
        } else {
            self.unquoted(matches!(name.as_str(), "name" | "filename"))
        };
        (!name.is_empty()).then_some((name, value))
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut value = Vec::new();
        self.next();
        while let Some(byte) = self.next() {
            match byte {
                b'"' => break,
                b'\\' => value.extend(self.next()),
                _ => value.push(byte),
            }
        }
        value
    }

    // A token, but with the specials that boundaries have in the wild; a file
    // name without quotes may have spaces, too.
    fn unquoted(&mut self, spaces: bool) -> Vec<u8> {
        let ends = |b: &u8| *b == b';' || (!spaces && b" \t(".contains(b));
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let value = self.rest[..end].trim_ascii().to_vec();
        self.rest = &self.rest[end..];
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_parameters() {
        for (raw, name, value) in [
            ("text/plain; charset=utf-8", "charset", "utf-8"),
            ("text/plain; charset = \"utf-8\" ; x=y", "charset", "utf-8"),
            ("text/plain; charset=us-ascii (Plain text)", "charset", "us-ascii"),
            ("Text/Plain (a;charset=no); CHARSET=UTF-8", "charset", "UTF-8"),
            ("multipart/mixed; boundary=\"a \\\"b\"", "boundary", "a \"b"),
            ("multipart/mixed; boundary=----=_Next_1", "boundary", "----=_Next_1"),
            ("multipart/mixed boundary=x; boundary=y", "boundary", "y"),
            ("multipart/mixed;; boundary=y;", "boundary", "y"),
            ("multipart/mixed; q=\"; boundary=no\"; boundary=y", "boundary", "y"),
            ("multipart/mixed; boundary*0=a; boundary*1=b", "boundary", "ab"),
            ("multipart/mixed; boundary*1=b; boundary*0=a", "boundary", "ab"),
            ("a/b; name=my file.pdf; x=y", "name", "my file.pdf"),
            ("a/b; name=plain; name*=utf-8''%41", "name", "utf-8''%41"),
            ("a/b; name=\"open", "name", "open"),
        ] {
            let found = Content::parse(raw.as_bytes()).parameter(name).expect(raw);
            assert_eq!(String::from_utf8_lossy(&found.value), value, "{raw}");
        }
    }

    #[test]
    fn joins_parameters() {
        for (raw, joined) in [
            ("a/b; NAME=x; y=\"z w\"", "name=x|y=z w"),
            ("a/b; x*1=b; y=1; x*0=a; x=c", "y=1|x=ab"),
            ("a/b; x*=utf-8''%41; x=A", "x*=utf-8''%41|x=A"),
            ("a/b; x*0*=utf-8''%41; x*1=\"b c\"", "x*=utf-8''%41b%20c"),
            ("a/b; x=1; x=2", "x=1"),
            ("a/b; x*1=2", ""),
        ] {
            let joined_now: Vec<_> = Content::parse(raw.as_bytes())
                .joined()
                .into_iter()
                .map(|(name, value)| format!("{name}={}", String::from_utf8_lossy(&value)))
                .collect();
            assert_eq!(joined_now.join("|"), joined, "{raw}");
        }
    }

    #[test]
    fn reads_the_value() {
        for (raw, value) in [
            (" Text / PLAIN ; x", "text/plain"),
            ("(a (b) c) text/(x)html", "text/html"),
            ("", ""),
            ("attachment", "attachment"),
            ("attachment filename=x", "attachment"),
            ("text/plain charset=x; y=z", "text/plain"),
            ("text / (x) plain", "text/plain"),
        ] {
            assert_eq!(Content::parse(raw.as_bytes()).value, value);
        }
    }

    #[test]
    fn a_flood_is_cut() {
        let flood = "a/b".to_owned() + &"; x=y".repeat(1000);
        let content = Content::parse(flood.as_bytes());
        assert!(content.cut);
        assert_eq!(content.parameters.len(), PARAMETERS_MAX);
    }
}

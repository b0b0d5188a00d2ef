//! What a client may ask for of a message: RFC 9051 §6.4.5.

use std::fmt;
use std::str::FromStr;

use super::spans::{Extent, Span};

/// A section as it stands between the brackets of `BODY[...]`.
///
/// `HEADER.FIELDS` is not one of them: what it asks for is chosen from `HEADER`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The section number, as `1.2`; empty for the message itself.
    pub part: String,
    /// What of the part; its body where it is none, or all of the message.
    pub text: Option<SectionText>,
}

/// A piece of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionText {
    /// The header of the message, or of a message within it.
    Header,
    /// The body of the message, or of a message within it.
    Text,
    /// The header of a part.
    Mime,
}

/// What is no section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no section: a part's number, HEADER, TEXT or MIME")]
pub struct NoSection;

impl Section {
    /// Its place among the parts.
    pub(super) fn find(&self, parts: &[Span]) -> Option<Extent> {
        let span = parts.iter().find(|span| span.section == self.part)?;
        let range = if self.part.is_empty() {
            match self.text {
                None => span.header..span.end,
                Some(SectionText::Header) => span.header..span.body,
                Some(SectionText::Text) => span.body..span.end,
                Some(SectionText::Mime) => return None,
            }
        } else {
            match self.text {
                None => span.body..span.end,
                Some(SectionText::Header) => span.body..span.inner?,
                Some(SectionText::Text) => span.inner?..span.end,
                Some(SectionText::Mime) => span.header..span.body,
            }
        };
        Some(range.into())
    }
}

// section-spec = section-msgtext / (section-part ["." section-text])
// section-part = nz-number *("." nz-number)
impl FromStr for Section {
    type Err = NoSection;

    fn from_str(text: &str) -> Result<Section, NoSection> {
        let (part, word) = match text.rsplit_once('.') {
            _ if text.starts_with(|c: char| c.is_ascii_alphabetic()) => ("", text),
            Some((part, word)) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => (part, word),
            _ => (text, ""),
        };
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
        if !part.is_empty() && !part.split('.').all(|digits| !digits.is_empty() && number(digits)) {
            return Err(NoSection);
        }
        let text = match word.to_ascii_uppercase().as_str() {
            "" => None,
            "HEADER" => Some(SectionText::Header),
            "TEXT" => Some(SectionText::Text),
            "MIME" if !part.is_empty() => Some(SectionText::Mime),
            _ => return Err(NoSection),
        };
        Ok(Section {
            part: part.to_owned(),
            text,
        })
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.part.is_empty() || self.text.is_none() {
            ""
        } else {
            "."
        };
        let text = match self.text {
            None => "",
            Some(SectionText::Header) => "HEADER",
            Some(SectionText::Text) => "TEXT",
            Some(SectionText::Mime) => "MIME",
        };
        write!(f, "{}{dot}{text}", self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sections() {
        for text in ["", "1", "1.20.3", "HEADER", "TEXT", "1.MIME", "2.1.HEADER", "1.TEXT"] {
            assert_eq!(text.parse::<Section>().expect(text).to_string(), text);
        }
        assert_eq!("1.mime".parse::<Section>().unwrap().to_string(), "1.MIME");
        for text in [
            "0", "1.", ".1", "MIME", "1..2", "1.01", "1.BODY", "HEADER.1", "1.+2", " 1",
        ] {
            assert_eq!(text.parse::<Section>(), Err(NoSection), "{text}");
        }
    }
}

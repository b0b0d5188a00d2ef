//! The words of a search: RFC 9051 §9, `atom`, `quoted`, parentheses.

use super::error::SearchError;

#[derive(Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In characters; the first is 1.
    pub(super) position: usize,
}

#[derive(Clone)]
pub(super) enum Kind {
    Open,
    Close,
    Atom(String),
    Quoted(String),
}

impl Token {
    /// The text of a word, quoted or not.
    pub(super) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Atom(word) | Kind::Quoted(word) => Some(word),
            Kind::Open | Kind::Close => None,
        }
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SearchError> {
    let mut tokens = Vec::new();
    let mut characters = text.chars().zip(1..).peekable();
    while let Some((c, position)) = characters.next() {
        let kind = match c {
            c if c.is_whitespace() => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            // RFC 9051 §9: a backslash before a quote or a backslash says only that it is one.
            '"' => {
                let mut word = String::new();
                loop {
                    match characters.next() {
                        None => return Err(SearchError::Quote { position }),
                        Some(('"', _)) => break,
                        Some(('\\', _)) => word.extend(characters.next().map(|(c, _)| c)),
                        Some((c, _)) => word.push(c),
                    }
                }
                Kind::Quoted(word)
            }
            c => {
                let mut word = String::from(c);
                let goes_on = |(c, _): &(char, usize)| !c.is_whitespace() && !matches!(c, '(' | ')' | '"');
                while let Some((c, _)) = characters.next_if(goes_on) {
                    word.push(c);
                }
                Kind::Atom(word)
            }
        };
        tokens.push(Token { kind, position });
    }
    Ok(tokens)
}

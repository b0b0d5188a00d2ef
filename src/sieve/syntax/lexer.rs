//! Tokens: RFC 5228 §8.1.

use super::{Place, SyntaxError};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Its length is that of the token, as far as it lies in its first line.
    pub(super) position: Place,
    pub(super) kind: TokenKind,
    /// Its first byte, and the one after its last.
    pub(super) extent: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// In lower case (RFC 5228 §2.1: identifiers are case-insensitive).
    Identifier(String),
    /// Without the colon, in lower case.
    Tag(String),
    Number(u64),
    Text(String),
    /// One of `[ ] ( ) { } ; ,`.
    Sign(char),
}

/// The tokens of a script, without white space and comments, and what in it is no token.
pub(super) fn lex_all(source: &str) -> (Vec<Token>, Vec<SyntaxError>) {
    let mut lexer = Lexer {
        source,
        rest: source,
        position: START,
    };
    let (mut tokens, mut errors) = (Vec::with_capacity(source.len() / 6), Vec::new());
    loop {
        if let Err(error) = lexer.skip_white_space() {
            errors.push(error);
        }
        let (position, start) = (lexer.position, lexer.offset());
        let Some(c) = lexer.peek() else {
            return (tokens, errors);
        };
        match lexer.token(c) {
            Ok(kind) => tokens.push(Token {
                position: lexer.since(position, start),
                kind,
                extent: (start, lexer.offset()),
            }),
            Err(error) if errors.len() < ERRORS_MAX => errors.push(error),
            Err(_) => return (tokens, errors),
        }
    }
}

/// Faults that are told of one script.
const ERRORS_MAX: usize = 100;

/// The first character of a script.
pub(super) const START: Place = Place {
    line: 1,
    column: 1,
    length: 1,
};

struct Lexer<'a> {
    source: &'a str,
    rest: &'a str,
    position: Place,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn offset(&self) -> u32 {
        u32::try_from(self.source.len() - self.rest.len()).unwrap_or(u32::MAX)
    }

    // The place of what began there and ends here.
    fn since(&self, position: Place, start: u32) -> Place {
        if position.line == self.position.line {
            let length = self.position.column - position.column;
            return Place { length, ..position };
        }
        let text = &self.source[usize::try_from(start).unwrap_or(0)..];
        let line = text.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        Place {
            length: u32::try_from(line.chars().count()).unwrap_or(u32::MAX),
            ..position
        }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        if c == '\n' {
            self.position.line += 1;
            self.position.column = 1;
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let start = self.rest;
        while self.peek().is_some_and(&wanted) {
            self.bump();
        }
        &start[..start.len() - self.rest.len()]
    }

    fn error<T>(&self, position: Place, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(position, message))
    }

    // white-space = 1*(SP / CRLF / HTAB) / comment; a bare LF is taken for a line end.
    fn skip_white_space(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
            if self.rest.starts_with('#') {
                self.take_while(|c| c != '\n');
            } else if self.rest.starts_with("/*") {
                self.skip_bracket_comment()?;
            } else {
                return Ok(());
            }
        }
    }

    // bracket-comment = "/*" *not-star 1*STAR *(not-star-slash *not-star 1*STAR) "/"
    fn skip_bracket_comment(&mut self) -> Result<(), SyntaxError> {
        let start = self.position;
        self.bump();
        self.bump();
        while !self.rest.starts_with("*/") {
            if self.bump().is_none() {
                return self.error(start, "this comment does not end: \"*/\" is missing");
            }
        }
        self.bump();
        self.bump();
        Ok(())
    }

    fn token(&mut self, first: char) -> Result<TokenKind, SyntaxError> {
        let start = self.position;
        match first {
            '[' | ']' | '(' | ')' | '{' | '}' | ';' | ',' => {
                self.bump();
                Ok(TokenKind::Sign(first))
            }
            '"' => self.quoted_string(),
            '0'..='9' => self.number(),
            // tag = ":" identifier
            ':' => {
                self.bump();
                if !self.peek().is_some_and(is_identifier_start) {
                    return self.error(start, "a tag's name is missing after the colon");
                }
                Ok(TokenKind::Tag(self.take_while(is_identifier_char).to_ascii_lowercase()))
            }
            c if is_identifier_start(c) => {
                let name = self.take_while(is_identifier_char).to_ascii_lowercase();
                if name == "text" && self.rest.starts_with(':') {
                    return self.multi_line(start);
                }
                Ok(TokenKind::Identifier(name))
            }
            c => {
                self.bump();
                self.error(start, format!("{c:?} is not allowed here"))
            }
        }
    }

    // number = 1*DIGIT [ QUANTIFIER ]
    fn number(&mut self) -> Result<TokenKind, SyntaxError> {
        let start = self.position;
        let digits = self.take_while(|c| c.is_ascii_digit());
        let factor: u64 = match self.peek().map(|c| c.to_ascii_lowercase()) {
            Some('k') => 1 << 10,
            Some('m') => 1 << 20,
            Some('g') => 1 << 30,
            _ => 1,
        };
        if factor > 1 {
            self.bump();
        }
        if self.peek().is_some_and(is_identifier_char) {
            self.take_while(is_identifier_char);
            return self.error(start, "this is not a number");
        }
        match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
            Some(number) => Ok(TokenKind::Number(number)),
            None => self.error(start, "this number is too large"),
        }
    }

    // quoted-string = DQUOTE quoted-text DQUOTE. RFC 5228 §2.4.2: a backslash before any
    // other character than these two is ignored.
    fn quoted_string(&mut self) -> Result<TokenKind, SyntaxError> {
        let start = self.position;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(TokenKind::Text(text)),
                Some('\\') => text.extend(self.bump()),
                Some('\0') => return self.error(start, "this string has a NUL"),
                Some(c) => text.push(c),
                None => return self.error(start, "this string does not end: a quote is missing"),
            }
        }
    }

    // multi-line = "text:" *(SP / HTAB) (hash-comment / CRLF)
    //              *(multiline-literal / multiline-dotstart) "." CRLF
    fn multi_line(&mut self, start: Place) -> Result<TokenKind, SyntaxError> {
        self.bump();
        self.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
        if self.rest.starts_with('#') {
            self.take_while(|c| c != '\n');
        }
        if self.bump() != Some('\n') {
            return self.error(start, "after \"text:\" the line must end");
        }
        let mut text = String::new();
        while !self.rest.is_empty() {
            let mut line = self.take_while(|c| c != '\n');
            let ended = self.bump().is_some();
            if line.trim_end_matches('\r') == "." {
                return Ok(TokenKind::Text(text));
            }
            // multiline-dotstart: a leading dot was doubled.
            if line.starts_with("..") {
                line = &line[1..];
            }
            text.push_str(line.trim_end_matches('\r'));
            if ended {
                text.push_str("\r\n");
            }
        }
        self.error(start, "this text does not end: a line with a single dot is missing")
    }
}

// identifier = (ALPHA / "_") *(ALPHA / DIGIT / "_")
fn is_identifier_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_identifier_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_strings() {
        for (source, text) in [
            (r#""a\"b\\c\d""#, "a\"b\\cd"),
            ("\"a\nb\"", "a\nb"),
            ("text:\r\na\r\n..b\r\n.\r\n", "a\r\n.b\r\n"),
            ("text: # remark\na\n.c\n.", "a\r\n.c\r\n"),
            ("TEXT:\n.\n", ""),
        ] {
            let (tokens, _) = lex_all(source);
            assert_eq!(tokens[0].kind, TokenKind::Text(text.to_owned()), "{source:?}");
        }
    }

    #[test]
    fn reads_numbers_and_places() {
        let (tokens, _) = lex_all("a /* x\n */ 1K :Tag # end");
        let kinds: Vec<_> = tokens.iter().map(|token| token.kind.clone()).collect();
        assert_eq!(
            kinds,
            [
                TokenKind::Identifier("a".into()),
                TokenKind::Number(1024),
                TokenKind::Tag("tag".into())
            ]
        );
        let place = Place {
            line: 2,
            column: 5,
            length: 2,
        };
        assert_eq!((tokens[1].position, tokens[1].extent), (place, (11, 13)));
    }

    #[test]
    fn refuses_with_the_place() {
        for (source, line, column) in [
            ("keep;\n  \"abc", 2, 3),
            ("/* x", 1, 1),
            ("a\nb = c", 2, 3),
            ("text:\nabc", 1, 1),
            ("99999999999999999999", 1, 1),
            ("18446744073709551615G", 1, 1),
            (": a", 1, 1),
            ("1x", 1, 1),
        ] {
            let error = lex_all(source).1.into_iter().next().expect(source);
            assert_eq!(
                (error.position.line, error.position.column),
                (line, column),
                "{source:?}"
            );
        }
    }
}

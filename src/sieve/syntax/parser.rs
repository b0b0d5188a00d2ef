//! Commands, arguments and tests: RFC 5228 §8.2.

use super::lexer::{Token, TokenKind};
use super::{Argument, Call, Command, Position, SyntaxError, Value, lex};

/// Blocks within blocks, and tests within tests.
const NESTING_MAX: usize = 32;

/// Parses a whole script.
pub(in crate::sieve) fn parse(source: &str) -> Result<Vec<Command>, SyntaxError> {
    let mut parser = Parser {
        tokens: lex(source)?.into_iter().peekable(),
        last: Position { line: 1, column: 1 },
    };
    let mut commands = Vec::new();
    while let Some(token) = parser.next() {
        commands.push(parser.command(token, 0)?);
    }
    Ok(commands)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    last: Position,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.next()?;
        self.last = token.position;
        Some(token)
    }

    fn peek(&mut self) -> Option<&TokenKind> {
        self.tokens.peek().map(|token| &token.kind)
    }

    fn is_sign(&mut self, sign: char) -> bool {
        self.peek() == Some(&TokenKind::Sign(sign))
    }

    fn expect(&mut self, what: &str) -> Result<Token, SyntaxError> {
        let last = self.last;
        let end = || SyntaxError::new(last, format!("the script ends here, but {what} is missing"));
        self.next().ok_or_else(end)
    }

    // command = identifier arguments (";" / block)
    fn command(&mut self, first: Token, depth: usize) -> Result<Command, SyntaxError> {
        let call = self.call(first, "a command", 0)?;
        let token = self.expect("a semicolon")?;
        match token.kind {
            TokenKind::Sign(';') => Ok(Command {
                call,
                block: None,
                end: token.position,
            }),
            TokenKind::Sign('{') => Ok(Command {
                call,
                block: Some(self.block(token.position, depth + 1)?),
                end: token.position,
            }),
            _ => Err(unexpected(&token, &format!("a semicolon after {:?}", call.name))),
        }
    }

    // block = "{" commands "}"
    fn block(&mut self, start: Position, depth: usize) -> Result<Vec<Command>, SyntaxError> {
        if depth > NESTING_MAX {
            return Err(SyntaxError::new(start, "too many blocks within blocks"));
        }
        let mut commands = Vec::new();
        loop {
            let Some(token) = self.next() else {
                return Err(SyntaxError::new(start, "this block does not end: \"}\" is missing"));
            };
            if token.kind == TokenKind::Sign('}') {
                return Ok(commands);
            }
            commands.push(self.command(token, depth)?);
        }
    }

    // arguments = *argument [ test / test-list ]
    fn call(&mut self, first: Token, what: &str, depth: usize) -> Result<Call, SyntaxError> {
        let TokenKind::Identifier(name) = first.kind else {
            return Err(unexpected(&first, what));
        };
        let mut call = Call {
            position: first.position,
            name,
            arguments: Vec::new(),
            tests: Vec::new(),
            listed: false,
        };
        while let Some(argument) = self.argument()? {
            call.arguments.push(argument);
        }
        if matches!(self.peek(), Some(TokenKind::Identifier(_))) {
            call.tests.push(self.test(depth)?);
        } else if self.is_sign('(') {
            call.listed = true;
            call.tests = self.test_list(depth)?;
        }
        Ok(call)
    }

    fn test(&mut self, depth: usize) -> Result<Call, SyntaxError> {
        let token = self.expect("a test")?;
        if depth >= NESTING_MAX {
            return Err(SyntaxError::new(token.position, "too many tests within tests"));
        }
        self.call(token, "a test", depth + 1)
    }

    // test-list = "(" test *("," test) ")"
    fn test_list(&mut self, depth: usize) -> Result<Vec<Call>, SyntaxError> {
        self.next();
        let mut tests = Vec::new();
        loop {
            tests.push(self.test(depth)?);
            let token = self.expect("\")\"")?;
            match token.kind {
                TokenKind::Sign(',') => {}
                TokenKind::Sign(')') => return Ok(tests),
                _ => return Err(unexpected(&token, "\",\" or \")\"")),
            }
        }
    }

    // argument = string-list / number / tag
    fn argument(&mut self) -> Result<Option<Argument>, SyntaxError> {
        let list = match self.peek() {
            Some(TokenKind::Tag(_) | TokenKind::Number(_) | TokenKind::Text(_)) => false,
            Some(TokenKind::Sign('[')) => true,
            _ => return Ok(None),
        };
        let Some(token) = self.next() else {
            return Ok(None);
        };
        let value = match token.kind {
            TokenKind::Tag(name) => Value::Tag(name),
            TokenKind::Number(number) => Value::Number(number),
            TokenKind::Text(text) => Value::Text(text),
            _ => {
                debug_assert!(list);
                Value::List(self.string_list()?)
            }
        };
        Ok(Some(Argument {
            position: token.position,
            value,
        }))
    }

    // string-list = "[" string *("," string) "]"
    fn string_list(&mut self) -> Result<Vec<(Position, String)>, SyntaxError> {
        let mut strings = Vec::new();
        loop {
            let token = self.expect("\"]\"")?;
            match token.kind {
                TokenKind::Text(text) => strings.push((token.position, text)),
                _ => return Err(unexpected(&token, "a string")),
            }
            let token = self.expect("\"]\"")?;
            match token.kind {
                TokenKind::Sign(',') => {}
                TokenKind::Sign(']') => return Ok(strings),
                _ => return Err(unexpected(&token, "\",\" or \"]\"")),
            }
        }
    }
}

fn unexpected(token: &Token, wanted: &str) -> SyntaxError {
    let found = match &token.kind {
        TokenKind::Identifier(name) => format!("{name:?}"),
        TokenKind::Tag(name) => format!("\":{name}\""),
        TokenKind::Number(number) => number.to_string(),
        TokenKind::Text(_) => "a string".to_owned(),
        TokenKind::Sign(sign) => format!("\"{sign}\""),
    };
    SyntaxError::new(token.position, format!("{wanted} is expected here, not {found}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_blocks_and_tests() {
        let commands =
            parse("if not anyof (header :is [\"a\", \"b\"] \"c\", size :over 1K) { keep; } else { stop; }").unwrap();
        assert_eq!(commands.len(), 2);
        let anyof = &commands[0].call.tests[0].tests[0];
        assert_eq!(
            (anyof.name.as_str(), anyof.listed, anyof.tests.len()),
            ("anyof", true, 2)
        );
        assert_eq!(anyof.tests[1].arguments[1].value, Value::Number(1024));
        assert_eq!(commands[1].block.as_ref().unwrap()[0].call.name, "stop");
    }

    #[test]
    fn refuses_with_the_place() {
        let deep = "if true {".repeat(40);
        let nots = format!("if {} true {{}}", "not ".repeat(40));
        for (source, line, column) in [
            ("keep", 1, 1),
            ("keep\n}", 2, 1),
            ("if true {\n keep;", 1, 9),
            ("}", 1, 1),
            ("redirect [\"a\" \"b\"];", 1, 15),
            ("redirect [];", 1, 11),
            ("\"a\";", 1, 1),
            (deep.as_str(), 1, 297),
            (nots.as_str(), 1, 132),
        ] {
            let error = parse(source).expect_err(source);
            assert_eq!(error.position, Position { line, column }, "{source:?} {error:?}");
        }
    }
}

//! Commands, arguments and tests: RFC 5228 §8.2.

use super::lexer::{START, Token, TokenKind, lex_all};
use super::{Argument, Call, Command, Place, SyntaxError, Value};

/// Blocks within blocks, and tests within tests.
const NESTING_MAX: usize = 32;
/// Faults that are told of one script.
const ERRORS_MAX: usize = 100;
/// How the fault of what is nested too deep begins.
const TOO_MANY: &str = "too many";

/// Parses a whole script. What could not be read is left out of the commands; with an error
/// they are good for finding further ones only.
pub(in crate::sieve) fn parse(source: &str) -> (Vec<Command>, Vec<SyntaxError>) {
    let (tokens, errors) = lex_all(source);
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        last: START,
        end: 0,
        errors,
        gave_up: false,
    };
    let mut commands = Vec::new();
    while let Some(token) = parser.next() {
        if token.kind == TokenKind::Sign('}') {
            parser.fault(unexpected(&token, "a command"));
            continue;
        }
        parser.command_or_skip(token, 0, &mut commands);
    }
    let mut errors = parser.errors;
    errors.sort_by_key(|error| error.position);
    (commands, errors)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    last: Place,
    /// The byte after the last token.
    end: u32,
    errors: Vec<SyntaxError>,
    /// It went too deep to be read on.
    gave_up: bool,
}

impl Parser {
    fn next(&mut self) -> Option<Token> {
        if self.gave_up {
            return None;
        }
        let token = self.tokens.next()?;
        self.last = token.position;
        self.end = token.extent.1;
        Some(token)
    }

    fn fault(&mut self, error: SyntaxError) {
        // What follows is only what was left unread.
        if self.gave_up && self.errors.iter().any(|error| error.message.starts_with(TOO_MANY)) {
            return;
        }
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(error);
        }
    }

    fn command_or_skip(&mut self, first: Token, depth: usize, commands: &mut Vec<Command>) {
        match self.command(first, depth) {
            Ok(command) => commands.push(command),
            Err(error) => {
                self.fault(error);
                self.skip_command();
            }
        }
    }

    // To the end of the command at hand: its semicolon or the brace of its block.
    fn skip_command(&mut self) {
        let mut depth = 0usize;
        loop {
            match self.peek() {
                None => return,
                Some(TokenKind::Sign('}')) if depth == 0 => return,
                _ => {}
            }
            match self.next().map(|token| token.kind) {
                Some(TokenKind::Sign(';')) if depth == 0 => return,
                Some(TokenKind::Sign('{')) => depth += 1,
                Some(TokenKind::Sign('}')) if depth == 1 => return,
                Some(TokenKind::Sign('}')) => depth -= 1,
                _ => {}
            }
        }
    }

    fn peek(&mut self) -> Option<&TokenKind> {
        if self.gave_up {
            return None;
        }
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
        if self.is_sign('}') && depth > 0 {
            // The block goes on as if it were there.
            let message = format!("a semicolon is missing behind \"{}\"", call.name);
            self.fault(SyntaxError::new(self.last, message));
            return Ok(Command {
                call,
                block: None,
                end: self.last,
            });
        }
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
    fn block(&mut self, start: Place, depth: usize) -> Result<Vec<Command>, SyntaxError> {
        if depth > NESTING_MAX {
            self.gave_up = true;
            return Err(SyntaxError::new(start, format!("{TOO_MANY} blocks within blocks")));
        }
        let mut commands = Vec::new();
        loop {
            let Some(token) = self.next() else {
                return Err(SyntaxError::new(start, "this block does not end: \"}\" is missing"));
            };
            if token.kind == TokenKind::Sign('}') {
                return Ok(commands);
            }
            self.command_or_skip(token, depth, &mut commands);
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
            extent: first.extent,
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
        call.extent.1 = self.end;
        Ok(call)
    }

    fn test(&mut self, depth: usize) -> Result<Call, SyntaxError> {
        let token = self.expect("a test")?;
        if depth >= NESTING_MAX {
            self.gave_up = true;
            return Err(SyntaxError::new(
                token.position,
                format!("{TOO_MANY} tests within tests"),
            ));
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
    fn string_list(&mut self) -> Result<Vec<(Place, String)>, SyntaxError> {
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
        let (commands, errors) =
            parse("if not anyof (header :is [\"a\", \"b\"] \"c\", size :over 1K) { keep; } else { stop; }");
        assert!(errors.is_empty());
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
            let error = &parse(source).1[0];
            assert_eq!(
                (error.position.line, error.position.column),
                (line, column),
                "{source:?} {error:?}"
            );
        }
    }

    #[test]
    fn all_errors_are_found() {
        let source = "keep :;\nif true { redirect [\"a\" \"b\"]; keep; }\nif (x) { stop; }\n}\ndiscard; = keep;\nstop";
        let (commands, errors) = parse(source);
        let lines: Vec<u32> = errors.iter().map(|error| error.position.line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6]);
        let names: Vec<&str> = commands.iter().map(|command| command.call.name.as_str()).collect();
        assert_eq!(names, ["keep", "if", "if", "discard", "keep"]);
    }
}

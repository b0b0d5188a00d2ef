//! Bytes to the words of a command: atoms, quoted strings and literals (RFC 5804 §1.2, §4).
//!
//! It takes bytes as they come and keeps the words of one command. A line that is wrong is
//! read over to its end, with the literals that it announces, so that nothing in it can be
//! taken for another command; it is answered once.

/// Octets of a command beside its literals.
const COMMAND_MAX: usize = 8 * 1024;
/// Words of a command; none has so many.
const WORDS_MAX: usize = 8;
/// Octets of a wrong line, or of a literal that nobody wants, that are read over.
const SKIP_MAX: u64 = 16 << 20;
/// How much of a line is kept to see whether it ends in the size of a literal.
const TAIL: usize = 16;

/// A word of a command.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Word {
    /// A name of a command, or a number.
    Atom(String),
    /// A quoted string or a literal.
    Text(Vec<u8>),
    /// A literal of that size that was too large and is gone.
    TooLarge(u64),
}

/// Why there is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no command; what follows can be read.
    Syntax(&'static str),
    /// Nobody knows any more where a command begins.
    Lost(&'static str),
}

/// The words of the command that is coming in.
pub(super) struct Lexer {
    state: State,
    words: Vec<Word>,
    /// Of this command, beside its literals.
    octets: usize,
    /// Of this command's literals.
    in_literals: usize,
    /// The end of the line so far.
    tail: Vec<u8>,
}

enum State {
    /// A word begins here, or the line ends.
    Gap,
    Atom(String),
    Quoted {
        text: Vec<u8>,
        escaped: bool,
    },
    /// Behind a string, where a space or the end must stand.
    Behind,
    /// Behind `{`.
    Size(Option<u64>),
    /// Behind `+` in `{n+`, then `}`, CR.
    SizeEnd {
        size: u64,
        expected: u8,
    },
    Literal {
        text: Vec<u8>,
        missing: usize,
    },
    Dropped {
        size: u64,
        missing: u64,
    },
    /// Behind CR.
    Cr,
    /// In a line that is wrong; with what is told when it ends.
    Skip {
        what: &'static str,
        after_cr: bool,
        octets: u64,
    },
    SkipLiteral {
        what: &'static str,
        missing: u64,
        octets: u64,
    },
    /// [`Fault::Lost`] was told.
    Lost(&'static str),
}

impl Lexer {
    pub(super) fn new() -> Lexer {
        Lexer {
            state: State::Gap,
            words: Vec::new(),
            octets: 0,
            in_literals: 0,
            tail: Vec::new(),
        }
    }

    /// Takes bytes until a command is whole; says how many it took. `literals` is how many octets the
    /// literals of a command may have together; one that goes beyond is read over.
    pub(super) fn read(&mut self, input: &[u8], literals: usize) -> (usize, Option<Result<Vec<Word>, Fault>>) {
        let mut at = 0;
        while at < input.len() {
            let (taken, done) = match &mut self.state {
                State::Literal { .. } | State::Dropped { .. } | State::SkipLiteral { .. } => {
                    (self.swallow(&input[at..]), None)
                }
                _ => (1, self.take(input[at], literals)),
            };
            at += taken;
            if let Some(Err(Fault::Lost(what))) = done {
                self.state = State::Lost(what);
            }
            if done.is_some() {
                return (at, done);
            }
        }
        (at, None)
    }

    // Octets of a literal, as many as there are.
    fn swallow(&mut self, input: &[u8]) -> usize {
        let at_most = |missing: u64| usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
        match &mut self.state {
            State::Literal { text, missing } => {
                let taken = (*missing).min(input.len());
                text.extend_from_slice(&input[..taken]);
                *missing -= taken;
                if *missing == 0 {
                    let text = std::mem::take(text);
                    self.end_string(Word::Text(text));
                }
                taken
            }
            State::Dropped { size, missing } => {
                let (size, taken) = (*size, at_most(*missing));
                *missing -= taken as u64;
                if *missing == 0 {
                    self.end_string(Word::TooLarge(size));
                }
                taken
            }
            State::SkipLiteral { what, missing, octets } => {
                let (what, octets, taken) = (*what, *octets, at_most(*missing));
                *missing -= taken as u64;
                if *missing == 0 {
                    self.tail.clear();
                    self.state = State::Skip {
                        what,
                        after_cr: false,
                        octets,
                    };
                }
                taken
            }
            _ => 0,
        }
    }

    fn end_string(&mut self, word: Word) {
        self.tail.clear();
        self.words.push(word);
        self.state = State::Behind;
    }

    fn take(&mut self, byte: u8, literals: usize) -> Option<Result<Vec<Word>, Fault>> {
        self.note(byte);
        if let State::Lost(what) = self.state {
            return Some(Err(Fault::Lost(what)));
        }
        if let State::Skip { what, after_cr, octets } = self.state {
            return self.skip(byte, what, after_cr, octets);
        }
        self.octets += 1;
        if self.octets > COMMAND_MAX {
            return self.wrong(byte, "The command is too long");
        }
        if self.words.len() > WORDS_MAX {
            return self.wrong(byte, "There are too many arguments");
        }
        match &mut self.state {
            State::Gap => return self.begin(byte),
            State::Atom(atom) if is_atom(byte) => atom.push(char::from(byte)),
            State::Atom(atom) => {
                let atom = std::mem::take(atom);
                self.words.push(Word::Atom(atom));
                return self.behind(byte);
            }
            State::Quoted { text, escaped } => match byte {
                b'"' | b'\\' if *escaped => {
                    *escaped = false;
                    text.push(byte);
                }
                _ if *escaped => return self.wrong(byte, "In a string, \\ stands before \" and \\ alone"),
                b'\\' => *escaped = true,
                b'"' => {
                    let text = std::mem::take(text);
                    self.end_string(Word::Text(text));
                }
                b'\0' | b'\r' | b'\n' => {
                    return self.wrong(byte, "A quoted string has no end of line in it, and no NUL");
                }
                _ => text.push(byte),
            },
            State::Behind => return self.behind(byte),
            State::Size(_) | State::SizeEnd { .. } => return self.size(byte, literals),
            State::Cr if byte == b'\n' => return Some(Ok(self.command())),
            State::Cr => return self.wrong(byte, "Lines end with CR LF"),
            // Those were dealt with before.
            State::Literal { .. }
            | State::Dropped { .. }
            | State::Skip { .. }
            | State::SkipLiteral { .. }
            | State::Lost(_) => {}
        }
        None
    }

    fn begin(&mut self, byte: u8) -> Option<Result<Vec<Word>, Fault>> {
        self.state = match byte {
            b' ' => State::Gap,
            b'\r' => State::Cr,
            b'"' => State::Quoted {
                text: Vec::new(),
                escaped: false,
            },
            b'{' => State::Size(None),
            byte if is_atom(byte) => State::Atom(char::from(byte).to_string()),
            b'\n' => return self.wrong(byte, "Lines end with CR LF"),
            _ => return self.wrong(byte, "This is neither a word nor a string"),
        };
        None
    }

    fn behind(&mut self, byte: u8) -> Option<Result<Vec<Word>, Fault>> {
        self.state = match byte {
            b' ' => State::Gap,
            b'\r' => State::Cr,
            b'\n' => return self.wrong(byte, "Lines end with CR LF"),
            _ => return self.wrong(byte, "A space must stand between words"),
        };
        None
    }

    // RFC 5804 §4: literal-c2s = "{" number "+}" CRLF *OCTET
    fn size(&mut self, byte: u8, literals: usize) -> Option<Result<Vec<Word>, Fault>> {
        let wrong = "A literal begins with {size+} at the end of a line";
        self.state = match (&self.state, byte) {
            (State::Size(size), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                let size = size
                    .unwrap_or(0)
                    .checked_mul(10)
                    .and_then(|size| size.checked_add(digit));
                match size {
                    Some(size) => State::Size(Some(size)),
                    None => return Some(Err(Fault::Lost("The literal is too large"))),
                }
            }
            (State::Size(Some(size)), b'+') => State::SizeEnd {
                size: *size,
                expected: b'}',
            },
            (State::SizeEnd { size, expected: b'}' }, b'}') => State::SizeEnd {
                size: *size,
                expected: b'\r',
            },
            (State::SizeEnd { size, expected: b'\r' }, b'\r') => State::SizeEnd {
                size: *size,
                expected: b'\n',
            },
            (State::SizeEnd { size, expected: b'\n' }, b'\n') => {
                let size = *size;
                return self.begin_literal(size, literals);
            }
            _ => return self.wrong(byte, wrong),
        };
        None
    }

    fn begin_literal(&mut self, size: u64, literals: usize) -> Option<Result<Vec<Word>, Fault>> {
        let room = literals.saturating_sub(self.in_literals);
        match usize::try_from(size) {
            Ok(0) => self.end_string(Word::Text(Vec::new())),
            Ok(missing) if missing <= room => {
                self.in_literals += missing;
                self.state = State::Literal {
                    text: Vec::new(),
                    missing,
                };
            }
            _ if size > SKIP_MAX => return Some(Err(Fault::Lost("The literal is too large"))),
            _ => self.state = State::Dropped { size, missing: size },
        }
        None
    }

    // The byte at which it turned out may be the end of the line.
    fn wrong(&mut self, byte: u8, what: &'static str) -> Option<Result<Vec<Word>, Fault>> {
        self.words.clear();
        self.state = State::Skip {
            what,
            after_cr: false,
            octets: 0,
        };
        let after_cr = self.tail.len() >= 2 && self.tail[self.tail.len() - 2] == b'\r';
        self.skip(byte, what, after_cr, 0)
    }

    fn skip(&mut self, byte: u8, what: &'static str, after_cr: bool, octets: u64) -> Option<Result<Vec<Word>, Fault>> {
        let octets = octets + 1;
        if octets > SKIP_MAX {
            return Some(Err(Fault::Lost("The line is too long")));
        }
        if !(after_cr && byte == b'\n') {
            self.state = State::Skip {
                what,
                after_cr: byte == b'\r',
                octets,
            };
            return None;
        }
        match announced(&self.tail) {
            Some(0) | None => {
                *self = Lexer::new();
                Some(Err(Fault::Syntax(what)))
            }
            Some(size) if octets.saturating_add(size) <= SKIP_MAX => {
                self.state = State::SkipLiteral {
                    what,
                    missing: size,
                    octets: octets + size,
                };
                None
            }
            Some(_) => Some(Err(Fault::Lost("The literal is too large"))),
        }
    }

    fn note(&mut self, byte: u8) {
        if self.tail.len() == 2 * TAIL {
            self.tail.drain(..TAIL);
        }
        self.tail.push(byte);
    }

    fn command(&mut self) -> Vec<Word> {
        std::mem::replace(self, Lexer::new()).words
    }
}

fn is_atom(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'{' | b'}' | b'(' | b')')
}

// The size of the literal that follows a line with this end: `{12+}` CRLF, and also without `+`, as IMAP has it.
fn announced(tail: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(tail.get(tail.iter().rposition(|byte| *byte == b'{')?..)?).ok()?;
    let digits = text.strip_prefix('{')?.strip_suffix("}\r\n")?;
    let digits = digits.strip_suffix('+')?;
    match digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => None,
        false => Some(digits.parse().unwrap_or(u64::MAX)),
    }
}

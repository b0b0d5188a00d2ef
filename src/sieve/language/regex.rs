//! `:regex`: POSIX extended regular expressions (draft-ietf-sieve-regex), run by the engine of the crate regex in
//! linear time. An expression is read by POSIX' rules and written as that crate has it: a backslash in brackets
//! is a letter, `(?` is nothing special, and there are no back-references.

use regex_automata::meta::{BuildError, Config, Regex};
use regex_automata::util::syntax;

use super::comparator::Comparator;

/// Bytes that a compiled expression may take.
const SIZE_MAX: usize = 256 * 1024;
/// Bytes of an expression.
const LENGTH_MAX: usize = 4096;

/// What searching with one takes besides: states that are made as they are needed, in a search of mail far fewer
/// than the [`SIZE_MAX`] there may be.
const STATES: usize = 32 * 1024;

/// A compiled expression.
#[derive(Debug)]
pub(super) struct Expression(Regex);

impl Expression {
    /// Whether it is found in a value.
    pub(super) fn is_match(&self, value: &str) -> bool {
        self.0.is_match(value)
    }

    /// What it and its groups stand for where it is found first; a group that took no part is empty.
    pub(super) fn captures(&self, value: &str) -> Option<Vec<String>> {
        let mut found = self.0.create_captures();
        self.0.captures(value, &mut found);
        let group = |at: usize| found.get_group(at).map_or("", |span| &value[span.range()]).to_owned();
        found.is_match().then(|| (0..found.group_len()).map(group).collect())
    }

    /// Bytes of memory that it takes, about.
    pub(super) fn size(&self) -> usize {
        self.0.memory_usage() + STATES
    }
}

/// Compiles an expression.
///
/// # Errors
/// Says what is wrong with it.
pub(super) fn compile(expression: &str, comparator: Comparator) -> Result<Expression, String> {
    if expression.len() > LENGTH_MAX {
        return Err(format!("a regular expression has at most {LENGTH_MAX} bytes"));
    }
    let translated = Translation {
        rest: expression,
        written: String::with_capacity(expression.len() + 8),
        depth: 0,
        repeatable: false,
    }
    .run()
    .map_err(|message| format!("this is no regular expression: {message}"))?;
    let syntax = syntax::Config::new()
        .case_insensitive(matches!(
            comparator,
            Comparator::AsciiCasemap | Comparator::UnicodeCasemap
        ))
        .dot_matches_new_line(true)
        .nest_limit(50);
    let sizes = Config::new()
        .nfa_size_limit(Some(SIZE_MAX))
        .hybrid_cache_capacity(SIZE_MAX);
    let built = Regex::builder().configure(sizes).syntax(syntax).build(&translated);
    built.map(Expression).map_err(wrong)
}

fn wrong(error: BuildError) -> String {
    if error.size_limit().is_some() {
        return "this regular expression is too large".to_owned();
    }
    let text = error
        .syntax_error()
        .map_or_else(|| error.to_string(), ToString::to_string);
    let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
    format!("this is no regular expression: {last}")
}

struct Translation<'a> {
    rest: &'a str,
    written: String,
    depth: usize,
    /// Something stands before that a `*` can repeat.
    repeatable: bool,
}

impl Translation<'_> {
    fn run(mut self) -> Result<String, String> {
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.bracket()?,
                '(' => {
                    self.depth += 1;
                    self.plain('(', false);
                }
                ')' if self.depth > 0 => {
                    self.depth -= 1;
                    self.plain(')', true);
                }
                '|' => self.plain('|', false),
                '^' => self.plain('^', false),
                '.' | '$' => self.plain(c, true),
                '*' | '+' | '?' if !self.repeatable => return Err(format!("there is nothing that `{c}` could repeat")),
                '*' | '+' | '?' => self.plain(c, true),
                '{' => self.interval()?,
                c => self.literal(c),
            }
        }
        match self.depth {
            0 => Ok(self.written),
            _ => Err("a `)` is missing".to_owned()),
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn plain(&mut self, c: char, repeatable: bool) {
        self.written.push(c);
        self.repeatable = repeatable;
    }

    fn literal(&mut self, c: char) {
        self.written.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
        self.repeatable = true;
    }

    // POSIX leaves a backslash before a letter undefined; these are what the GNU library makes of them.
    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.next() else {
            return Err("a `\\` stands at its end".to_owned());
        };
        match c {
            'w' | 'W' | 's' | 'S' => self.class(c, true),
            'b' | 'B' => self.class(c, false),
            '<' => self.edge("\\b{start}"),
            '>' => self.edge("\\b{end}"),
            '0'..='9' => return Err(format!("there are no back-references such as `\\{c}`")),
            c => self.literal(c),
        }
        Ok(())
    }

    fn class(&mut self, c: char, repeatable: bool) {
        self.written.push('\\');
        self.plain(c, repeatable);
    }

    fn edge(&mut self, written: &str) {
        self.written.push_str(written);
        self.repeatable = false;
    }

    // An interval: {n}, {n,}, {n,m}. What is none is a brace.
    fn interval(&mut self) -> Result<(), String> {
        let Some(end) = self.rest.find('}') else {
            self.literal('{');
            return Ok(());
        };
        let inner = &self.rest[..end];
        let (least, most) = inner.split_once(',').unwrap_or((inner, inner));
        let number = |text: &str| !text.is_empty() && text.len() < 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !number(least) || !(number(most) || most.is_empty()) {
            self.literal('{');
            return Ok(());
        }
        if !self.repeatable {
            return Err(format!("there is nothing that `{{{inner}}}` could repeat"));
        }
        self.written.push('{');
        self.written.push_str(inner);
        self.written.push('}');
        self.rest = &self.rest[end + 1..];
        Ok(())
    }

    fn bracket(&mut self) -> Result<(), String> {
        self.written.push('[');
        if self.rest.starts_with('^') {
            self.next();
            self.written.push('^');
        }
        let mut first = true;
        loop {
            let Some(c) = self.next() else {
                return Err("a `]` is missing".to_owned());
            };
            match c {
                ']' if !first => break,
                '[' if self.rest.starts_with([':', '=', '.']) => self.named_class()?,
                c => self.member(c)?,
            }
            first = false;
        }
        self.plain(']', true);
        Ok(())
    }

    fn member(&mut self, first: char) -> Result<(), String> {
        push_member(&mut self.written, first);
        let mut ahead = self.rest.chars();
        if let (Some('-'), Some(last)) = (ahead.next(), ahead.next())
            && last != ']'
        {
            self.rest = &self.rest[1..];
            self.next();
            if last < first {
                return Err(format!("the range `{first}-{last}` is backwards"));
            }
            self.written.push('-');
            push_member(&mut self.written, last);
        }
        Ok(())
    }

    // [:alpha:], and [=a=] and [.a.] of one letter.
    fn named_class(&mut self) -> Result<(), String> {
        let kind = self.next().unwrap_or(':');
        let closing = format!("{kind}]");
        let Some(end) = self.rest.find(&closing) else {
            return Err(format!("a `{closing}` is missing"));
        };
        let name = &self.rest[..end];
        self.rest = &self.rest[end + 2..];
        const CLASSES: [&str; 12] = [
            "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit",
        ];
        let mut letters = name.chars();
        match (kind, letters.next(), letters.next()) {
            (':', ..) if CLASSES.contains(&name) => self.written.push_str(&format!("[:{name}:]")),
            ('=' | '.', Some(letter), None) => push_member(&mut self.written, letter),
            _ => return Err(format!("there is no class `[{kind}{name}{closing}`")),
        }
        Ok(())
    }
}

fn push_member(written: &mut String, c: char) {
    if matches!(c, '[' | ']' | '^' | '-' | '\\' | '&' | '~') {
        written.push('\\');
    }
    written.push(c);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_posix_expressions() {
        for (expression, value, matched) in [
            ("^a.c$", "aXc", true),
            ("a.c", "a\nc", true),
            ("^b", "ab", false),
            ("[[:digit:]]+", "x12", true),
            ("[^[:space:]]$", "a ", false),
            ("[]a]", "]", true),
            ("[^]a]", "]", false),
            ("[a\\]", "\\", true),
            ("[a\\]x", "\\x", true),
            ("[a-]", "-", true),
            ("[&&~~]", "&", true),
            ("(ab){2}", "abab", true),
            ("^(ab){2,}$", "ab", false),
            ("a{,2}", "a{,2}", true),
            ("a{x", "a{x", true),
            ("\\.", "x", false),
            ("\\bcat\\b", "a cat!", true),
            ("\\<cat\\>", "concat", false),
            ("(?i)", "?i", false),
            ("[[=a=]]", "a", true),
            ("A", "a", true),
            ("[Ä]", "ä", true),
            ("a#b &", "a#b &", true),
            (")", ")", true),
        ] {
            let compiled = compile(expression, Comparator::AsciiCasemap);
            if expression == "(?i)" {
                assert!(compiled.is_err());
                continue;
            }
            assert_eq!(compiled.expect(expression).is_match(value), matched, "{expression}");
        }
        assert!(!compile("A", Comparator::Octet).unwrap().is_match("a"));
    }

    #[test]
    fn groups_that_take_no_part_are_empty() {
        let expression = compile("b(c)?(d)", Comparator::Octet).unwrap();
        assert_eq!(expression.captures("abd").unwrap(), ["bd", "", "d"]);
        assert_eq!(expression.captures("abc"), None);
    }

    #[test]
    fn a_larger_one_takes_more() {
        let size = |expression: &str| compile(expression, Comparator::UnicodeCasemap).unwrap().size();
        let (small, large) = (size("a"), size("([[:alpha:]]{1,9}x){1,3}"));
        assert!(small >= STATES && large > small + 10_000, "{small} {large}");
    }

    #[test]
    fn refuses() {
        for (expression, words) in [
            ("[", "`]`"),
            ("(a", "`)`"),
            ("a\\", "end"),
            ("*a", "nothing"),
            ("(*a)", "nothing"),
            ("{2}", "nothing"),
            ("(a)\\1", "back-references"),
            ("[b-a]", "backwards"),
            ("[[:foo:]]", "class"),
            ("((((a{1000}){1000}){1000}){1000}){1000}", "large"),
            (&"a".repeat(5000), "4096"),
            ("a{3,1}", "regular expression"),
        ] {
            let message = compile(expression, Comparator::Octet).expect_err(expression);
            assert!(message.contains(words), "{expression}: {message}");
        }
    }
}

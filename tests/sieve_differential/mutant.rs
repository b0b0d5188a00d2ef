//! A script that was damaged: tokens left out, doubled, swapped, or others in their place.

use std::fmt;

use super::chance::Chance;

/// A script as its tokens, each with the white space behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutant(Vec<String>);

/// What is put where it does not belong.
const STRAYS: &[&str] = &[
    ";",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ",",
    "keep",
    "stop",
    "if",
    "else",
    "elsif",
    "require",
    "true",
    "not",
    "anyof",
    "header",
    ":is",
    ":matches",
    ":contains",
    ":count",
    ":over",
    ":index",
    ":last",
    ":copy",
    ":flags",
    ":comparator",
    ":unknown",
    ":all",
    ":mime",
    ":zone",
    "1",
    "0",
    "10K",
    "4294967296",
    "99999999999999999999",
    "5X",
    "-1",
    "1.5",
    "\"\"",
    "\"text\"",
    "\"i;octet\"",
    "\"i;nonsense\"",
    "\"gt\"",
    "\"xx\"",
    "\"nobody\"",
    "\"a@b\"",
    "[]",
    "[\"a\"]",
    "[\"a\" \"b\"]",
    "[\"a\",]",
    "[1]",
    "text:\nline\n.\n",
    "text: # word\nline\n.\n",
    "text:\nopen",
    "\"open",
    "# comment\n",
    "/* comment */",
    "/* open",
    "nonsense",
    "\"${hex: 40}\"",
    "\"${1}\"",
    "\"${a.b}\"",
    "\"\\q\"",
    "$",
    ":",
    "\"(\"",
    "\"[a\"",
    "\"\\\\\"",
    "\"fileinto\"",
    "\"variables\"",
    "\"nonsense\"",
    "discard",
    "redirect",
    "KEEP",
    "If",
    ":IS",
    "exists",
    "size",
    "set",
];

impl Mutant {
    /// A script with a few tokens of it damaged.
    pub fn of(chance: &mut Chance, text: &str) -> Mutant {
        let mut tokens = tokens(text);
        for _ in 0..1 + chance.below(2) {
            damage(chance, &mut tokens);
        }
        Mutant(tokens)
    }

    /// Every one with fewer tokens, halves first.
    pub fn smaller(&self) -> Vec<Mutant> {
        let count = self.0.len();
        let mut all = Vec::new();
        for length in [count / 2, count / 4, count / 8, 6, 5, 4, 3, 2, 1] {
            if length == 0 || length >= count {
                continue;
            }
            for from in (0..=count - length).step_by(length.div_ceil(2)) {
                all.push(Mutant([&self.0[..from], &self.0[from + length..]].concat()));
            }
        }
        all
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| f.write_str(token))
    }
}

fn damage(chance: &mut Chance, tokens: &mut Vec<String>) {
    if tokens.is_empty() {
        return;
    }
    let at = chance.below(tokens.len());
    let stray = format!("{} ", chance.pick(STRAYS));
    match chance.below(6) {
        0 => drop(tokens.remove(at)),
        1 => tokens.insert(at, tokens[at].clone()),
        2 => tokens.insert(at, stray),
        3 => tokens[at] = stray,
        4 => {
            let other = chance.below(tokens.len());
            tokens.swap(at, other);
        }
        _ => {
            let other = tokens[chance.below(tokens.len())].clone();
            tokens[at] = other;
        }
    }
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = length(rest);
        let space = rest[word..].len() - rest[word..].trim_start().len();
        let (token, behind) = rest.split_at(word + space);
        tokens.push(token.to_owned());
        rest = behind;
    }
    tokens
}

/// How long the token is with which the text begins.
fn length(text: &str) -> usize {
    let Some(first) = text.chars().next() else { return 0 };
    if first == '"' {
        let mut escaped = false;
        let end = text[1..].find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return end.map_or(text.len(), |end| end + 2);
    }
    if text.starts_with("text:\n") {
        return text.find("\n.\n").map_or(text.len(), |end| end + 3);
    }
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let start = first.len_utf8();
    if word(first) || first == ':' {
        return text[start..].find(|c| !word(c)).map_or(text.len(), |end| start + end);
    }
    start
}

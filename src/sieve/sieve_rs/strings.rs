//! Strings as sieve-rs reads them.
//!
//! sieve-rs expands `${...}` whether or not `variables` or `encoded-character` is
//! required, knows escapes that RFC 5228 does not (`\n`, `\t`), and misreads a backslash
//! before a quote, before another backslash and at the end. A string is therefore
//! decoded by RFC 5228 and RFC 5229 here, and written so that sieve-rs reads just that.

use std::fmt::Write;

/// A variable that the printed script sets to `$`: the one way to say `${` literally.
pub(super) const DOLLAR: &str = "postroom_dollar";

/// What `${name}` and `${1}` are in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// Text: the script does not require `variables`.
    None,
    /// Variables; match variables were saved under [`match_variable`].
    Saved,
    /// Variables; match variables are those of sieve-rs.
    Live,
}

/// The plain variable to which a match variable is copied.
pub(super) fn match_variable(number: usize) -> String {
    format!("postroom_match_{number}")
}

/// The match variables (RFC 5229 §3.2) to which a string refers.
pub(super) fn match_references(text: &str) -> Vec<usize> {
    let starts = text.match_indices("${").map(|(at, _)| &text[at + 2..]);
    starts.filter_map(match_reference).collect()
}

// num-variable = 1*DIGIT, after the brace.
fn match_reference(text: &str) -> Option<usize> {
    let number = &text[..text.find('}')?];
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().unwrap_or(usize::MAX))
}

/// Writes a quoted string.
///
/// # Errors
/// Names a reference to a namespace that no required extension has (RFC 5229 §3).
pub(super) fn quote(text: &str, references: References) -> Result<String, String> {
    let variables = references != References::None;
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut skipped = 0;
    for (at, c) in text.char_indices() {
        if at < skipped {
            continue;
        }
        let rest = &text[at + c.len_utf8()..];
        match c {
            '$' if references == References::Saved
                && rest.starts_with('{')
                && match_reference(&rest[1..]).is_some() =>
            {
                let number = match_reference(&rest[1..]).unwrap_or_default();
                let _ = write!(quoted, "${{{}}}", match_variable(number));
                skipped = at + 2 + rest.find('}').unwrap_or_default();
            }
            '$' if rest.starts_with('{') && !(variables && is_reference(&rest[1..])?) => {
                let _ = write!(quoted, "${{{DOLLAR}}}");
            }
            '"' => quoted.push_str("\\\""),
            '\\' if !rest.is_empty() && !rest.starts_with(['"', '\\', 'n', 'r', 't']) => quoted.push_str("\\\\"),
            '\\' => quoted.push_str("${hex:5c}"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

// RFC 5229 §3: variable-ref = "${" [namespace] variable-name "}". RFC 6609 §3.4.3 has the
// one namespace that is supported, "global".
fn is_reference(text: &str) -> Result<bool, String> {
    let Some(name) = text.find('}').map(|end| &text[..end]) else {
        return Ok(false);
    };
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(true);
    }
    if !name.split('.').all(is_identifier) {
        return Ok(false);
    }
    check_namespace(name).map(|()| true)
}

/// identifier = (ALPHA / "_") *(ALPHA / DIGIT / "_")
pub(super) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Refuses the name of a variable outside the namespaces there are.
pub(super) fn check_namespace(name: &str) -> Result<(), String> {
    match name.split_once('.') {
        None => Ok(()),
        Some((namespace, rest)) if namespace.eq_ignore_ascii_case("global") && !rest.contains('.') => Ok(()),
        Some(_) => Err(format!("the variable {name:?} is in a namespace that is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes() {
        for (text, references, quoted) in [
            ("${1}x", References::Saved, r#""${postroom_match_1}x""#),
            ("a", References::None, r#""a""#),
            ("a\"b", References::None, r#""a\"b""#),
            ("a\\.b", References::None, r#""a\\.b""#),
            ("a\\", References::None, r#""a${hex:5c}""#),
            ("\\n\\\"", References::None, r#""${hex:5c}n${hex:5c}\"""#),
            ("${x}", References::Live, r#""${x}""#),
            ("${x}", References::None, r#""${postroom_dollar}{x}""#),
            ("${a-b} $", References::Live, r#""${postroom_dollar}{a-b} $""#),
            ("${1}", References::Live, r#""${1}""#),
        ] {
            assert_eq!(quote(text, references).expect(text), quoted);
        }
        assert!(quote("${env.home}", References::Live).is_err());
    }
}

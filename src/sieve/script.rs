//! Scripts and their names, as they come into the room.

use std::fmt;
use std::sync::Arc;

/// One script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// What messages call it, such as a path or the name its owner gave it.
    pub name: String,
    /// Its text; UTF-8, or it does not compile (RFC 5228 §2.1).
    pub source: Arc<[u8]>,
}

impl Script {
    /// A script of that name with that text.
    #[must_use]
    pub fn new(name: impl Into<String>, source: impl Into<Arc<[u8]>>) -> Script {
        Script {
            name: name.into(),
            source: source.into(),
        }
    }
}

/// The scripts of one recipient, in the order in which they run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// The site's, before the user's.
    pub before: Vec<Script>,
    /// The user's active script.
    pub user: Option<Script>,
    /// Runs in place of the user's where there is none.
    pub default: Option<Script>,
    /// The site's, after the user's.
    pub after: Vec<Script>,
}

impl Scripts {
    /// All that run unless one of them ends the sequence.
    pub fn sequence(&self) -> impl Iterator<Item = &Script> {
        let own = self.user.as_ref().or(self.default.as_ref());
        self.before.iter().chain(own).chain(&self.after)
    }
}

/// Where `include` looks (RFC 6609 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// Among the user's scripts.
    Personal,
    /// Among the site's.
    Global,
}

/// Octets a script's name may have, so that `NAME.sieve` is a file name.
const NAME_MAX: usize = 249;

/// The name of a script (RFC 5804 §1.6): it can name nothing outside its folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScriptName(String);

/// Why a text is not the name of a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptNameError {
    /// Nothing at all.
    #[error("the script name is empty")]
    Empty,
    /// Longer than a file name may be.
    #[error("the script name {0:?} is longer than {NAME_MAX} octets")]
    TooLong(String),
    /// A leading dot, a slash or a control character.
    #[error("the script name {name:?} has {character:?} where it is not allowed")]
    Forbidden {
        /// The name as given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
}

impl ScriptName {
    /// Checks a name as users write it, without `.sieve`.
    ///
    /// # Errors
    /// [`ScriptNameError`] names what is wrong.
    pub fn parse(text: &str) -> Result<ScriptName, ScriptNameError> {
        if text.is_empty() {
            return Err(ScriptNameError::Empty);
        }
        if text.len() > NAME_MAX {
            return Err(ScriptNameError::TooLong(text.to_owned()));
        }
        // RFC 5804 §1.6 forbids U+2028 and U+2029 beside the control characters.
        let forbidden = |c: &char| c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}');
        let leading_dot = text.starts_with('.').then_some('.');
        if let Some(character) = leading_dot.or_else(|| text.chars().find(forbidden)) {
            return Err(ScriptNameError::Forbidden {
                name: text.to_owned(),
                character,
            });
        }
        Ok(ScriptName(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of its file: `NAME.sieve`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.sieve", self.0)
    }
}

impl fmt::Display for ScriptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_folder() {
        for name in ["spam", "My filter", "Ferien-Abwesenheit", "été", "a.b"] {
            assert_eq!(
                ScriptName::parse(name).expect(name).file_name(),
                format!("{name}.sieve")
            );
        }
        let long = "a".repeat(250);
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/x",
            ".hidden",
            "a\0",
            "a\nb",
            "a\\b",
            "a\u{2028}",
            &long,
        ] {
            assert!(ScriptName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_default_runs_only_without_a_user_script() {
        let script = |name: &str| Script::new(name, *b"keep;");
        let mut scripts = Scripts {
            before: vec![script("before")],
            user: Some(script("user")),
            default: Some(script("default")),
            after: vec![script("after")],
        };
        let names = |scripts: &Scripts| -> Vec<String> { scripts.sequence().map(|s| s.name.clone()).collect() };
        assert_eq!(names(&scripts), ["before", "user", "after"]);
        scripts.user = None;
        assert_eq!(names(&scripts), ["before", "default", "after"]);
    }
}

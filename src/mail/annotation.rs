//! Annotations of mailboxes and of the server: RFC 5464.

use std::collections::BTreeMap;
use std::fmt;

/// Bytes of a name.
const NAME_MAX: usize = 255;

/// The name of an annotation (RFC 5464 §3.2): below `/private/` or `/shared/`, in lower case, since
/// case does not tell names apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AnnotationName(String);

/// The annotations of one mailbox, or of the server for one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations(BTreeMap<AnnotationName, String>);

/// Why something is no annotation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A name of another form.
    #[error(
        "{0:?} is no name of an annotation: such names are /private/comment or /shared/vendor/example/colour, \
         of printable ASCII without * and %"
    )]
    Name(String),
    /// A value that is too large (METADATA MAXSIZE, RFC 5464 §4.3).
    #[error("the value of {0} is longer than {max} bytes", max = Annotations::VALUE_MAX)]
    TooLong(AnnotationName),
    /// One more than there may be (METADATA TOOMANY, RFC 5464 §4.3).
    #[error("there is no room for {0}: there are {max} annotations already", max = Annotations::ENTRIES_MAX)]
    TooMany(AnnotationName),
}

impl AnnotationName {
    /// Reads a name, in upper or lower case.
    ///
    /// # Errors
    /// [`AnnotationError::Name`].
    pub fn parse(text: &str) -> Result<AnnotationName, AnnotationError> {
        let name = text.to_ascii_lowercase();
        let below = name.strip_prefix("/private/").or(name.strip_prefix("/shared/"));
        // RFC 5464 §3.2: no "//", no "/" at the end, neither "*" nor "%", no control characters, ASCII alone.
        let is_allowed = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'*' | b'%');
        let is_component = |component: &str| !component.is_empty() && component.bytes().all(is_allowed);
        match below {
            Some(below) if name.len() <= NAME_MAX && below.split('/').all(is_component) => Ok(AnnotationName(name)),
            _ => Err(AnnotationError::Name(text.to_owned())),
        }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AnnotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Annotations {
    /// Bytes of a value.
    pub const VALUE_MAX: usize = 16 * 1024;
    /// How many there may be.
    pub const ENTRIES_MAX: usize = 100;

    /// The value of one; none where there is none of that name.
    #[must_use]
    pub fn get(&self, name: &AnnotationName) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Gives one a value, or takes it away.
    ///
    /// # Errors
    /// [`AnnotationError::TooLong`], [`AnnotationError::TooMany`]; all is as before then.
    pub fn set(&mut self, name: &AnnotationName, value: Option<&str>) -> Result<(), AnnotationError> {
        let Some(value) = value else {
            self.0.remove(name);
            return Ok(());
        };
        if value.len() > Annotations::VALUE_MAX {
            return Err(AnnotationError::TooLong(name.clone()));
        }
        if self.0.len() >= Annotations::ENTRIES_MAX && !self.0.contains_key(name) {
            return Err(AnnotationError::TooMany(name.clone()));
        }
        self.0.insert(name.clone(), value.to_owned());
        Ok(())
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&AnnotationName, &str)> {
        self.0.iter().map(|(name, value)| (name, value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (text, expected) in [
            ("/private/comment", Some("/private/comment")),
            ("/Shared/Vendor/Example/a b", Some("/shared/vendor/example/a b")),
            ("", None),
            ("/private", None),
            ("/private/", None),
            ("/private/a/", None),
            ("/private//a", None),
            ("/other/a", None),
            ("private/a", None),
            ("/shared/a*", None),
            ("/shared/a%", None),
            ("/shared/a\nb", None),
            ("/shared/gr\u{fc}n", None),
        ] {
            let name = AnnotationName::parse(text);
            assert_eq!(name.as_ref().ok().map(AnnotationName::as_str), expected, "{text:?}");
        }
        assert!(AnnotationName::parse(&format!("/shared/{}", "x".repeat(247))).is_ok());
        assert!(AnnotationName::parse(&format!("/shared/{}", "x".repeat(248))).is_err());
    }

    #[test]
    fn there_is_room_for_some() {
        let mut annotations = Annotations::default();
        let name = |number: usize| AnnotationName::parse(&format!("/private/{number}")).unwrap();
        for number in 0..Annotations::ENTRIES_MAX {
            annotations.set(&name(number), Some("x")).unwrap();
        }
        let full = annotations.clone();
        let (known, new) = (name(1), name(1000));
        let long = "x".repeat(Annotations::VALUE_MAX + 1);
        assert_eq!(
            annotations.set(&new, Some("x")),
            Err(AnnotationError::TooMany(new.clone()))
        );
        assert_eq!(
            annotations.set(&known, Some(&long)),
            Err(AnnotationError::TooLong(known.clone()))
        );
        assert_eq!(annotations.set(&new, None), Ok(()));
        assert_eq!(annotations, full);
        annotations.set(&known, Some(&long[1..])).unwrap();
        annotations.set(&name(2), None).unwrap();
        annotations.set(&new, Some("")).unwrap();
        assert_eq!((annotations.get(&new), annotations.get(&name(2))), (Some(""), None));
        assert_eq!(annotations.get(&known).map(str::len), Some(Annotations::VALUE_MAX));
    }
}

//! The passwords of a static directory: lines of `user:hash`, read again when they change.

use std::collections::HashMap;
use std::path::Path;

use super::matching::Matching;
use super::password::{PasswordField, PasswordHash};
use super::table_file::TableError;
use super::watched::{Content, Watched};
use super::{Found, LookupError};
use crate::mail::Address;

/// A file of passwords; what stands behind a second colon is not used, so that one of Dovecot's will do.
///
/// It is read when somebody logs in, and not before: whoever only delivers need not be able to.
pub(super) struct Passwords {
    watched: Watched<Fields>,
    matching: Matching,
}

/// The passwords by local part and domain; without a domain they are of all domains.
struct Fields {
    of: HashMap<(String, String), PasswordField>,
    decoy: PasswordHash,
}

impl Content for Fields {
    const WHAT: &'static str = "passwords";

    fn count(&self) -> usize {
        self.of.values().filter(|field| field.hash().is_some()).count()
    }
}

impl Passwords {
    /// Of a file that is not read yet.
    pub fn new(file: &Path, matching: Matching) -> Passwords {
        Passwords {
            watched: Watched::new(file),
            matching,
        }
    }

    /// How many there are.
    ///
    /// # Errors
    /// [`LookupError::Passwords`] where the file cannot be read or a line is wrong.
    pub fn count(&self) -> Result<usize, LookupError> {
        Ok(self.fields()?.count())
    }

    /// The account that was `found`, where this is its password.
    ///
    /// # Errors
    /// As [`Passwords::count`].
    pub fn open(&self, found: Option<Found>, user: &str, password: &str) -> Result<Option<Found>, LookupError> {
        let fields = self.fields()?;
        let field = found.as_ref().and_then(|found| {
            let (local, domain) = self.matching.key(found.addresses.first()?);
            let own = fields.of.get(&(local.clone(), domain));
            own.or_else(|| fields.of.get(&(local, String::new())))
        });
        let opens = PasswordField::opens(field, &fields.decoy, user, password);
        Ok(found.filter(|_| opens))
    }

    fn fields(&self) -> Result<std::sync::Arc<Fields>, LookupError> {
        let read = |text: &str| {
            read(text, &self.matching).map_err(|(line, what)| TableError::Line {
                file: self.watched.file().to_owned(),
                line,
                what,
            })
        };
        self.watched.get(read).map_err(LookupError::Passwords)
    }
}

fn read(text: &str, matching: &Matching) -> Result<Fields, (usize, String)> {
    let mut of = HashMap::new();
    let mut decoy = None;
    let lines = text.lines().map(str::trim).enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        let wrong = |what: &str| (at + 1, what.to_owned());
        let (user, rest) = line
            .split_once(':')
            .ok_or_else(|| wrong("the line has no colon: write user:hash"))?;
        let address = Address::parse(user).map_err(|error| wrong(&format!("{user:?} is no user: {error}")))?;
        let field = PasswordField::parse(field_of(rest));
        decoy = decoy.or_else(|| field.hash().cloned());
        if of.insert(matching.key(&address), field).is_some() {
            return Err(wrong(&format!("{user:?} has a password already")));
        }
    }
    Ok(Fields {
        of,
        decoy: decoy.unwrap_or_else(PasswordHash::decoy),
    })
}

// No hash has a colon. A password behind {PLAIN} cannot have one here, as with Dovecot.
fn field_of(rest: &str) -> &str {
    rest.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Options, Source};
    use crate::mail::Quota;

    fn matching() -> Matching {
        Matching::new(&Options {
            source: Source::Static {
                users: None,
                passwords: None,
            },
            domains: Vec::new(),
            delimiters: "+".to_owned(),
            case_sensitive: false,
            postmaster: None,
            quota: Quota::default(),
        })
    }

    #[test]
    fn names_the_line() {
        for (text, line, word) in [
            ("# who\n\nann", 3, "colon"),
            ("ann:x\nAnn:{PLAIN}y", 2, "already"),
            ("not an address@:x", 1, "no user"),
        ] {
            let (at, what) = read(text, &matching()).err().expect(text);
            assert!(at == line && what.contains(word), "{text}: {at}: {what}");
        }
    }

    #[test]
    fn reads_lines() {
        let text = "# who\nann:{PLAIN}a:1000:1000::/home/ann\nBob@Example.org:{PLAIN}b\ncy:!\ndan:{SSHA}x\n";
        let fields = read(text, &matching()).unwrap();
        assert_eq!(fields.count(), 2);
        assert_eq!(fields.of.len(), 4);
        let of = |local: &str, domain: &str| fields.of.get(&(local.to_owned(), domain.to_owned()));
        assert!(of("ann", "").unwrap().hash().unwrap().verify("a"));
        assert!(of("bob", "example.org").unwrap().hash().unwrap().verify("b"));
        assert!(
            fields.decoy.verify("a"),
            "the first, so that unknown users take as long"
        );
    }
}

//! Externally stored lists: RFC 6134. The match type `:list` is with the others, `redirect :list` with the
//! actions.

use super::arguments::Arguments;
use super::checker::{Checker, TestKind};
use super::extension::Extension;
use super::program::Test;
use super::run::{Run, Stop};
use super::text::Text;
use crate::sieve::syntax::Call;

/// Characters of a list's name.
const NAME_MAX: usize = 1024;

pub(super) const TESTS: &[TestKind] = &[TestKind {
    name: "valid_ext_list",
    from: &[Extension::Extlists],
    compile,
}];

/// Checks the name of a list: a URI, or `:addrbook:` and a name (RFC 6134).
///
/// # Errors
/// Says that it is none.
pub(super) fn check_list_name(name: &str) -> Result<(), String> {
    let sign = |c: char| c.is_control() || c.is_whitespace();
    match name.is_empty() || name.len() > NAME_MAX || name.contains(sign) {
        false => Ok(()),
        true => Err(format!(
            "\"{}\" is not the name of a list: it is a URI, such as \"tag:example.com,2026:friends\", or \
             \":addrbook:default\"",
            name.escape_debug()
        )),
    }
}

// valid_ext_list <ext-list-names: string-list>
fn compile(checker: &mut Checker<'_>, call: &Call) -> Option<Box<dyn Test>> {
    let mut arguments = Arguments::of_test(call);
    let names = arguments.texts(checker, "names of lists");
    arguments.end(checker)?;
    Some(Box::new(ValidList {
        names: names?.into_iter().map(|(_, text)| text).collect(),
    }))
}

#[derive(Debug)]
struct ValidList {
    names: Vec<Text>,
}

impl Test for ValidList {
    // RFC 6134: every one of them is known here.
    fn test(&self, run: &mut Run<'_>) -> Result<bool, Stop> {
        for name in &self.names {
            let name = name.value(run)?;
            match run.account().list_contains(&name, "") {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(false),
                Err(error) => return Err(Stop::error(format!("cannot read the list \"{name}\": {error}"))),
            }
        }
        Ok(true)
    }
}

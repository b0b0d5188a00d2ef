//! Where Pigeonhole and we stand by different readings, each with the sentence that decides.

use super::case::Case;
use super::outcome::Outcome;

/// A standing difference.
#[derive(Debug)]
pub struct Known {
    /// What differs.
    pub what: &'static str,
    /// The paragraph.
    pub rfc: &'static str,
    /// What it says, and so who is right.
    pub decides: &'static str,
    /// Whether a case, made as small as it goes, is one of it: its script, what we do, what Pigeonhole does.
    applies: fn(&Case, &str, &Outcome, &Outcome) -> bool,
}

/// All of them; docs/SIEVE.md has the same table.
pub const KNOWN: &[Known] = &[];

/// The one that explains a case.
pub fn classify(case: &Case, ours: &Outcome, theirs: &Outcome) -> Option<&'static Known> {
    let text = case.text();
    KNOWN.iter().find(|known| (known.applies)(case, &text, ours, theirs))
}

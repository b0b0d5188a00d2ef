//! What is wrong with a search that was typed.

/// Why a text is no search. Positions are characters, the first is 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// A word where a key should stand.
    #[error("{word:?} at character {position} is no search key{}", hint(*.nearest))]
    UnknownKey {
        /// The word.
        word: String,
        /// Where it stands.
        position: usize,
        /// The key that may be meant.
        nearest: Option<&'static str>,
    },
    /// A message number, which only a session of IMAP gives.
    #[error("{word:?} at character {position} stands where a key should; a message is named by `uid {word}`")]
    Number {
        /// The word.
        word: String,
        /// Where it stands.
        position: usize,
    },
    /// A key without what must follow it.
    #[error("{key} at character {position} needs {needs} behind it")]
    Missing {
        /// The key.
        key: &'static str,
        /// Where it stands.
        position: usize,
        /// What it needs.
        needs: &'static str,
    },
    /// A word behind a key that is not what the key needs.
    #[error("{word:?} at character {position} is not {needs}, which {key} needs")]
    Value {
        /// The key.
        key: &'static str,
        /// The word.
        word: String,
        /// Where it stands.
        position: usize,
        /// What the key needs.
        needs: &'static str,
    },
    /// A quote that does not end.
    #[error("the quote at character {position} is not closed")]
    Quote {
        /// Where it starts.
        position: usize,
    },
    /// A parenthesis without its fellow, or with nothing in it.
    #[error("the parenthesis at character {position} {fault}")]
    Parenthesis {
        /// Where it stands.
        position: usize,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// More searches of texts than are made at once.
    #[error("a search may have at most {max} keys body and text")]
    TooManyTexts {
        /// So many.
        max: usize,
    },
    /// Nothing at all.
    #[error("the search is empty; `all` finds every message")]
    Empty,
    /// More than anybody types.
    #[error("the search is longer than {max} bytes")]
    TooLong {
        /// The longest there may be.
        max: usize,
    },
    /// Parentheses, OR and NOT within one another.
    #[error("at character {position} the search nests deeper than {max}")]
    TooDeep {
        /// Where.
        position: usize,
        /// The deepest there may be.
        max: usize,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean `{key}`?"))
}

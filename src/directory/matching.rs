//! How an address is compared with the names of accounts.

use super::Options;
use crate::mail::Address;

/// The rules of comparison, of the settings.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    delimiters: String,
    case_sensitive: bool,
}

/// A local part to look for, with the detail that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The local part, in lower case where case does not matter.
    pub local: String,
    /// What stood behind the delimiter, as written.
    pub detail: Option<String>,
}

impl Matching {
    pub(super) fn new(options: &Options) -> Matching {
        Matching {
            delimiters: options.delimiters.clone(),
            case_sensitive: options.case_sensitive,
        }
    }

    /// A local part as it is compared.
    pub(super) fn fold(&self, local: &str) -> String {
        if self.case_sensitive {
            local.to_owned()
        } else {
            local.to_lowercase()
        }
    }

    /// An address as it is compared.
    pub(super) fn key(&self, address: &Address) -> (String, String) {
        (self.fold(address.local()), fold_domain(address.domain()))
    }

    /// What to look for, best first: the whole local part, then without the detail,
    /// the longest user first (`a-b+c` with `+-` is `a-b`, then `a`).
    pub(super) fn candidates(&self, local: &str) -> Vec<Candidate> {
        let whole = Candidate {
            local: self.fold(local),
            detail: None,
        };
        let cuts = local.char_indices().rev().filter(|(_, c)| self.delimiters.contains(*c));
        let without = cuts.filter_map(|(at, c)| self.cut(local, at, c));
        std::iter::once(whole).chain(without).collect()
    }

    /// The one reading where any user exists: the local part up to the first
    /// delimiter. None where nothing stands before it.
    pub(super) fn first_cut(&self, local: &str) -> Option<Candidate> {
        match local.char_indices().find(|(_, c)| self.delimiters.contains(*c)) {
            Some((at, c)) => self.cut(local, at, c),
            None => Some(Candidate {
                local: self.fold(local),
                detail: None,
            }),
        }
    }

    // RFC 5233 §4: an empty detail is a detail.
    fn cut(&self, local: &str, at: usize, delimiter: char) -> Option<Candidate> {
        (at > 0).then(|| Candidate {
            local: self.fold(&local[..at]),
            detail: Some(local[at + delimiter.len_utf8()..].to_owned()),
        })
    }
}

/// A domain as it is compared: always without case (RFC 5321 §2.4).
pub(super) fn fold_domain(domain: &str) -> String {
    domain.to_lowercase()
}

/// Whether the local part is the name that every domain must have (RFC 5321 §4.5.1).
pub(super) fn is_postmaster(local: &str) -> bool {
    local.eq_ignore_ascii_case("postmaster")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(delimiters: &str, case_sensitive: bool) -> Matching {
        Matching {
            delimiters: delimiters.to_owned(),
            case_sensitive,
        }
    }

    #[test]
    fn candidates_are_exact_first_then_longest() {
        for (delimiters, local, expected) in [
            ("+", "Ann", vec![("ann", None)]),
            ("+", "ann+Lists", vec![("ann+lists", None), ("ann", Some("Lists"))]),
            ("+", "ann+", vec![("ann+", None), ("ann", Some(""))]),
            ("+", "+ann", vec![("+ann", None)]),
            ("", "ann+x", vec![("ann+x", None)]),
            (
                "+-",
                "a-b+c",
                vec![("a-b+c", None), ("a-b", Some("c")), ("a", Some("b+c"))],
            ),
        ] {
            let found = matching(delimiters, false).candidates(local);
            let found: Vec<_> = found.iter().map(|c| (c.local.as_str(), c.detail.as_deref())).collect();
            assert_eq!(found, expected, "{local}");
        }
        assert_eq!(matching("+", true).candidates("Ann")[0].local, "Ann");
    }

    #[test]
    fn the_first_delimiter_cuts_where_any_user_exists() {
        for (local, expected) in [
            ("a-b+c", Some(("a", Some("b+c")))),
            ("ann", Some(("ann", None))),
            ("+x", None),
            ("+", None),
        ] {
            let found = matching("+-", false).first_cut(local);
            let found = found.as_ref().map(|c| (c.local.as_str(), c.detail.as_deref()));
            assert_eq!(found, expected, "{local}");
        }
    }
}

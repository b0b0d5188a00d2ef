//! Which conversation a message belongs to: RFC 8474 §5.2.

use std::borrow::Cow;

use ring::digest::{SHA256, digest};

use super::summary::Ids;
use crate::mail::{EmailId, ThreadId};

/// A message id (RFC 5322 §3.6.4, without angle brackets) as an index can look it up: the first
/// eight bytes of the SHA-256 of its [normal form](normal_id).
#[must_use]
pub fn message_key(id: &str) -> u64 {
    let digest = digest(&SHA256, normal_id(id).as_bytes());
    let mut key = [0; 8];
    key.copy_from_slice(&digest.as_ref()[..8]);
    u64::from_be_bytes(key)
}

/// A message id in the form in which ids are compared (RFC 5256 §3, "normalized"): quotes that its left
/// side does not need are taken away, so that `"a"@b` is `a@b`. Case counts.
#[must_use]
pub fn normal_id(id: &str) -> Cow<'_, str> {
    let quoted = id.strip_prefix('"').and_then(|rest| rest.rsplit_once("\"@"));
    let Some((left, right)) = quoted else {
        return Cow::Borrowed(id);
    };
    let mut plain = String::with_capacity(left.len());
    let mut characters = left.chars();
    while let Some(c) = characters.next() {
        // A backslash says only that the next character means itself (RFC 5322 §3.2.1).
        let meant = if c == '\\' { characters.next() } else { Some(c) };
        plain.extend(meant);
    }
    if is_dot_atom(&plain) {
        Cow::Owned(format!("{plain}@{right}"))
    } else {
        Cow::Borrowed(id)
    }
}

// RFC 5322 §3.2.3, with what RFC 6532 §3.2 adds.
fn is_dot_atom(text: &str) -> bool {
    let atext = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

/// How the thread of a message is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadCandidates {
    /// [Keys](message_key) of messages whose thread is this message's too, the best first: the first
    /// that an account has decides. At most 102, none of them twice.
    pub keys: Vec<u64>,
    /// The thread of a message of which the account has none of these.
    pub default: ThreadId,
}

/// Where to look for the thread of a message.
///
/// The default is named after the oldest message that it knows of: the first id of References, else In-Reply-To,
/// else its own, else its bytes. So all messages that list the same beginning are of one thread in whatever
/// order they arrive, also where that beginning never does. A message that knows only the one before it
/// takes over the thread which that has, so it may start a thread of its own only where it arrives first.
#[must_use]
pub fn thread_candidates(ids: &Ids, email_id: &EmailId) -> ThreadCandidates {
    let own = ids.message_id.iter();
    let before = ids.in_reply_to.iter();
    // Another copy is surely of the same thread; then those nearest before it.
    let mut keys: Vec<u64> = Vec::new();
    for id in own.chain(ids.references.iter().rev()).chain(before) {
        let key = message_key(id);
        // At most 102 of them.
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let oldest = ids.references.first();
    let oldest = oldest.or(ids.in_reply_to.as_ref()).or(ids.message_id.as_ref());
    let by_bytes = || u64::from_be_bytes(email_id.0[..8].try_into().expect("eight of sixteen bytes"));
    ThreadCandidates {
        keys,
        default: ThreadId(oldest.map_or_else(by_bytes, |id| message_key(id))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn named(id: &str, in_reply_to: &str, references: &str) -> Ids {
        let some = |id: &str| (!id.is_empty()).then(|| id.to_owned());
        Ids {
            message_id: some(id),
            in_reply_to: some(in_reply_to),
            references: references.split_whitespace().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn ids_have_a_normal_form() {
        for (id, normal) in [
            ("a.b@c", "a.b@c"),
            ("\"a.b\"@c", "a.b@c"),
            ("\"a\\b\"@c", "ab@c"),
            ("\"a b\"@c", "\"a b\"@c"),
            ("\"\"@c", "\"\"@c"),
            ("\"a..b\"@c", "\"a..b\"@c"),
            ("\"a\\", "\"a\\"),
            ("A@c", "A@c"),
            ("", ""),
        ] {
            assert_eq!(normal_id(id), normal, "{id}");
        }
        // It is written into indexes: it must not change.
        assert_eq!(message_key("1@example.org"), 0xab6f_5b02_dde3_4697);
        assert_eq!(message_key("\"1\"@example.org"), message_key("1@example.org"));
    }

    #[test]
    fn looks_nearby_first() {
        let found = thread_candidates(&named("c@x", "b@x", "a@x b@x"), &EmailId([1; 16]));
        assert_eq!(found.keys, ["c@x", "b@x", "a@x"].map(message_key));
        assert_eq!(found.default, ThreadId(message_key("a@x")));
        for (ids, default) in [
            (named("c@x", "b@x", ""), message_key("b@x")),
            (named("c@x", "", ""), message_key("c@x")),
            (named("", "", ""), 0x0101_0101_0101_0101),
        ] {
            let found = thread_candidates(&ids, &EmailId([1; 16]));
            assert_eq!(found.default, ThreadId(default), "{ids:?}");
        }
    }

    #[test]
    fn one_thread_in_whatever_order() {
        let messages = [
            named("a@x", "", ""),
            named("b@x", "a@x", ""),
            named("c@x", "b@x", "a@x b@x"),
            named("d@x", "c@x", "a@x b@x c@x"),
        ];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
            let mut known: HashMap<u64, ThreadId> = HashMap::new();
            for message in order.map(|index| &messages[index]) {
                let found = thread_candidates(message, &EmailId([0; 16]));
                let thread = found.keys.iter().find_map(|key| known.get(key).copied());
                let own = message_key(message.message_id.as_deref().unwrap());
                known.insert(own, thread.unwrap_or(found.default));
            }
            let threads: std::collections::HashSet<_> = known.values().collect();
            assert_eq!(threads.len(), 1, "{order:?}");
        }
    }
}

//! The numbers of IMAP: RFC 9051 §2.3.1, RFC 7162 §3.1.

use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $nonzero:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($nonzero);

        impl $name {
            /// The number; none for zero, which IMAP never uses.
            #[must_use]
            pub fn new(value: $inner) -> Option<$name> {
                <$nonzero>::new(value).map($name)
            }

            /// The plain value.
            #[must_use]
            pub fn value(self) -> $inner {
                self.0.get()
            }

            /// The next number; none at the end of the range.
            #[must_use]
            pub fn next(self) -> Option<$name> {
                self.0.checked_add(1).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The unique identifier of a message in its mailbox (RFC 9051 §2.3.1.1).
    Uid, u32, NonZeroU32
);
number!(
    /// The validity value under which UIDs count (RFC 9051 §2.3.1.1).
    UidValidity, u32, NonZeroU32
);
number!(
    /// A mod-sequence (RFC 7162 §3.1); at most 63 bits.
    ModSeq, u64, NonZeroU64
);

//! The shelf: message files and folders on disk, in the form of Maildir++.
//!
//! Called by `store::local`, which decides what happens; here is only how it is
//! written down: names, `tmp` to `new`, scans, and the small files beside the
//! messages. Every function ends in `std::io::Error` or in an error that names
//! the file. Nothing here knows the index.
//!
//! The `maildir` crate is the second reader: [`audit`] lists a folder with it, so
//! that `index check` does not judge our listing by our own code. What delivers is
//! ours, because the crate flushes no directory, chooses the file name, takes an
//! unreadable folder for an empty one, and knows no modified UTF-7.

mod audit;
mod disk;
mod dovecot_uidlist;
mod folder;
mod keywords;
mod lock;
mod marks;
mod name;
mod scan;
mod uidlist;
mod utf7;

pub use audit::{Audit, audit};
pub use disk::{Disk, DiskError, open_regular};
pub use dovecot_uidlist::{Damage, DovecotUidList, UidListEnd, UidRecord};
pub use folder::{Folder, Folders};
pub use keywords::KeywordLetters;
pub use lock::UidListLock;
pub use marks::Marks;
pub use name::{FileName, Minted};
pub use scan::{Listing, Place, Seen, Stamp};
pub use uidlist::UidList;

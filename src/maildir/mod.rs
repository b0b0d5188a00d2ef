//! The shelf: message files and folders on disk, in the form of Maildir++.
//!
//! Called by `store::local`, which decides what happens; here is only how it is
//! written down: names, `tmp` to `new`, scans, and the small files beside the
//! messages. Every function ends in `std::io::Error` or in an error that names
//! the file. Nothing here knows the index.
//!
//! Other programs' files lie beside ours, and each has its reader here:
//!
//! | file | of | what is done with it |
//! | --- | --- | --- |
//! | `dovecot-uidlist` | Dovecot | [`DovecotUidList`] and [`UidListEnd`], written under [`UidListLock`] |
//! | `courierimapuiddb` | Courier | [`DovecotUidList::read_courier`] |
//! | `dovecot-uidvalidity`, `dovecot-uidvalidity.XXXXXXXX` | Dovecot | the number in the name is the last one given: [`highest_uidvalidity`], [`raise_uidvalidity`] |
//! | `dovecot-keywords` | Dovecot | [`KeywordLetters`] |
//! | `courierimapkeywords/` | Courier | [`courier_keywords`] |
//! | `subscriptions`, `courierimapsubscribed` | Dovecot, Courier | [`Subscriptions`] |
//! | `maildirsize` | Maildir++ | [`MailSize`] |
//! | messages that are compressed | Dovecot | [`open_message`] |
//!
//! Dovecot gives a new folder the UIDVALIDITY after the one in the name of
//! `dovecot-uidvalidity.XXXXXXXX`, which it renames to that; `dovecot-uidvalidity` holds the
//! same number for a quick look. Without the file with the number it takes the time. So
//! who gives a UIDVALIDITY goes above the former and raises it, and neither repeats the
//! other's.
//!
//! The `maildir` crate is the second reader: [`audit`] lists a folder with it, so
//! that `index check` does not judge our listing by our own code. What delivers is
//! ours, because the crate flushes no directory, chooses the file name, takes an
//! unreadable folder for an empty one, and knows no modified UTF-7.

mod annotations;
mod audit;
mod courier_keywords;
mod disk;
mod dovecot_uidlist;
mod folder;
mod keywords;
mod lock;
mod maildirsize;
mod marks;
mod message_file;
mod name;
mod scan;
mod subscriptions;
mod uidlist;
mod uidlist_line;
mod uidvalidity;
mod utf7;
mod watcher;

pub use annotations::Annotated;
pub use audit::{Audit, audit};
pub use courier_keywords::courier_keywords;
pub use disk::{Disk, DiskError, open_regular};
pub use dovecot_uidlist::{Damage, DovecotUidList, UidListEnd, UidRecord};
pub use folder::{Deleted, Folder, Folders};
pub use keywords::KeywordLetters;
pub use lock::UidListLock;
pub use maildirsize::MailSize;
pub use marks::Marks;
pub use message_file::{CompressedError, Compression, MessageFile, open_message};
pub use name::{FileName, Minted};
pub use scan::{Listing, Place, Seen, Stamp};
pub use subscriptions::Subscriptions;
pub use uidlist::UidList;
pub use uidvalidity::{highest_uidvalidity, raise_uidvalidity};
pub(crate) use utf7::decode as decode_folder_name;
pub use watcher::Watcher;

//! postroom: the last step of mail, a delivery agent and mailbox store.
//!
//! It takes messages from an MTA by LMTP, SMTP or a pipe, runs each recipient's Sieve
//! filter, and keeps them in Maildir folders with a SQLite index. The program is `cli`;
//! everything below [`server`] is synchronous and can be linked without it. To read
//! mail, open an account of a [`store::LocalStore`].
//!
//! # The path of one message
//!
//! 1. [`server`] accepts a connection; [`smtp::Session`] turns its bytes into steps.
//! 2. At RCPT TO, [`delivery::Sorter::resolve`] asks the [`directory`] for the account.
//!    Unknown is 550 here; a lookup that fails is 451.
//! 3. The message fills one [`message::Spool`], which becomes one [`message::Message`],
//!    immutable and shared by all recipients.
//! 4. For each recipient [`delivery::Sorter::deliver`] runs the scripts:
//!    [`sieve::Engine`] returns a [`sieve::Plan`], actions as values. It touches nothing.
//! 5. **Stage**: [`store::Deliveries::stage`] writes the bytes below `tmp/` and flushes them.
//! 6. **Submit**: a [`submission::Submitter`] hands redirects to the site's MTA. They
//!    cannot be undone, so they come after what may fail.
//! 7. **Publish**: [`store::Staged::publish`] allocates the UID, renames into `new/` or
//!    `cur/`, flushes the folder, writes the row, commits. Once the folder is flushed the
//!    answer is 250 even if the commit fails: the row is added later.
//! 8. Every way out is a [`mail::Outcome`]; [`smtp::Reply::of`] makes a reply of it,
//!    [`telemetry::Line::of`] a log line.
//!
//! # The rooms
//!
//! A room imports only what stands on its line. `tests/house.rs` fails on any other arrow.
//!
//! | room | what it is | imports |
//! | --- | --- | --- |
//! | [`mail`] | the words | |
//! | [`message`] | the letter | mail |
//! | [`maildir`] | the shelf | mail |
//! | [`index`] | the catalogue | mail message |
//! | [`store`] | the message store | mail message maildir index |
//! | [`directory`] | who lives here | mail |
//! | [`sieve`] | the wishes | mail message |
//! | [`smtp`] | the counter | mail |
//! | [`managesieve`] | the counter for scripts | mail sieve |
//! | [`submission`] | the out-tray | mail message smtp |
//! | [`delivery`] | the sorting table | mail message directory sieve store submission |
//! | [`telemetry`] | the logbook | mail |
//! | [`server`] | the doors | mail message directory sieve store delivery smtp managesieve telemetry |
//! | [`confinement`] | what the running server may still do | submission |
//! | [`config`] | each room's options | every room but cli |
//! | [`cli`] | one file a command | everything |
//!
//! Each room's `mod.rs` opens with what it does, who calls it, and how it can end.
//!
//! # What holds everywhere
//!
//! No 250 without a durable copy or an intended discard; a UID is given once; the Maildir
//! is the truth and the index is made from it; delivering again is harmless; recipients
//! are independent; a filter never loses mail; input is bounded; a user can name nothing
//! outside his home. docs/ARCHITECTURE.md says where each of these is kept, which formats
//! lie on the disk, and what happens when something fails.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod confinement;
pub mod delivery;
pub mod directory;
pub mod index;
pub mod ipc;
pub mod mail;
pub mod maildir;
pub mod managesieve;
pub mod message;
pub mod privsep;
pub mod server;
pub mod sieve;
pub mod smtp;
pub mod store;
pub mod submission;
pub mod telemetry;

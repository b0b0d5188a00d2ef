//! postroom: the last step of mail, a delivery agent and mailbox store.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod delivery;
pub mod directory;
pub mod index;
pub mod mail;
pub mod maildir;
pub mod message;
pub mod server;
pub mod sieve;
pub mod smtp;
pub mod store;
pub mod submission;
pub mod telemetry;

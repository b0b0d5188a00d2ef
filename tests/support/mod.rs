//! What the tests of the whole program share: private folders and ports, processes that end with their test,
//! the program itself, an LMTP client, a load of deliveries, and the mail programs that stand beside it.
//!
//! A test makes a [`place::Place`], starts what it needs inside, and drops all of it at its end. Nothing outside
//! the place is touched, no system-wide daemon is started or stopped.
#![allow(dead_code)] // Each test program uses its own part.

pub mod child;
pub mod corpus;
pub mod documents;
pub mod doveadm;
pub mod dovecot;
pub mod exim;
pub mod lmtp;
pub mod load;
pub mod managesieve;
pub mod opensmtpd;
pub mod peers;
pub mod place;
pub mod postfix;
pub mod postroom;
pub mod processes;
pub mod relay;

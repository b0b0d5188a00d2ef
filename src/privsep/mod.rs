//! Privilege separation: mail of system accounts, each delivered in its owner's own user id, group and groups.
//!
//! Three kinds of processes share the work. The server speaks with the network, as an unprivileged user and confined; it
//! has no right to any home. The monitor ([`watch`]), which the server starts while that is still root, stays root for one
//! thing: it looks accounts up by NSS, and starts an agent for one when the server asks. It reads no mail, and no file but
//! the configuration; and there is no agent for an account whose user id is too low or whose home lies outside of the
//! roots with which the monitor was started. An agent ([`serve`]) becomes the account's owner before it does anything else
//! ([`begin`]); it gets messages as files from the server, filters and delivers them, and answers an outcome.
//!
//! `cli::serve` starts it all: [`Monitor::start`] while there is the right to, then [`Agents`], by which a
//! [`Sorter`](crate::delivery::Sorter) delivers elsewhere. What fails on the way defers the mail; docs/SECURITY.md says
//! what each process could do if it were taken over.

mod agent;
mod agents;
mod errands;
mod identity;
mod monitor;
mod wire;

pub use agent::{Start, begin, serve};
pub use agents::Agents;
pub use identity::become_user;
pub use monitor::{Monitor, MonitorError, Rules, watch};

//! The wishes: scripts and a message in, a [`Plan`] out. Touches nothing.
//!
//! Called by `delivery` and by `cli::sieve`. [`Engine::run`] always ends in an
//! [`Evaluation`]: its plan can be carried out whatever the scripts did, and its error,
//! where there is one, is for the owner of the script.
//!
//! ```text
//! Script --syntax--> commands --evaluator--> steps --collect--> actions --merge--> Plan
//! ```
//!
//! An evaluator says what a script executed (`step`); what that means on this site is
//! decided behind it, by code that knows no Sieve: names and addresses are checked,
//! limits kept, conflicting actions refused (`collect`), answers withheld (`vacation`),
//! several scripts put together (`merge`).

mod cache;
mod collect;
mod engine;
mod folder;
mod merge;
mod plan;
mod report;
mod script;
#[cfg_attr(
    not(feature = "sieve-rs"),
    expect(dead_code, reason = "only an evaluator makes steps")
)]
mod step;
#[cfg(feature = "sieve-rs")]
mod syntax;
mod vacation;

#[cfg(not(feature = "sieve-rs"))]
#[path = "without.rs"]
mod evaluator;
#[cfg(feature = "sieve-rs")]
#[path = "sieve_rs/mod.rs"]
mod evaluator;

#[cfg(all(test, feature = "sieve-rs"))]
mod tests;

pub use engine::{Account, Engine, ErrorKind, Evaluation, Incoming, Note, Options, ScriptError};
pub use folder::{FolderError, ScriptFolders, load, load_user};
pub use plan::{Action, Period, Plan, VacationReply};
pub use report::report;
pub use script::{Location, Script, ScriptName, ScriptNameError, Scripts};
pub use vacation::NoReply;

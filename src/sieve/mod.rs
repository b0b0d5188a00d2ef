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

mod account;
mod budget;
mod cache;
mod collect;
mod engine;
mod error;
mod evaluator;
mod folder;
mod language;
mod merge;
mod plan;
mod report;
mod script;
#[cfg(feature = "sieve-rs")]
mod sieve_rs;
mod step;
mod storage;
mod syntax;
mod trace;
mod vacation;

#[cfg(test)]
mod tests;

pub use account::{Account, ProgramError, ProgramOutput};
pub use engine::{
    EditHeaderRules, Engine, EngineKind, Evaluation, Incoming, NoReport, Note, Options, Programs, Transport,
};
pub use error::{Checked, ErrorKind, ScriptError};
pub use folder::{FolderError, ScriptFolders, load, load_user};
pub use language::{FieldPattern, FieldPatternError, Maximum, Points, Scale, Scanner, SpamSettings, Verdict};
pub use plan::{Action, Fcc, FeedbackReport, Origin, Period, Plan, Planned, RedirectDsn, VacationReply};
pub use report::report;
pub use script::{Location, Script, ScriptName, ScriptNameError, Scripts};
pub use storage::{Storage, StorageError, StorageOptions, Stored};
pub use trace::{Trace, TraceEvent, TraceLine};
pub use vacation::NoReply;

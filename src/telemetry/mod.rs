//! The logbook: one line for each recipient, the same wording wherever it comes from.
//!
//! `cli` calls [`start`] once; `server` and `cli::deliver` write a [`Line`] for each
//! [`Outcome`](crate::mail::Outcome). Everything else logs with `tracing` as usual.
//! What others send (addresses, Message-IDs, replies of servers) passes [`clean`]
//! on its way into a line, so that nobody can write lines of his own.

mod line;
mod start;

pub use line::{About, Line, clean};
pub use start::{StartError, start};

/// The settings of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// How lines are written.
    pub format: Format,
    /// The least grave thing that is written.
    pub level: Level,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The journal where standard error is connected to it, otherwise for people.
    #[default]
    Auto,
    /// For people, on standard error; coloured on a terminal unless NO_COLOR is set.
    Human,
    /// One JSON object a line, on standard error.
    Json,
    /// The journal of systemd, with fields.
    Journald,
}

/// The least grave thing that is written. The lines of deliveries are of level info.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Errors alone.
    Error,
    /// Warnings too, such as deferred deliveries.
    Warn,
    /// The line of every delivery too.
    #[default]
    Info,
    /// Steps on the way.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The word in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}

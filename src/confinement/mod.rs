//! The confinement: what the running server may still do once it serves.
//!
//! Called by `cli::serve` when the doors are open, the configuration is read and root's rights are given up, before any
//! thread runs: [`Helper::start`] starts the process that runs programs from then on, and [`confine`] takes from this one
//! everything but its folders ([`Folders`], Landlock) and its system calls (seccomp). None of it can be taken back, nor
//! can a reload widen it. docs/SECURITY.md says what it is good for.
//!
//! Ends in a [`Confinement`], which says what is in force, or in a [`ConfineError`] where `mode` asks for more than this
//! kernel has.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod calls;
/// Machines whose system calls are not listed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
mod calls {
    pub(super) fn enforce() -> Result<Option<String>, super::ConfineError> {
        Ok(Some(format!("no list of system calls for {}", std::env::consts::ARCH)))
    }
}
mod folders;
mod helper;

use std::fmt;

pub use folders::Folders;
pub use helper::{Helper, HelperError, Rules, Scripts, keep, work};

/// How much of it is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As much as the kernel has; what it lacks is logged.
    Auto,
    /// All of it, or the server does not start.
    Required,
    /// Nothing.
    Off,
}

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// Landlock: which of its versions; none where the kernel has none that helps.
    pub landlock: Option<String>,
    /// Why Landlock does not hold, or not all of it.
    pub landlock_lacks: Option<String>,
    /// Whether system calls are filtered.
    pub seccomp: bool,
    /// Why they are not.
    pub seccomp_lacks: Option<String>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landlock {
            Some(version) => write!(f, "Landlock ({version})")?,
            None => f.write_str("no Landlock")?,
        }
        f.write_str(if self.seccomp { ", seccomp" } else { ", no seccomp" })
    }
}

impl Confinement {
    /// What this kernel lacks, in words for the log; none where all is in force.
    #[must_use]
    pub fn lacks(&self) -> Option<String> {
        let lacks: Vec<&str> = [&self.landlock_lacks, &self.seccomp_lacks]
            .into_iter()
            .filter_map(Option::as_deref)
            .collect();
        match lacks.as_slice() {
            [] => None,
            lacks => Some(lacks.join("; ")),
        }
    }
}

/// Why the process is not confined.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// Landlock holds for threads that are started later only.
    #[error("the process has {0} threads already, and Landlock would hold for one of them: please report this fault")]
    Threads(usize),
    /// The rules are not accepted.
    #[error("Landlock refuses its rules; `mode = \"off\"` in [confinement] does without")]
    Landlock(#[source] landlock::RulesetError),
    /// The filter is not accepted.
    #[error("seccomp refuses its filter; `mode = \"off\"` in [confinement] does without")]
    Seccomp(#[source] seccompiler::Error),
    /// All was to be in force, and is not.
    #[error("[confinement] mode = \"required\", and this kernel lacks something: {0}")]
    Lacking(String),
}

/// Confines this process, for good. With [`Mode::Off`] nothing is done, and none is answered.
///
/// It must have one thread: those that it starts later inherit all of it.
///
/// # Errors
/// [`ConfineError`]; the process may be confined in part then, and should end.
pub fn confine(mode: Mode, folders: &Folders) -> Result<Option<Confinement>, ConfineError> {
    if mode == Mode::Off {
        return Ok(None);
    }
    let threads = threads();
    if threads > 1 {
        return Err(ConfineError::Threads(threads));
    }
    let (landlock, landlock_lacks) = folders.enforce()?;
    // Last: the filter has no place for what was just done.
    let seccomp_lacks = calls::enforce()?;
    let confinement = Confinement {
        landlock,
        landlock_lacks,
        seccomp: seccomp_lacks.is_none(),
        seccomp_lacks,
    };
    match confinement.lacks() {
        Some(lacks) if mode == Mode::Required => Err(ConfineError::Lacking(lacks)),
        _ => Ok(Some(confinement)),
    }
}

// Where there is no /proc, nobody can tell; the program itself has started none.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, |tasks| tasks.count())
}

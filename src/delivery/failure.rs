//! The one place that turns an error into an outcome.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::LookupError;
use crate::mail::{Cause, Deferral, Outcome, Refusal};
use crate::sieve::FolderError;
use crate::store::StoreError;
use crate::submission::SubmitError;

/// What can go wrong in a delivery; all of it is temporary.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The directory cannot tell.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// A script cannot be read.
    #[error(transparent)]
    Script(#[from] FolderError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A redirect could not be handed over.
    #[error("cannot redirect to {address}")]
    Redirect {
        /// To whom.
        address: String,
        /// Why.
        #[source]
        source: SubmitError,
    },
    /// A program could not take the message yet.
    #[error("cannot pipe to {program}: {why}")]
    Program {
        /// Its name.
        program: String,
        /// Why.
        why: String,
    },
    /// The home lies where this process may not go.
    #[error(
        "the home {} lies in {}, which is not below `root` or a folder of [confinement] roots: name its folder there and restart",
        home.display(), place.display()
    )]
    Outside {
        /// The home.
        home: PathBuf,
        /// Where its links lead.
        place: PathBuf,
    },
    /// Something else that this process may not touch, beside a home that it may.
    #[error(
        "{cause}; postroom is confined to {}: a link that leads elsewhere is not followed",
        listed(roots)
    )]
    Confined {
        /// What happened.
        cause: Cause,
        /// Where homes lie.
        roots: Vec<PathBuf>,
    },
    /// A script asks a program, and nobody is there to run it.
    #[error("a script asks a program, and the helper that runs programs is gone")]
    NoPrograms,
    /// The message itself cannot be read back.
    #[error("cannot read the spooled message")]
    Spool(#[source] io::Error),
}

impl Failure {
    /// The outcome for the recipient, with the whole chain of causes for the log.
    pub(super) fn into_outcome(self) -> Outcome {
        let cause = self.cause();
        match self {
            Failure::Store(error) if error.is_disk_full() => Outcome::Deferred(Deferral::DiskFull(cause)),
            _ => Outcome::Deferred(Deferral::Trouble(cause)),
        }
    }

    /// Whether the system refused access.
    pub(super) fn is_denied(&self) -> bool {
        io_error(self).is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }

    /// Says where the home really lies, in a process that is confined to these roots.
    pub(super) fn confined(self, home: &Path, roots: &[PathBuf]) -> Failure {
        // Walking along a path is never forbidden, only opening what is at its end.
        let place = home.ancestors().find_map(|folder| folder.canonicalize().ok());
        let inside = |place: &PathBuf| roots.iter().any(|root| place.starts_with(root));
        match place {
            Some(place) if !inside(&place) => Failure::Outside {
                home: home.to_owned(),
                place,
            },
            _ => Failure::Confined {
                cause: self.cause(),
                roots: roots.to_vec(),
            },
        }
    }

    fn cause(&self) -> Cause {
        let cause = Cause::of(self);
        match io_error(self).map(io::Error::kind) {
            Some(io::ErrorKind::PermissionDenied) => Cause::new(format!(
                "{cause}; postroom runs as {}: make that the owner, or run it as the owner",
                whoami()
            )),
            Some(io::ErrorKind::ReadOnlyFilesystem) => Cause::new(format!("{cause}; mount it writable")),
            _ => cause,
        }
    }
}

/// The outcome for an account that is full.
pub(super) fn over_quota(refuse: bool) -> Outcome {
    match refuse {
        true => Outcome::Refused(Refusal::OverQuota),
        false => Outcome::Deferred(Deferral::OverQuota),
    }
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn listed(roots: &[PathBuf]) -> String {
    let roots: Vec<String> = roots.iter().map(|root| root.display().to_string()).collect();
    roots.join(" and ")
}

fn whoami() -> String {
    let uid = nix::unistd::Uid::effective();
    let user = nix::unistd::User::from_uid(uid).ok().flatten();
    user.map_or_else(|| format!("uid {uid}"), |user| user.name)
}

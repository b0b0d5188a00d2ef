//! Landlock: which files may be opened, made and removed, and to which ports may be connected.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
    make_bitflags,
};

use super::ConfineError;

/// The version whose rights are handled; what a later one has besides is not needed to keep anybody out.
const ABI_KNOWN: ABI = ABI::V6;

/// What libc and resolvers look at, who find there what others replaced meanwhile. Whom it keeps out of secrets such as
/// `/etc/shadow` is their owner: nobody should serve as root.
const SYSTEM: &[&str] = &[
    "/etc",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/proc/self",
    "/proc/sys",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/dev/urandom",
    "/dev/random",
    // What NSS asks and reads besides: nscd, sssd, systemd-userdbd.
    "/run/nscd",
    "/var/run/nscd",
    "/var/lib/sss",
    "/run/systemd/userdb",
];

/// DNS over TCP, for answers that fit in no datagram.
const DNS: u16 = 53;

/// The files of the running server. What does not exist when they come into force stays closed, what is replaced as a
/// whole later too: name the folders around files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folders {
    /// Where all is done but running programs: roots of homes, the index.
    pub mail: Vec<PathBuf>,
    /// Where files come and go: spooled messages, temporary files.
    pub scratch: Vec<PathBuf>,
    /// What is read.
    pub read: Vec<PathBuf>,
    /// Where our Unix sockets lie, which are removed at the end.
    pub sockets: Vec<PathBuf>,
    /// The TCP ports of others that may be connected to.
    pub ports: Vec<u16>,
    /// Whether the supervisor is told how we fare by an abstract Unix socket.
    pub abstract_sockets: bool,
}

impl Folders {
    /// Adds what is read around a file, and around what it links to: either may be replaced.
    pub fn read_around(&mut self, file: &Path) {
        let links = [std::path::absolute(file).ok(), file.canonicalize().ok()];
        let around = links
            .iter()
            .flatten()
            .filter_map(|path| path.parent())
            .map(Path::to_owned);
        self.read.extend(around);
    }

    /// Adds what is read in a file or folder.
    pub fn read_at(&mut self, path: &Path) {
        match path.is_dir() {
            true => self.read.push(path.to_owned()),
            false => self.read_around(path),
        }
    }

    /// Whether others have something that is missing here.
    #[must_use]
    pub fn lacks(&self, others: &Folders) -> bool {
        let pairs = [
            (&self.mail, &others.mail),
            (&self.scratch, &others.scratch),
            (&self.read, &others.read),
            (&self.sockets, &others.sockets),
        ];
        let below = |ours: &[PathBuf], path: &PathBuf| ours.iter().any(|our| path.starts_with(our));
        pairs
            .iter()
            .any(|(ours, theirs)| theirs.iter().any(|path| !below(ours, path)))
            || others.ports.iter().any(|port| !self.ports.contains(port))
    }

    /// Answers the version in force, and what it lacks.
    pub(super) fn enforce(&self) -> Result<(Option<String>, Option<String>), ConfineError> {
        // Without Refer (Linux 5.19) every rename between folders is refused, so that nothing could be delivered.
        if !renames() {
            let lacks = "no Landlock that allows renames (Linux 5.19 and `lsm=landlock` have it)";
            return Ok((None, Some(lacks.to_owned())));
        }
        let status = self
            .ruleset()
            .and_then(RulesetCreated::restrict_self)
            .map_err(ConfineError::Landlock)?;
        Ok(told(&status))
    }

    fn ruleset(&self) -> Result<RulesetCreated, RulesetError> {
        let mut scopes: BitFlags<Scope> = Scope::Signal.into();
        if !self.abstract_sockets {
            scopes |= Scope::AbstractUnixSocket;
        }
        let created = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI_KNOWN))?
            .handle_access(AccessNet::ConnectTcp)?
            .scope(scopes)?
            .create()?;
        let system: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        let null = [PathBuf::from("/dev/null")];
        let read = make_bitflags!(AccessFs::{ReadFile | ReadDir});
        let written = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});
        let scratch = read | written | make_bitflags!(AccessFs::{MakeReg | RemoveFile | Refer});
        let mail = scratch | make_bitflags!(AccessFs::{MakeDir | RemoveDir | MakeSym});
        let sockets = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
        let created = created
            .add_rules(beneath(&self.mail, mail))?
            .add_rules(beneath(&self.scratch, scratch))?
            .add_rules(beneath(&self.read, read))?
            .add_rules(beneath(&system, read))?
            .add_rules(beneath(&self.sockets, sockets))?
            .add_rules(beneath(&null, written))?;
        let ports: BTreeSet<u16> = self.ports.iter().copied().chain([DNS]).collect();
        let ports = ports.into_iter().map(|port| NetPort::new(port, AccessNet::ConnectTcp));
        created.add_rules(ports.map(Ok::<_, RulesetError>))
    }
}

fn renames() -> bool {
    let asked = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer);
    asked.and_then(Ruleset::create).is_ok()
}

fn told(status: &RestrictionStatus) -> (Option<String>, Option<String>) {
    let version = match &status.landlock {
        LandlockStatus::Available { effective_abi, .. } => format!("version {effective_abi}"),
        _ => "version unknown".to_owned(),
    };
    match status.ruleset {
        RulesetStatus::FullyEnforced => (Some(version), None),
        RulesetStatus::PartiallyEnforced => {
            let lacks = format!("Landlock of {version} knows not all rules (version {ABI_KNOWN}, Linux 6.12, does)");
            (Some(version), Some(lacks))
        }
        RulesetStatus::NotEnforced => (None, Some("Landlock is not enforced".to_owned())),
    }
}

// What cannot be opened is passed over: there is nothing to be allowed there.
fn beneath(
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> impl Iterator<Item = Result<PathBeneath<PathFd>, RulesetError>> {
    landlock::path_beneath_rules(existing(paths), access)
}

fn existing(paths: &[PathBuf]) -> Vec<PathBuf> {
    let unique: BTreeSet<&PathBuf> = paths.iter().collect();
    let there = |path: &&PathBuf| match path.metadata() {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "no rule for what cannot be looked at");
            false
        }
    };
    unique.into_iter().filter(there).cloned().collect()
}

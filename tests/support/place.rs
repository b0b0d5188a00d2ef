//! A private folder for one test, loopback ports nobody listens on, and waiting.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up; far longer than it ever should.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A temporary folder that goes away with its test. Every user may enter it: mail programs change theirs.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Place {
        let folder = tempfile::Builder::new()
            .prefix("postroom-test-")
            .tempdir()
            .expect("a temporary folder");
        open_to_all(folder.path());
        Place(folder)
    }

    /// The path of `name` inside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new folder inside, that every user may enter.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder");
        open_to_all(&path);
        path
    }

    /// A file inside, with this text.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
        fs::write(&path, text).expect("a file");
        path
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// A loopback address at which nobody listens, and which no other test of this program was given. Its port is below
/// those that the system gives to outgoing connections.
pub fn free_address() -> SocketAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id()
            .wrapping_mul(64)
            .wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(number % 20_000).expect("less than 20,000");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("its address");
        }
    }
}

/// Waits until `condition` holds; panics when patience runs out.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(20));
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// An ordinary system user to whom a test may give mail; Debian has it everywhere.
pub const MAIL_USER: &str = "mail";

/// Gives a path and all below it to [`MAIL_USER`].
pub fn give_to_mail_user(path: &Path) {
    let user = nix::unistd::User::from_name(MAIL_USER)
        .expect("passwd")
        .expect("the user mail");
    chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("chown needs root");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a folder") {
            give_to_mail_user(&entry.expect("an entry").path());
        }
    }
}

//! Which mail programs are here.

use std::env;
use std::path::{Path, PathBuf};

use super::place::is_root;

/// A program looked for on the search path and in the folders of system programs.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/usr/lib/postfix/sbin"]);
    folders
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file())
}

/// Whether all these programs are here. If not, the test is to return: said aloud, or a failure where the
/// environment asks for it (`CI=true` or `POSTROOM_REQUIRE_PEERS=1`).
pub fn present(programs: &[&str]) -> bool {
    programs
        .iter()
        .all(|name| program(name).is_some() || missing(&format!("{name} is not installed; see tests/run")))
}

/// Whether the test runs as root; else as [`present`].
pub fn root() -> bool {
    is_root() || missing("it needs root")
}

/// Whether a private Postfix can run; else as [`present`].
pub fn postfix() -> bool {
    root() && present(&["postfix", "master", "postqueue"])
}

/// The folder into which `tests/install` unpacked a Debian package; else as [`present`].
pub fn unpacked(package: &str) -> Option<PathBuf> {
    let peers = env::var_os("POSTROOM_PEERS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers"),
        PathBuf::from,
    );
    let folder = peers.join(package);
    let complete = folder.join(".complete").exists();
    (complete || missing(&format!("{package} is not unpacked; see tests/run"))).then_some(folder)
}

fn missing(why: &str) -> bool {
    let set = |name: &str, value: &str| env::var(name).is_ok_and(|is| is == value);
    assert!(
        !set("CI", "true") && !set("POSTROOM_REQUIRE_PEERS", "1"),
        "cannot run this test: {why}"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the capture of the test harness, which would swallow it.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED {test}: {why}\n").as_bytes());
    false
}

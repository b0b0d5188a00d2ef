//! The units of systemd: how exposed it thinks they are, and that they are written as it wants them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that a unit may have at most, in tenths of systemd's points.
const EXPOSURE: &str = "15";

/// With the drop-in for system accounts: it starts as root, and sees homes.
const EXPOSURE_OF_ROOT: &str = "30";

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// systemd-analyze, of which version 250 began to look at units that are not loaded; none where there is none.
fn analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    let version = Command::new("systemd-analyze").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let number: u32 = version.split_whitespace().nth(1)?.parse().ok()?;
    if number < 250 {
        return None;
    }
    let ended = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    Some(ended.expect("systemd-analyze"))
}

#[track_caller]
fn assert_exposed(unit: &Path, most: &str) {
    let threshold = format!("--threshold={most}");
    let Some(ended) = analyze(&["security", "--offline=true", "--no-pager", &threshold], unit) else {
        return;
    };
    let text = String::from_utf8_lossy(&ended.stdout);
    let open: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with('✗') || line.contains("Overall"))
        .collect();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && !open.is_empty() && said.is_empty(),
        "{}:\n{}\n{said}",
        unit.display(),
        open.join("\n")
    );
}

#[test]
fn they_are_hardly_exposed() {
    for name in ["postroom.service", "postroom-expire.service"] {
        assert_exposed(&unit(name), EXPOSURE);
    }
}

#[test]
fn a_drop_in_for_system_accounts() {
    let read = |name: &str| fs::read_to_string(unit(name)).expect("a unit");
    let (service, more) = (read("postroom.service"), read("postroom-system-accounts.conf"));
    // What a drop-in says is read behind the section of the unit.
    let (before, install) = service.split_once("[Install]").expect("the last section");
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("postroom.service");
    fs::write(&whole, format!("{before}{more}\n[Install]{install}")).expect("a unit");
    assert_exposed(&whole, EXPOSURE_OF_ROOT);
}

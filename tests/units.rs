//! The units of systemd: how exposed it thinks they are, and that they are written as it wants them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that a unit may have at most, in tenths of systemd's points.
const EXPOSURE: &str = "15";

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)
}

/// systemd-analyze, of which version 250 began to look at units that are not loaded; none where there is none.
fn analyze(arguments: &[&str], name: &str) -> Option<Output> {
    let version = Command::new("systemd-analyze").arg("--version").output().ok()?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let number: u32 = version.split_whitespace().nth(1)?.parse().ok()?;
    if number < 250 {
        return None;
    }
    let ended = Command::new("systemd-analyze").args(arguments).arg(unit(name)).output();
    Some(ended.expect("systemd-analyze"))
}

#[test]
fn they_are_hardly_exposed() {
    for name in ["postroom.service", "postroom-expire.service"] {
        let threshold = format!("--threshold={EXPOSURE}");
        let Some(ended) = analyze(&["security", "--offline=true", "--no-pager", &threshold], name) else {
            return;
        };
        let text = String::from_utf8_lossy(&ended.stdout);
        let open: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with('✗') || line.contains("Overall"))
            .collect();
        assert!(
            ended.status.success() && !open.is_empty(),
            "{name}:\n{}",
            open.join("\n")
        );
    }
}

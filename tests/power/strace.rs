//! strace: running the worker under it, and the text that it writes.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::trace::ROOT;
use super::worker;

/// What is recorded. What only reads, and what changes owners, modes or times, makes no difference to the model.
const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,fsync,\
                     fdatasync,sync,syncfs,rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,\
                     symlink,symlinkat,copy_file_range,sendfile,splice,mmap,close,dup,dup2,dup3,lseek,fcntl";

/// The errors with which a call may fail.
pub fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "openat" => &["ENOSPC", "EIO", "EACCES", "EMFILE"],
        "write" | "pwrite64" | "ftruncate" | "copy_file_range" => &["ENOSPC", "EIO"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC"],
        "rename" | "renameat" | "renameat2" | "link" | "linkat" | "mkdir" | "mkdirat" => &["ENOSPC", "EIO", "EACCES"],
        "unlink" | "unlinkat" => &["EIO", "EACCES"],
        _ => &[],
    }
}

/// What the recorder is to do beside recording.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// Nothing.
    Whole,
    /// Leave out long lines of the script.
    Short,
    /// That, and let a call fail: as strace's `inject` wants it.
    Fail(&'a str),
}

/// The file of what the worker says.
pub fn says(place: &Path) -> PathBuf {
    place.join("says")
}

/// Runs the worker in `place`; answers the record.
pub fn run(place: &Path, wish: Wish<'_>) -> Result<String, String> {
    let (root, says, log) = (place.join(ROOT), says(place), place.join("log"));
    fs::create_dir(&root).map_err(|error| error.to_string())?;
    fs::write(&says, "").map_err(|error| error.to_string())?;
    let mut strace = Command::new("strace");
    strace
        .args(["-f", "--seccomp-bpf", "-xx", "-s", "16777216", "-o"])
        .arg(&log);
    strace.args(["-e", &format!("trace={CALLS}"), "-e", "signal=none"]);
    if let Wish::Fail(fault) = wish {
        strace.args(["-e", &format!("inject={fault}")]);
    }
    strace
        .arg(std::env::current_exe().map_err(|error| error.to_string())?)
        .args(["--exact", "worker_under_record", "--nocapture"])
        .env(worker::ROOT, &root)
        .env(worker::SAYS, &says);
    if !matches!(wish, Wish::Whole) {
        strace.env(worker::SHORT, "yes");
    }
    let output = strace.output().map_err(|error| format!("strace: {error}"))?;
    if !output.status.success() {
        let words = [output.stdout, output.stderr].concat();
        return Err(format!(
            "the worker ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&words)
        ));
    }
    fs::read_to_string(&log).map_err(|error| format!("the record: {error}"))
}

/// strace breaks a call in two where another thread makes one meanwhile.
pub fn whole_lines(log: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), HashMap::new());
    for line in log.lines() {
        let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, begin);
        } else if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
            let begin = begun.remove(thread).unwrap_or_default();
            lines.push(format!("{thread} {begin}{end}"));
        } else if !rest.starts_with(['+', '-']) {
            lines.push(format!("{thread} {rest}"));
        }
    }
    lines
}

/// The arguments of a call; strings are all hexadecimal, so that only brackets matter.
pub fn split(arguments: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'[' | b'{' | b'(' => depth += 1,
            b']' | b'}' | b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(arguments[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(arguments[start..].trim());
    parts
}

/// `"\x48\x69"` as strace writes it.
pub fn bytes(argument: &str) -> Vec<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
            .unwrap_or_default()
    };
    let escaped = argument.trim_matches('"').as_bytes();
    escaped
        .chunks_exact(4)
        .map(|it| digit(it[2]) << 4 | digit(it[3]))
        .collect()
}

pub fn text(argument: &str) -> String {
    String::from_utf8_lossy(&bytes(argument)).into_owned()
}

/// The bytes of `[{iov_base="\x48", iov_len=1}, ...]`.
pub fn gathered(argument: &str) -> Vec<u8> {
    argument.split('"').skip(1).step_by(2).flat_map(bytes).collect()
}

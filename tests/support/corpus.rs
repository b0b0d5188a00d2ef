//! Messages to send: the corpus named by `POSTROOM_CORPUS`, or a small one made here.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// A message and what to call it.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Every message of the corpus, or the made ones where there is none.
pub fn samples() -> Vec<Sample> {
    let mut all = made();
    if let Some(folder) = env::var_os("POSTROOM_CORPUS") {
        let before = all.len();
        read_below(Path::new(&folder), &mut all);
        assert!(
            all.len() > before,
            "POSTROOM_CORPUS={} holds no .eml file",
            folder.display()
        );
    }
    all
}

fn read_below(folder: &Path, all: &mut Vec<Sample>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            read_below(&path, all);
        } else if path.extension().is_some_and(|it| it == "eml") {
            all.push(Sample {
                name: path.display().to_string(),
                bytes: fs::read(&path).expect("a message"),
            });
        }
    }
}

/// What real mail seldom has, and what a mailbox must take all the same.
fn made() -> Vec<Sample> {
    let plain = "From: ann@example.net\nSubject: one\n\nfirst\nsecond\n";
    let nested = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n".repeat(60);
    let many = "Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\n".repeat(20);
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("LF", plain.into()),
        ("CRLF", plain.replace('\n', "\r\n").into()),
        (
            "mixed line ends",
            b"Subject: mixed\r\nX: 1\n\r\none\ntwo\r\nthree\n".to_vec(),
        ),
        ("CR alone", b"Subject: cr\r\n\r\none\rtwo\r\n\rthree\r\n".to_vec()),
        ("CR before CRLF", b"Subject: cr\r\n\r\none\r\r\ntwo\r\n".to_vec()),
        ("CR at the end", b"Subject: cr\r\n\r\none\r".to_vec()),
        ("NUL", b"Subject: nul\0in header\r\n\r\nbody \0 with NUL\r\n".to_vec()),
        (
            "8-bit header and body",
            b"Subject: gr\xfc\xdfe\r\n\r\n\xff\xfe\x80 caf\xc3\xa9\r\n".to_vec(),
        ),
        (
            "long lines",
            format!("Subject: {}\r\n\r\n{}\r\n", "s".repeat(5_000), "x".repeat(200_000)).into(),
        ),
        (
            "dots",
            b"Subject: dots\r\n\r\n.\r\n..\r\n.a\r\n\r\n.\r\nend\r\n".to_vec(),
        ),
        ("first line a dot", b".\r\n".to_vec()),
        (
            "dot between bare LFs",
            b"Subject: smuggled\r\n\r\na\n.\nb\n.\r\nc\r\n".to_vec(),
        ),
        ("no final newline", b"Subject: open end\r\n\r\nno newline".to_vec()),
        ("empty body", b"Subject: header only\r\n\r\n".to_vec()),
        ("no blank line", b"Subject: header only\r\n".to_vec()),
        ("body only", b"\r\nno header at all\r\n".to_vec()),
        ("one blank line", b"\r\n".to_vec()),
        (
            "From_ line",
            b"From ann@example.net Mon Jan  1 00:00:00 2024\nSubject: mbox\n\nbody\n".to_vec(),
        ),
        (
            "starts with a blank",
            b" folded onto nothing\r\nSubject: odd\r\n\r\nbody\r\n".to_vec(),
        ),
        (
            "big",
            format!(
                "Subject: big\r\n\r\n{}",
                "0123456789abcdef 0123456789abcdef\r\n".repeat(40_000)
            )
            .into(),
        ),
        ("nested", nested.into()),
        (
            "many Received",
            format!("{many}Subject: far travelled\n\nbody\n").into(),
        ),
    ];
    table
        .into_iter()
        .map(|(name, bytes)| Sample {
            name: name.into(),
            bytes,
        })
        .collect()
}

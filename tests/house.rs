//! The house itself: which room may import which, and that every room has its door plate.

use std::fs;
use std::path::{Path, PathBuf};

/// Every room and the rooms it may import. `lib.rs` and `main.rs` stand outside.
const ROOMS: &[(&str, &[&str])] = &[
    ("mail", &[]),
    ("message", &["mail"]),
    ("maildir", &["mail"]),
    ("index", &["mail", "message"]),
    ("store", &["mail", "message", "maildir", "index"]),
    ("directory", &["mail"]),
    ("sieve", &["mail", "message"]),
    ("submission", &["mail", "message", "smtp"]),
    (
        "delivery",
        &["mail", "message", "directory", "sieve", "store", "submission"],
    ),
    ("smtp", &["mail"]),
    // Of the sieve room names and findings alone: values that it asks for and answers with.
    ("managesieve", &["mail", "sieve"]),
    ("telemetry", &["mail"]),
    ("ipc", &[]),
    // What a program is that is to be run, and who runs it.
    ("confinement", &["ipc", "submission"]),
    ("privsep", &["ipc", "mail", "message", "directory", "delivery"]),
    (
        "server",
        &[
            "mail",
            "message",
            "directory",
            "sieve",
            "store",
            "delivery",
            "smtp",
            "managesieve",
            "telemetry",
        ],
    ),
    // Each room's Options, as written and as resolved.
    (
        "config",
        &[
            "mail",
            "message",
            "directory",
            "sieve",
            "store",
            "submission",
            "delivery",
            "smtp",
            "managesieve",
            "telemetry",
            "server",
            "confinement",
        ],
    ),
    ("cli", ANYTHING),
];

const ANYTHING: &[&str] = &["*"];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

fn rooms() -> Vec<String> {
    let entries = fs::read_dir(source()).expect("src");
    let folders = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir());
    folders
        .map(|path| path.file_name().expect("a name").to_str().expect("UTF-8").to_owned())
        .collect()
}

/// The rooms that a source text names after `crate::`, in any form: a path, an import, a group in braces.
fn imported(text: &str) -> Vec<String> {
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        // `$crate::` and `my_crate::` name no room of ours.
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None => found.extend(word(rest)),
        }
    }
    found
}

/// The first word of each member of a group, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut found, mut expected) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            _ if c.is_whitespace() => {}
            _ if expected => {
                found.extend(word(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn finds_every_form_of_import() {
    for (text, expected) in [
        ("use crate::mail::Uid;", &["mail"][..]),
        ("pub(crate) use crate::smtp;", &["smtp"]),
        ("use crate::{mail::{Uid, Flags}, store};", &["mail", "store"]),
        ("use crate::{\n    delivery::X,\n    mail,\n};", &["delivery", "mail"]),
        ("let x = crate::index::open();", &["index"]),
        ("// see crate::server", &[]),
        ("$crate::mail", &[]),
    ] {
        assert_eq!(imported(text), expected, "{text}");
    }
}

#[test]
fn rooms_import_only_their_neighbours() {
    let mut wrong = Vec::new();
    for room in rooms() {
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            wrong.push(format!(
                "src/{room} stands in no line of the table; see docs/ARCHITECTURE.md"
            ));
            continue;
        };
        for file in files_below(&source().join(&room)) {
            let text = fs::read_to_string(&file).expect("source text");
            for target in imported(&text) {
                let is_room = ROOMS.iter().any(|(name, _)| *name == target);
                let may = target == room || *allowed == ANYTHING || allowed.contains(&target.as_str());
                if is_room && !may {
                    wrong.push(format!("{}: {room} must not import {target}", file.display()));
                }
            }
        }
    }
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_has_its_door_plate() {
    for room in rooms() {
        let path = source().join(&room).join("mod.rs");
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(
            text.starts_with("//! "),
            "{} does not open with what the room does",
            path.display()
        );
    }
}

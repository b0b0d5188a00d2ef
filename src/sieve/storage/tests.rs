//! Scripts stored, renamed and activated, over what others left in a home.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;
use crate::sieve::load_user;

const OPTIONS: StorageOptions = StorageOptions {
    max_scripts: 3,
    max_total: 100,
    max_script_size: 60,
};

fn place() -> (TempDir, Storage) {
    let home = tempfile::tempdir().unwrap();
    let storage = Storage::new(home.path(), OPTIONS);
    (home, storage)
}

fn name(text: &str) -> ScriptName {
    ScriptName::parse(text).unwrap()
}

/// `a b*`: the scripts by name, the active one with an asterisk.
fn listed(storage: &Storage) -> String {
    let scripts = storage.list().unwrap();
    let words: Vec<String> = scripts
        .iter()
        .map(|script| format!("{}{}", script.name, if script.active { "*" } else { "" }))
        .collect();
    words.join(" ")
}

fn running(storage: &Storage) -> Option<String> {
    let script = load_user(&storage.home, 1000).unwrap()?;
    Some(String::from_utf8_lossy(&script.source).into_owned())
}

/// Does `put a`, `put a TEXT`, `activate a`, `deactivate`, `rename a b`, `delete a`; answers the variant of an error.
fn act(storage: &Storage, words: &str) -> &'static str {
    let words: Vec<&str> = words.splitn(3, ' ').collect();
    let done = match *words.as_slice() {
        ["put", script] => storage.write(&name(script), script.as_bytes()),
        ["put", script, text] => storage.write(&name(script), text.as_bytes()),
        ["activate", script] => storage.activate(Some(&name(script))),
        ["deactivate"] => storage.activate(None),
        ["rename", from, to] => storage.rename(&name(from), &name(to)),
        ["delete", script] => storage.delete(&name(script)),
        _ => panic!("{words:?}"),
    };
    match done {
        Ok(()) => "ok",
        Err(StorageError::NoScript) => "no script",
        Err(StorageError::Exists) => "exists",
        Err(StorageError::Active) => "active",
        Err(StorageError::TooManyScripts { .. }) => "too many",
        Err(StorageError::TooLarge { .. }) => "too large",
        Err(StorageError::OverQuota { .. }) => "over quota",
        Err(StorageError::NotALink { .. }) => "not a link",
        Err(StorageError::Locked { .. }) => "locked",
        Err(StorageError::Io { .. }) => "io",
    }
}

#[test]
fn what_each_operation_does() {
    let (_home, storage) = place();
    let sixty = "x".repeat(60);
    let put_large = format!("put b {sixty}");
    let put_larger = format!("put b {sixty}x");
    let put_third = format!("put c {}", "y".repeat(40));
    let put_fourth = format!("put c {}", "y".repeat(39));
    for (step, answer, list, runs) in [
        ("delete a", "no script", "", None),
        ("activate a", "no script", "", None),
        ("rename a b", "no script", "", None),
        ("deactivate", "ok", "", None),
        ("put a", "ok", "a", None),
        ("activate a", "ok", "a*", Some("a")),
        ("activate a", "ok", "a*", Some("a")),
        ("delete a", "active", "a*", Some("a")),
        ("put a A!", "ok", "a*", Some("A!")),
        (put_larger.as_str(), "too large", "a*", Some("A!")),
        (put_large.as_str(), "ok", "a* b", Some("A!")),
        (put_third.as_str(), "over quota", "a* b", Some("A!")),
        (
            "put a 40 bytes would be two more than there may",
            "over quota",
            "a* b",
            Some("A!"),
        ),
        ("put a", "ok", "a* b", Some("a")),
        (put_fourth.as_str(), "ok", "a* b c", Some("a")),
        ("put d", "too many", "a* b c", Some("a")),
        ("rename a b", "exists", "a* b c", Some("a")),
        ("rename a a", "exists", "a* b c", Some("a")),
        ("rename b d", "ok", "a* c d", Some("a")),
        ("rename a z", "ok", "c d z*", Some("a")),
        ("activate d", "ok", "c d* z", Some(sixty.as_str())),
        ("delete z", "ok", "c d*", Some(sixty.as_str())),
        ("deactivate", "ok", "c d", None),
        ("delete d", "ok", "c", None),
        ("delete c", "ok", "", None),
    ] {
        assert_eq!(act(&storage, step), answer, "{step}");
        assert_eq!(listed(&storage), list, "after {step}");
        assert_eq!(running(&storage).as_deref(), runs, "after {step}");
    }
    let left: Vec<_> = fs::read_dir(&storage.folder)
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert_eq!(left, [".postroom-lock"], "nothing temporary is left");
}

#[test]
fn texts_and_modes() {
    let home = tempfile::tempdir().unwrap();
    let below = home.path().join("example.org/ann");
    let storage = Storage::new(&below, OPTIONS);
    let longest = name(&"n".repeat(249));
    storage.write(&longest, b"keep;\r\n\xff").unwrap();
    assert_eq!(storage.read(&longest).unwrap(), b"keep;\r\n\xff");
    assert_eq!(storage.list().unwrap()[0].size, 8);
    assert!(matches!(storage.read(&name("b")), Err(StorageError::NoScript)));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&storage.path(&longest)), 0o600);
    assert_eq!(mode(&storage.folder), 0o700);
    assert_eq!(mode(&below), 0o700);
    storage.activate(Some(&longest)).unwrap();
    let target = fs::read_link(below.join(ACTIVE)).unwrap();
    assert_eq!(
        target,
        Path::new("sieve").join(longest.file_name()),
        "a home may be moved"
    );
}

#[test]
fn a_script_larger_than_is_allowed_now_can_be_read_and_made_smaller() {
    let (home, storage) = place();
    fs::create_dir(home.path().join("sieve")).unwrap();
    fs::write(storage.path(&name("a")), "x".repeat(300)).unwrap();
    assert_eq!(storage.read(&name("a")).unwrap().len(), 300);
    storage.has_space(&name("a"), 60).unwrap();
    let full = storage.has_space(&name("b"), 1);
    assert!(matches!(full, Err(StorageError::OverQuota { total: 301, limit: 100 })));
}

#[test]
fn other_files_are_no_scripts() {
    let (home, storage) = place();
    let folder = home.path().join("sieve");
    fs::create_dir_all(folder.join("folder.sieve")).unwrap();
    for file in [
        ".hidden.sieve",
        ".sieve",
        "a.svbin",
        "a.txt",
        "b\\c.sieve",
        "good.sieve",
    ] {
        fs::write(folder.join(file), "keep;").unwrap();
    }
    fs::write(folder.join(std::ffi::OsStr::new("été.sieve")), "keep;").unwrap();
    use std::os::unix::ffi::OsStrExt;
    fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff.sieve")), "keep;").unwrap();
    symlink("nowhere", folder.join("dangling.sieve")).unwrap();
    let shared = home.path().join("shared");
    fs::write(&shared, "stop;").unwrap();
    symlink(&shared, folder.join("shared.sieve")).unwrap();
    nix::unistd::mkfifo(&folder.join("fifo.sieve"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(listed(&storage), "good shared été");
    assert!(matches!(storage.read(&name("fifo")), Err(StorageError::Io { .. })));
    assert_eq!(act(&storage, "delete fifo"), "no script");
    assert_eq!(storage.read(&name("shared")).unwrap(), b"stop;");
    // What it was shared with is not ours to change.
    assert_eq!(act(&storage, "put shared keep;"), "ok");
    assert_eq!(fs::read(&shared).unwrap(), b"stop;");
    assert_eq!(storage.read(&name("shared")).unwrap(), b"keep;");
}

#[test]
fn links_however_they_are_written() {
    for (link, active, stray) in [
        ("sieve/a.sieve", true, false),
        ("./sieve/../sieve/a.sieve", true, false),
        ("HOME/sieve/a.sieve", true, false),
        ("HOME/alias/sieve/a.sieve", true, false),
        ("sieve/none.sieve", false, true),
        ("other/a.sieve", false, true),
        ("/etc/passwd", false, true),
        ("sieve/.hidden.sieve", false, true),
    ] {
        let (home, storage) = place();
        storage.write(&name("a"), b"a").unwrap();
        storage.write(&name("b"), b"b").unwrap();
        fs::create_dir(home.path().join("other")).unwrap();
        fs::write(home.path().join("other/a.sieve"), "other").unwrap();
        symlink(home.path(), home.path().join("alias")).unwrap();
        let target = link.replace("HOME", home.path().to_str().unwrap());
        symlink(target, home.path().join(ACTIVE)).unwrap();
        assert_eq!(listed(&storage), if active { "a* b" } else { "a b" }, "{link}");
        assert_eq!(storage.stray_link().unwrap().is_some(), stray, "{link}");
        assert_eq!(act(&storage, "activate b"), "ok", "{link}");
        assert_eq!(listed(&storage), "a b*", "{link}");
        assert_eq!(fs::read(home.path().join("other/a.sieve")).unwrap(), b"other");
        assert_eq!(act(&storage, "deactivate"), "ok");
        assert!(fs::symlink_metadata(home.path().join(ACTIVE)).is_err());
    }
}

#[test]
fn a_script_is_never_active_unasked() {
    let (home, storage) = place();
    storage.write(&name("a"), b"a").unwrap();
    for step in ["put gone", "rename a gone"] {
        symlink("sieve/gone.sieve", home.path().join(ACTIVE)).unwrap();
        assert_eq!(act(&storage, step), "ok");
        assert_eq!(running(&storage), None, "{step}");
        assert_eq!(act(&storage, "delete gone"), "ok");
    }
}

#[test]
fn the_folder_may_be_a_link() {
    let (home, storage) = place();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), home.path().join("sieve")).unwrap();
    for step in ["put a", "activate a", "rename a b"] {
        assert_eq!(act(&storage, step), "ok");
    }
    assert_eq!(listed(&storage), "b*");
    assert!(elsewhere.path().join("b.sieve").exists());
}

#[test]
fn a_script_in_place_of_the_link_is_kept() {
    for (step, list, runs) in [
        ("put a", "a dovecot.orig*", "old"),
        ("put dovecot.orig new", "dovecot.orig*", "new"),
        ("delete dovecot.orig", "dovecot.orig*", "old"),
        ("rename dovecot.orig mine", "mine*", "old"),
        ("activate dovecot.orig", "dovecot.orig*", "old"),
        ("activate b", "dovecot.orig*", "old"),
        ("deactivate", "dovecot.orig", ""),
    ] {
        let (home, storage) = place();
        fs::write(home.path().join(ACTIVE), "old").unwrap();
        assert_eq!(listed(&storage), "dovecot.orig*");
        assert_eq!(storage.list().unwrap()[0].size, 3);
        assert_eq!(storage.read(&name("dovecot.orig")).unwrap(), b"old");
        assert!(!home.path().join("sieve").exists(), "looking changes nothing");
        act(&storage, step);
        assert_eq!(listed(&storage), list, "{step}");
        assert_eq!(running(&storage).unwrap_or_default(), runs, "{step}");
    }
}

#[test]
fn no_script_is_overwritten_by_the_one_in_place_of_the_link() {
    let (home, storage) = place();
    storage.write(&name("dovecot.orig"), b"first").unwrap();
    fs::write(home.path().join(ACTIVE), "second").unwrap();
    assert_eq!(listed(&storage), "dovecot.orig dovecot.orig-2*");
    assert_eq!(storage.read(&name("dovecot.orig")).unwrap(), b"first");
    assert_eq!(storage.read(&name("dovecot.orig-2")).unwrap(), b"second");
    assert_eq!(act(&storage, "activate dovecot.orig"), "ok");
    assert_eq!(listed(&storage), "dovecot.orig* dovecot.orig-2");
    assert_eq!(storage.read(&name("dovecot.orig-2")).unwrap(), b"second");
}

#[test]
fn what_a_crash_left_is_gone_on_with() {
    // Between the two names of a script that is renamed; the link leads to either.
    for link in ["sieve/a.sieve", "sieve/b.sieve"] {
        let (home, storage) = place();
        storage.write(&name("a"), b"a").unwrap();
        fs::hard_link(storage.path(&name("a")), storage.path(&name("b"))).unwrap();
        symlink(link, home.path().join(ACTIVE)).unwrap();
        assert_eq!(act(&storage, "rename a b"), "ok", "{link}");
        assert_eq!(listed(&storage), "b*");
        assert_eq!(running(&storage).as_deref(), Some("a"));
    }
    // Between the script's new name and the link in its place.
    let (home, storage) = place();
    fs::write(home.path().join(ACTIVE), "old").unwrap();
    fs::create_dir(home.path().join("sieve")).unwrap();
    fs::hard_link(home.path().join(ACTIVE), storage.path(&name("dovecot.orig"))).unwrap();
    assert_eq!(listed(&storage), "dovecot.orig*");
    assert_eq!(act(&storage, "put a"), "ok");
    assert_eq!(listed(&storage), "a dovecot.orig*");
    // Before the last rename of a write and of a link.
    for file in ["sieve/.postroom-new", ".dovecot.sieve.postroom-new"] {
        fs::write(home.path().join(file), "half").unwrap();
    }
    assert_eq!(act(&storage, "put a A"), "ok");
    assert_eq!(act(&storage, "activate a"), "ok");
    assert_eq!(running(&storage).as_deref(), Some("A"));
    assert!(!home.path().join(".dovecot.sieve.postroom-new").exists());
}

#[test]
fn what_is_neither_link_nor_file_is_named() {
    let (home, storage) = place();
    fs::create_dir(home.path().join(ACTIVE)).unwrap();
    let error = storage.list().unwrap_err().to_string();
    assert!(error.contains(".dovecot.sieve is neither a link nor a file"), "{error}");
    for step in ["put a", "deactivate", "activate a", "delete a"] {
        assert_eq!(act(&storage, step), "not a link", "{step}");
    }
}

#[test]
fn a_folder_that_is_none_is_named() {
    let (home, storage) = place();
    fs::write(home.path().join("sieve"), "").unwrap();
    for step in ["put a", "delete a"] {
        assert_eq!(act(&storage, step), "io", "{step}");
    }
    let error = storage.list().unwrap_err().to_string();
    assert!(error.contains(&format!("{}", storage.folder.display())), "{error}");
    assert_eq!(fs::metadata(home.path().join("sieve")).unwrap().size(), 0);
}

#[test]
fn a_copy_is_as_good_as_a_link() {
    let (home, storage) = place();
    storage.write(&name("a"), b"a").unwrap();
    let (from, to) = (storage.path(&name("a")), storage.path(&name("b")));
    disk::copy(&from, &storage.folder, &to).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"a");
    disk::copy(&from, &storage.folder, &to).unwrap();
    fs::write(&to, "other").unwrap();
    let refused = disk::copy(&from, &storage.folder, &to);
    assert!(matches!(refused, Err(StorageError::Exists)), "{refused:?}");
    drop(home);
}

#[test]
fn two_at_once_take_turns() {
    let (_home, storage) = place();
    storage.write(&name("a"), b"a").unwrap();
    storage.activate(Some(&name("a"))).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let storage = &storage;
            scope.spawn(move || {
                for _ in 0..25 {
                    let own = format!("t{thread}");
                    let _ = storage.write(&name(&own), own.as_bytes());
                    let _ = storage.rename(&name("a"), &name("b"));
                    let _ = storage.rename(&name("b"), &name("a"));
                    let _ = storage.delete(&name(&own));
                    assert!(running(storage).is_some(), "the active script is never missing");
                }
            });
        }
    });
    let names: BTreeSet<String> = storage.list().unwrap().iter().map(|it| it.name.to_string()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(running(&storage).as_deref(), Some("a"));
}

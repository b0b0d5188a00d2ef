//! Kill -9 in the middle of a load of deliveries: nothing that was answered with 250 is lost, nothing is there twice,
//! no UID is given again.

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::thread;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use support::load::{Load, Sent, USERS, token};
use support::place::{Place, wait_until};
use support::postroom::{Postroom, Wishes};

/// Token by UID, and UIDVALIDITY, of a user's INBOX.
type Numbers = (u64, BTreeMap<u64, u64>);

fn numbers(postroom: &Postroom, user: &str) -> Numbers {
    let address = format!("{user}@example.org");
    let uidvalidity = postroom.mailbox(&address, "INBOX")["uidvalidity"]
        .as_u64()
        .expect("a number");
    let mut by_uid = BTreeMap::new();
    let mut last = 0;
    for message in postroom.messages(&address, "INBOX") {
        let uid = message["uid"].as_u64().expect("a UID");
        assert!(uid > last, "{user}: UID {uid} after {last}");
        last = uid;
        let path = postroom.home(user).join(message["path"].as_str().expect("a path"));
        let stored = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        by_uid.insert(uid, token(&stored).expect("every message of the load has a token"));
    }
    (uidvalidity, by_uid)
}

/// What lies in the Maildir, each file by its token; the index has no say here.
fn on_disk(postroom: &Postroom, user: &str) -> Vec<u64> {
    let maildir = postroom.home(user).join("Maildir");
    let mut tokens = Vec::new();
    for folder in ["new", "cur"] {
        for entry in fs::read_dir(maildir.join(folder)).expect("a folder") {
            let stored = fs::read(entry.expect("an entry").path()).expect("a message");
            tokens.push(token(&stored).expect("a whole message"));
            let number = token(&stored).expect("a token");
            assert!(
                stored.ends_with(&as_stored(number)),
                "{user}: message {number} is not whole"
            );
        }
    }
    tokens.sort_unstable();
    tokens
}

fn as_stored(token: u64) -> Vec<u8> {
    support::load::message(token)
        .into_iter()
        .filter(|byte| *byte != b'\r')
        .collect()
}

#[test]
fn killed_during_a_load() {
    let place = Place::new();
    let mut postroom = Postroom::configured(&place, &Wishes::default());
    let load = Load::default();
    let mut before: HashMap<&str, Numbers> = HashMap::new();
    for round in 1..=4_usize {
        postroom.serve();
        let id = postroom.running().id();
        let enough = load.acknowledged().len() + 100 * round;
        thread::scope(|scope| {
            let sending = scope.spawn(|| load.run(postroom.lmtp, 8, 100_000));
            wait_until("enough was delivered", || {
                load.acknowledged().len() >= enough || sending.is_finished()
            });
            assert!(!sending.is_finished(), "the load ended by itself");
            kill(id);
        });
        postroom.running().kill(); // Reaps it.
        check(&postroom, &load, &mut before);
    }
    rebuild(&postroom, &before);

    // And it goes on after that.
    postroom.serve();
    load.run(postroom.lmtp, 4, 100);
    check(&postroom, &load, &mut before);
}

fn kill(id: u32) {
    let id = Pid::from_raw(i32::try_from(id).expect("a process id"));
    nix::sys::signal::kill(id, Signal::SIGKILL).expect("it runs");
}

fn check(postroom: &Postroom, load: &Load, before: &mut HashMap<&str, Numbers>) {
    let acknowledged: HashSet<Sent> = load.acknowledged().into_iter().collect();
    let attempted: HashSet<Sent> = load.attempted().into_iter().collect();
    for user in USERS {
        let there = on_disk(postroom, user);
        assert!(
            there.windows(2).all(|pair| pair[0] != pair[1]),
            "{user}: a message is there twice"
        );
        for sent in acknowledged.iter().filter(|sent| sent.user == user) {
            assert!(
                there.binary_search(&sent.token).is_ok(),
                "{user}: {} had 250 and is lost",
                sent.token
            );
        }
        assert!(
            there
                .iter()
                .all(|token| attempted.contains(&Sent { token: *token, user }))
        );

        let now = numbers(postroom, user);
        let mut listed: Vec<u64> = now.1.values().copied().collect();
        listed.sort_unstable();
        assert_eq!(listed, there, "{user}: the index and the Maildir differ");
        if let Some((uidvalidity, uids)) = before.get(user) {
            assert_eq!(now.0, *uidvalidity, "{user}: UIDVALIDITY changed");
            for (uid, token) in uids {
                assert_eq!(now.1.get(uid), Some(token), "{user}: UID {uid} was given again or lost");
            }
        }
        postroom.run(&["index", "check", &format!("{user}@example.org")]);
        before.insert(user, now);
    }
}

/// Without its index an account gets the same numbers again.
fn rebuild(postroom: &Postroom, before: &HashMap<&str, Numbers>) {
    for user in USERS {
        let home = postroom.home(user);
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let _ = fs::remove_file(home.join(name)); // The last two need not be there.
        }
        postroom.run(&["index", "rebuild", &format!("{user}@example.org")]);
        assert_eq!(
            &numbers(postroom, user),
            &before[user],
            "{user}: other numbers after the rebuild"
        );
        postroom.run(&["index", "check", &format!("{user}@example.org")]);
    }
}

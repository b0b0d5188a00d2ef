//! Kill -9 in the middle of a load of deliveries: nothing that was answered with 250 is lost, nothing is there twice,
//! no UID is given again.

mod support;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use support::load::{Load, Sent, USERS, token};
use support::place::{PATIENCE, Place};
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
            // Killed in any case: the load ends with the server, and the scope with the load.
            let deadline = Instant::now() + PATIENCE;
            while load.acknowledged().len() < enough && !sending.is_finished() && Instant::now() < deadline {
                sleep(Duration::from_millis(5));
            }
            kill(id);
        });
        assert!(
            load.acknowledged().len() >= enough,
            "round {round}: too few deliveries to be a load"
        );
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
        remove_index(postroom, user);
        postroom.run(&["index", "rebuild", &format!("{user}@example.org")]);
        assert_eq!(
            &numbers(postroom, user),
            &before[user],
            "{user}: other numbers after the rebuild"
        );
        postroom.run(&["index", "check", &format!("{user}@example.org")]);
    }
}

fn remove_index(postroom: &Postroom, user: &str) {
    for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(postroom.home(user).join(name)); // The last two need not be there.
    }
}

#[test]
fn a_uid_is_never_given_again() {
    let place = Place::new();
    let mut postroom = Postroom::serving(&place, &Wishes::default());
    let load = Load::default();
    // A multiple of the number of users: each gets the same.
    load.run(postroom.lmtp, 1, 12);
    let mut highest = 0;
    for lose_the_index in [false, true] {
        let (uidvalidity, uids) = numbers(&postroom, "ann");
        let (last, _) = uids.last_key_value().expect("messages");
        assert!(*last > highest, "UID {last} was given again");
        highest = *last;

        // Another program deletes the newest message.
        let messages = postroom.messages("ann@example.org", "INBOX");
        let path = messages.last().expect("messages")["path"]
            .as_str()
            .expect("a path")
            .to_owned();
        fs::remove_file(postroom.home("ann").join(path)).expect("removed");
        if lose_the_index {
            assert!(postroom.running().terminate().success());
            remove_index(&postroom, "ann");
            postroom.run(&["index", "rebuild", "ann@example.org"]);
            postroom.serve();
        }
        load.run(postroom.lmtp, 1, 4);
        let now = numbers(&postroom, "ann");
        assert_eq!(now.0, uidvalidity);
        assert!(!now.1.contains_key(&highest), "UID {highest} was given again");
        postroom.run(&["index", "check", "ann@example.org"]);
    }
}

//! Deliveries a second into the local store, beside the bare loop of write, fdatasync,
//! rename and fsync of the folder at the same concurrency, and beside the same without the
//! history of deliveries: `cargo bench --bench store`.
//!
//! Everything is flushed. Rounds alternate, each in a fresh folder, and nothing is
//! deleted before the end. `TMPDIR` says on which file system.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postroom::mail::{DeliveryId, Flags, MailboxName, ReversePath};
use postroom::message::{Letter, Message, Trace};
use postroom::store::{
    ActionKind, Ending, LocalStore, Options, PastAction, PastDelivery, Publication, Record, Store, Target,
};

const ROUND: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 3;
const SIZE: usize = 4096;

fn main() {
    let folder = tempfile::tempdir().expect("a folder for the mail");
    println!("{SIZE} bytes, {ROUNDS} rounds of {ROUND:?}, median\n");
    println!("| threads | users | store /s | without history /s | bare loop /s | to the bare loop | to no history |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut round = 0;
    for (threads, users) in [
        (1, 1),
        (4, 1),
        (16, 1),
        (64, 1),
        (1, 100),
        (4, 100),
        (16, 100),
        (64, 100),
    ] {
        let (mut ours, mut forgetful, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            round += 1;
            let store =
                |name: &str, history| store(&folder.path().join(format!("{name}-{round}")), threads, users, history);
            ours.push(store("store", true));
            forgetful.push(store("forgetful", false));
            bare.push(bare_loop(&folder.path().join(format!("bare-{round}")), threads, users));
        }
        let (ours, forgetful, bare) = (median(ours), median(forgetful), median(bare));
        println!(
            "| {threads} | {users} | {ours:.0} | {forgetful:.0} | {bare:.0} | {:.2} | {:.2} |",
            ours / bare,
            ours / forgetful
        );
    }
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Runs `work` on some threads until the round is over; answers how often it ran in a second.
fn rate(threads: u64, work: impl Fn(u64) + Sync) -> f64 {
    let number = AtomicU64::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while start.elapsed() < ROUND {
                    work(number.fetch_add(1, Ordering::Relaxed));
                }
            });
        }
    });
    number.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

fn store(folder: &Path, threads: u64, users: u64, history: bool) -> f64 {
    let store = LocalStore::new(Options {
        host: "mx.example.org".to_owned(),
        open_accounts: 512,
        ..Options::default()
    });
    let deliver = |number: u64| {
        let user = number % users;
        let account = store
            .account(&format!("user{user}"), &folder.join(format!("user{user}")))
            .expect("an account");
        let target = Target {
            mailbox: MailboxName::inbox(),
            flags: Flags::new(),
        };
        let id = DeliveryId::new();
        let publication = Publication {
            targets: vec![target],
            history: history.then(|| record(&id, number)),
            id,
            remember: Vec::new(),
            quota: None,
        };
        let staged = account.stage(&letter(number), number).expect("staged");
        staged.publish(publication).expect("published");
    };
    // Accounts are open before the clock starts.
    (0..users).for_each(|user| deliver(user + (1 << 40) * users));
    rate(threads, deliver)
}

/// What is written down of a delivery that a script filed.
fn record(id: &DeliveryId, number: u64) -> Record {
    let filed = PastAction {
        script: Some("sieve/main.sieve".to_owned()),
        line: Some(12),
        ..PastAction::done(ActionKind::FileInto, Some("INBOX".to_owned()))
    };
    Record::Whole(Box::new(PastDelivery {
        id: id.clone(),
        queue_id: Some("4bXyz12Qw3z9sT8".to_owned()),
        time: 1_795_000_000,
        reverse_path: "s@example.net".to_owned(),
        recipient: "ann@example.org".to_owned(),
        original: None,
        message_id: Some(format!("{number}@example.net")),
        size: SIZE as u64,
        ending: Ending::Delivered,
        actions: vec![filed],
    }))
}

fn letter(number: u64) -> Letter {
    let mut text = format!("Subject: message {number}\r\nMessage-ID: <{number}@example.net>\r\n\r\n");
    while text.len() < SIZE {
        text.push_str("The quick brown fox jumps over the lazy dog; 0123456789 and once more.\r\n");
    }
    let trace = Trace {
        return_path: ReversePath::Null,
        received: None,
        original_to: None,
        delivered_to: None,
        extra: Vec::new(),
    };
    Letter::new(Message::from_bytes(text), &trace)
}

fn bare_loop(folder: &Path, threads: u64, users: u64) -> f64 {
    for user in 0..users {
        for part in ["tmp", "new"] {
            fs::create_dir_all(folder.join(format!("user{user}")).join(part)).expect("a folder");
        }
    }
    let bytes = vec![b'x'; SIZE];
    rate(threads, |number| {
        let home = folder.join(format!("user{}", number % users));
        let tmp = home.join("tmp").join(number.to_string());
        let mut file = File::create(&tmp).expect("a file");
        file.write_all(&bytes).and_then(|()| file.sync_data()).expect("written");
        fs::rename(&tmp, home.join("new").join(number.to_string())).expect("renamed");
        File::open(home.join("new"))
            .and_then(|new| new.sync_all())
            .expect("flushed");
    })
}

//! disk FOLDER [NAME=NUMBER]...: the bare loop of a durable delivery, and its figures as one line of JSON.
//!
//! Each thread writes a file below `tmp/`, flushes it (fdatasync), renames it into `new/` and flushes that folder
//! (fsync): the least that a delivery into a Maildir does where it shares no flush with another. It is the yardstick
//! of the disk for what tests/bench/run measures. `flush` is one fdatasync of a file by itself, in the same loop.
//!
//! | name | default | |
//! | --- | ---: | --- |
//! | `threads` | 1 | |
//! | `seconds` | 1 | it ends after these, or after so many `messages`, whichever comes first |
//! | `messages` | 1000000000 | |
//! | `size` | 4096 | bytes of a file |
//! | `folders` | 1 | Maildirs, one after the other; made before the clock starts |
//! | `fresh` | 0 | 1: each file lies in a Maildir of its own, made and flushed within the loop |
//! | `rate` | 0 | as in load.rs: files a second, latencies counted from the planned time |
//!
//! Latencies are milliseconds. Built with `rustc -O` by tests/bench; standard library only.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

struct Plan {
    top: PathBuf,
    length: Duration,
    messages: u64,
    folders: u64,
    fresh: bool,
    rate: f64,
    body: Vec<u8>,
}

/// Of one file: until it was flushed, and until its folder was.
struct Times {
    flush: Duration,
    whole: Duration,
}

static TAKEN: AtomicU64 = AtomicU64::new(0);

fn main() -> io::Result<()> {
    let plan = Plan {
        top: PathBuf::from(env::args_os().nth(1).expect("the folder is missing")),
        length: Duration::from_secs_f64(number("seconds", 1.0)),
        messages: number("messages", 1e9) as u64,
        folders: number("folders", 1.0) as u64,
        fresh: number("fresh", 0.0) > 0.0,
        rate: number("rate", 0.0),
        body: b"The quick brown fox jumps over the lazy dog; 0123456789 and once more.\n"
            .iter()
            .copied()
            .cycle()
            .take(number("size", 4096.0) as usize)
            .collect(),
    };
    for folder in 0..if plan.fresh { 0 } else { plan.folders } {
        maildir(&plan.top, folder)?;
    }
    let times = Mutex::new(Vec::new());
    let start = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..number("threads", 1.0) as u64)
            .map(|_| scope.spawn(|| work(&plan, start, &times)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let times = times.into_inner().expect("no panic under it");
    let at = |share: f64, of: fn(&Times) -> Duration| {
        let mut sorted: Vec<_> = times.iter().map(of).collect();
        sorted.sort_unstable();
        sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0
    };
    println!(
        "{{\"messages\": {}, \"seconds\": {seconds:.4}, \"p50\": {:.3}, \"p99\": {:.3}, \"flush\": {:.3}, \"flush_p99\": {:.3}}}",
        times.len(),
        at(0.5, |times| times.whole),
        at(0.99, |times| times.whole),
        at(0.5, |times| times.flush),
        at(0.99, |times| times.flush),
    );
    Ok(())
}

fn number(name: &str, default: f64) -> f64 {
    let given = env::args().find_map(|word| word.strip_prefix(name)?.strip_prefix('=').map(str::to_owned));
    given.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

fn maildir(top: &Path, number: u64) -> io::Result<PathBuf> {
    let folder = top.join(format!("user{number}"));
    for part in ["tmp", "new"] {
        fs::create_dir_all(folder.join(part))?;
    }
    Ok(folder)
}

fn work(plan: &Plan, start: Instant, times: &Mutex<Vec<Times>>) -> io::Result<()> {
    let mut mine = Vec::new();
    loop {
        let number = TAKEN.fetch_add(1, Ordering::Relaxed);
        let open = plan.rate > 0.0;
        let planned = start + Duration::from_secs_f64(if open { number as f64 / plan.rate } else { 0.0 });
        // An open loop writes all that was planned, late or not.
        let now = if open { planned } else { Instant::now() };
        if now - start >= plan.length || number >= plan.messages {
            break;
        }
        thread::sleep(planned.saturating_duration_since(Instant::now()));
        let since = if open { planned } else { Instant::now() };
        let flush = deliver(plan, number)?;
        mine.push(Times {
            flush,
            whole: since.elapsed(),
        });
    }
    times.lock().expect("no panic under it").extend(mine);
    Ok(())
}

/// One file; answers how long its flush took.
fn deliver(plan: &Plan, number: u64) -> io::Result<Duration> {
    let folder = if plan.fresh {
        maildir(&plan.top, number)?
    } else {
        plan.top.join(format!("user{}", number % plan.folders))
    };
    let (staged, new) = (folder.join(format!("tmp/{number}")), folder.join("new"));
    let mut file = File::create_new(&staged)?;
    file.write_all(&plan.body)?;
    let before = Instant::now();
    file.sync_data()?;
    let flush = before.elapsed();
    fs::rename(&staged, new.join(number.to_string()))?;
    File::open(&new)?.sync_all()?;
    if plan.fresh {
        File::open(&folder)?.sync_all()?;
        File::open(&plan.top)?.sync_all()?;
    }
    Ok(flush)
}

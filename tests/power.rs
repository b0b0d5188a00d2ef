//! A power cut at every moment, and every system call failing: what was answered with success is kept.
//!
//! A worker, this test program started once more, does the [`power::script`] on an account of the local store while
//! `strace` records its system calls ([`power::trace`]). The record is replayed on a model of a file system
//! ([`power::model`]) which knows what was flushed; for moments of the run, [`power::cuts`] says what a power cut may
//! leave. Each such state is put on a disk, opened as a store, and held against what the worker had been promised by
//! then ([`power::promise`], [`power::verify`]). Nothing in the product knows of this. docs/DURABILITY.md tells more.
//!
//! | variable | |
//! | --- | --- |
//! | `POSTROOM_POWER_STATES` | how many states are tried at most; `all`: all that are made |
//! | `POSTROOM_POWER_FAULTS` | how many failing calls are tried at most; `all`: all |
//! | `POSTROOM_POWER_FAULT` | the one failing call to try, as a complaint names it |
//! | `POSTROOM_POWER_SEED` | the seed of all that is chosen by chance |

mod support;

mod power {
    pub mod cuts;
    pub mod model;
    pub mod promise;
    pub mod script;
    pub mod strace;
    pub mod trace;
    pub mod verify;
    pub mod worker;
}

use std::collections::{BTreeMap, HashSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use power::cuts::{Chance, Choice, Cut, Kind};
use power::model::Recording;
use power::promise::Promise;
use power::script::{Do, SCRIPT};
use power::strace::Wish;
use power::verify::Found;
use power::{cuts, strace, trace, verify, worker};

/// States tried in an ordinary run.
const STATES: usize = 2_200;
/// Failing calls tried in an ordinary run.
const FAULTS: usize = 160;
/// Where chance begins, unless told otherwise.
const SEED: u64 = 20_261;

/// Not a test but the worker, where a test asks for it.
#[test]
fn worker_under_record() {
    worker::run_if_asked();
}

#[test]
fn what_was_promised_outlives_a_power_cut() {
    if !support::peers::present(&["strace"]) {
        return;
    }
    let recording = record(Wish::Whole);
    let promises = |at| Promise::at(&recording, at);
    let all = promises(recording.ops.len());
    assert!(
        all.failed.is_empty(),
        "the worker failed without a cause: {:?}",
        all.failed
    );
    let seed = seed();
    let cuts = cuts::of(&recording, &mut Chance::new(seed));
    let tried = try_all(&recording, &cuts, wished("POSTROOM_POWER_STATES", STATES));
    println!(
        "power: {} states of {} operations, seed {seed}; {} with another start of the machine, {} with a damaged index",
        tried.states,
        recording.ops.len(),
        tried.restarted,
        tried.damaged
    );
    tried.judge();
}

#[test]
fn what_was_promised_outlives_a_failing_call() {
    if !support::peers::present(&["strace"]) {
        return;
    }
    let calls = record(Wish::Short).calls;
    let mut faults = Vec::new();
    for call in calls
        .iter()
        .filter(|call| call.below_home && SCRIPT[call.step].is_ours())
    {
        for error in strace::errors_of(&call.name) {
            faults.push(format!("{}:error={error}:when={}", call.name, call.number));
        }
        // From here on there is no room left.
        if call.name == "write" || call.name == "pwrite64" {
            faults.push(format!("{}:error=ENOSPC:when={}+", call.name, call.number));
        }
    }
    if let Ok(one) = env::var("POSTROOM_POWER_FAULT") {
        faults = vec![one];
    }
    let (possible, seed) = (faults.len(), seed());
    let mut chance = Chance::new(seed);
    chance.shuffle(&mut faults);
    faults.truncate(wished("POSTROOM_POWER_FAULTS", FAULTS));
    let tried = Mutex::new(Tried::default());
    in_parallel(&faults, |fault| {
        let outcomes = fail(fault);
        tried.lock().expect("no panic").take(outcomes);
    });
    let tried = tried.into_inner().expect("no panic");
    println!(
        "power: {} of {possible} failing calls, seed {seed}; {} states",
        faults.len(),
        tried.states
    );
    tried.judge();
}

/// A run with one failing call: what lies there afterwards, and what a power cut then leaves.
fn fail(fault: &str) -> Vec<(String, Result<Found, String>)> {
    let place = scratch("fault");
    let recording = match trace::record(place.path(), Wish::Fail(fault)) {
        Ok(recording) => recording,
        Err(error) => return vec![(format!("failing {fault}"), Err(error))],
    };
    let at = recording.ops.len();
    let promise = Promise::at(&recording, at);
    let what = format!("failing {fault}, which failed {:?}", promise.failed);
    let left = verify::verify(&place.path().join(trace::ROOT), &promise, Kind::Crash);
    let mut outcomes = vec![(what.clone(), left)];
    // SQLite passes over a folder that it could not flush: what was remembered in a log without a name goes with it.
    let promise = Promise {
        memory: !fault.starts_with("fsync") && !fault.starts_with("openat"),
        ..promise
    };
    for choice in [Choice::Flushed, Choice::Chance(1), Choice::Chance(2)] {
        let cut = Cut {
            at,
            kind: Kind::Power,
            choice,
        };
        let outcome = try_one(&recording, &cut, &promise, &Mutex::default());
        outcomes.extend(outcome.map(|outcome| (format!("{what}, then {cut:?}"), outcome)));
    }
    outcomes
}

/// What came of the states.
#[derive(Default)]
struct Tried {
    states: usize,
    restarted: usize,
    damaged: usize,
    /// The first of each complaint, and how often it was heard.
    complaints: BTreeMap<String, (String, usize)>,
}

impl Tried {
    fn take(&mut self, outcomes: impl IntoIterator<Item = (String, Result<Found, String>)>) {
        for (what, outcome) in outcomes {
            self.states += 1;
            match outcome {
                Ok(found) => {
                    self.restarted += usize::from(found.restarted);
                    self.damaged += usize::from(found.damaged);
                }
                Err(complaint) => {
                    // Complaints that differ in numbers only are one.
                    let kind: String = complaint.chars().filter(|c| !c.is_ascii_digit()).take(120).collect();
                    let first = || (format!("{what}: {complaint}"), 0);
                    self.complaints.entry(kind).or_insert_with(first).1 += 1;
                }
            }
        }
    }

    fn judge(self) {
        let complaints: Vec<_> = self.complaints.values().collect();
        for (first, times) in &complaints {
            println!("{times} times, first {first}");
        }
        assert!(complaints.is_empty(), "promises were broken; see above");
    }
}

fn try_all(recording: &Recording, cuts: &[Cut], most: usize) -> Tried {
    let (tried, seen) = (Mutex::new(Tried::default()), Mutex::new(HashSet::new()));
    in_parallel(cuts, |cut| {
        if seen.lock().expect("no panic").len() >= most {
            return;
        }
        let promise = Promise::at(recording, cut.at);
        if let Some(outcome) = try_one(recording, cut, &promise, &seen) {
            let what = format!("{cut:?} {}", recording.around(cut.at));
            tried.lock().expect("no panic").take([(what, outcome)]);
        }
    });
    tried.into_inner().expect("no panic")
}

/// None where the same state was tried before.
fn try_one(
    recording: &Recording,
    cut: &Cut,
    promise: &Promise,
    seen: &Mutex<HashSet<u64>>,
) -> Option<Result<Found, String>> {
    let image = cut.image(recording);
    if !seen
        .lock()
        .expect("no panic")
        .insert(image.hash(&(cut.kind, promise.said)))
    {
        return None;
    }
    let place = scratch("state");
    image.write_below(place.path());
    Some(verify::verify(place.path(), promise, cut.kind))
}

fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

fn record(wish: Wish<'_>) -> Recording {
    let place = scratch("run");
    trace::record(place.path(), wish).unwrap_or_else(|error| panic!("{error}"))
}

/// A folder in memory, where there is one: no state needs a disk of its own.
fn scratch(what: &str) -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let writable = fs::metadata(memory).is_ok() && tempfile::tempfile_in(memory).is_ok();
    let folder = if writable {
        PathBuf::from(memory)
    } else {
        env::temp_dir()
    };
    tempfile::Builder::new()
        .prefix(&format!("postroom-power-{what}-"))
        .tempdir_in(folder)
        .expect("a temporary folder")
}

fn wished(variable: &str, usual: usize) -> usize {
    match env::var(variable).as_deref() {
        Ok("all") => usize::MAX,
        Ok(number) => number
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: {number} is no number")),
        Err(_) => usual,
    }
}

fn seed() -> u64 {
    env::var("POSTROOM_POWER_SEED").map_or(SEED, |seed| seed.parse().expect("POSTROOM_POWER_SEED is a number"))
}

// The script is a table; a table has keys.
#[test]
fn every_delivery_of_the_script_has_a_key_of_its_own() {
    let keys: Vec<u64> = SCRIPT.iter().filter_map(Do::key).collect();
    let distinct: HashSet<&u64> = keys.iter().collect();
    assert_eq!(keys.len(), distinct.len());
}

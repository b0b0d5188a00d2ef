//! Our Sieve against others': scripts and messages by chance, run by our engine and by Pigeonhole's `sieve-test`.
//!
//! What differs is made as small as it goes. Then it is either one of the differences that stand, with the sentence
//! of an RFC that decides ([`sieve_differential::known`]), or it is shown and the test fails.
//!
//! | variable | |
//! | --- | --- |
//! | `POSTROOM_SIEVE_CASES` | how many cases each test tries |
//! | `POSTROOM_SIEVE_SEED` | the seed of all that is chosen by chance |
//! | `POSTROOM_SIEVE_CASE` | the one case to try, by its number: it is shown with what both sides say |

mod support;

mod sieve_differential {
    pub mod case;
    pub mod chance;
    pub mod conditions;
    pub mod known;
    pub mod message;
    pub mod mutant;
    pub mod ours;
    pub mod outcome;
    pub mod script;
    pub mod scripts;
    pub mod theirs;
}

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use postroom::sieve::{Engine, Options};
use sieve_differential::case::Case;
use sieve_differential::known::{KNOWN, Known, classify};
use sieve_differential::ours;
use sieve_differential::outcome::Outcome;
use sieve_differential::theirs::Pigeonhole;
use support::peers;

/// Cases of a test where nothing else is asked for.
const CASES: u64 = 200;
/// Runs of Pigeonhole that making one case smaller may take.
const SHRINKS: usize = 250;
/// Differences that are shown.
const SHOWN: usize = 40;

#[test]
fn scripts_do_the_same() {
    compare(Case::new);
}

#[test]
fn the_same_scripts_compile() {
    compare(Case::damaged);
}

#[test]
fn several_scripts_do_the_same() {
    compare(Case::sequence);
}

#[test]
fn the_page_has_the_same_differences() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SIEVE.md");
    let page = fs::read_to_string(page).expect("the page");
    let (_, table) = page.split_once("## Where others differ").expect("its heading");
    let words = |text: &str| text.replace('`', "").split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = table.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<String> = lines.skip(2).map(words).collect();
    for Known { what, rfc, .. } in KNOWN {
        let row = format!("| {} | {rfc}", words(what));
        let found = rows.iter().filter(|line| line.starts_with(&row)).count();
        assert_eq!(found, 1, "docs/SIEVE.md has {found} rows that begin with {row:?}");
    }
    assert_eq!(rows.len(), KNOWN.len(), "docs/SIEVE.md has other rows, too: {rows:#?}");
}

fn engine() -> Engine {
    // All cases run for one user within a minute or two.
    Engine::new(Options {
        user_time: Duration::from_secs(3600),
        ..Options::default()
    })
}

fn compare(make: fn(u64, u64) -> Case) {
    if !peers::present(&["sieve-test"]) {
        return;
    }
    let asked = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let seed = asked("POSTROOM_SIEVE_SEED").unwrap_or(5228);
    if let Some(number) = asked("POSTROOM_SIEVE_CASE") {
        return Bench::new().show(&make(seed, number));
    }
    let found = Found::default();
    let next = AtomicU64::new(0);
    let cases = asked("POSTROOM_SIEVE_CASES").unwrap_or(CASES);
    thread::scope(|scope| {
        let work = || {
            let bench = Bench::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= cases || found.is_enough() {
                    break;
                }
                bench.try_case(number, &make(seed, number), &found);
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    found.judge(cases);
}

/// Both sides.
struct Bench {
    engine: Engine,
    pigeonhole: Pigeonhole,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            engine: engine(),
            pigeonhole: Pigeonhole::new(),
        }
    }

    fn both(&self, case: &Case) -> (Outcome, Outcome) {
        (ours::outcome(&self.engine, case), self.pigeonhole.outcome(case).0)
    }

    fn try_case(&self, number: u64, case: &Case, found: &Found) {
        let (ours, theirs) = self.both(case);
        if theirs == Outcome::Broken {
            found.known("a failed assertion ends sieve-test".to_owned());
        }
        if ours.agrees(&theirs) {
            return;
        }
        let case = self.smallest(case);
        let (ours, theirs) = self.both(&case);
        match classify(&case, &ours, &theirs) {
            Some(known) => found.known(format!("{} ({}: {})", known.what, known.rfc, known.decides)),
            None => found.unknown(format!(
                "=== case {number}\n{case}--- ours:\n{ours:?}\n--- sieve-test:\n{theirs:?}\n"
            )),
        }
    }

    /// The smallest case in reach on which both still differ.
    fn smallest(&self, case: &Case) -> Case {
        let (ours, theirs) = self.both(case);
        let differences = ours.differences(&theirs);
        let mut smallest = case.clone();
        let mut left = SHRINKS;
        'again: loop {
            for candidate in smallest.smaller() {
                if left == 0 {
                    return smallest;
                }
                left -= 1;
                let (ours, theirs) = self.both(&candidate);
                let still = ours.differences(&theirs);
                let less = !still.is_empty() && still.iter().all(|name| differences.contains(name));
                if less && still[0] == differences[0] {
                    smallest = candidate;
                    continue 'again;
                }
            }
            return smallest;
        }
    }

    fn show(&self, case: &Case) {
        let (theirs, printed) = self.pigeonhole.outcome(case);
        let ours = ours::outcome(&self.engine, case);
        println!("{case}--- ours:\n{ours:?}\n--- sieve-test:\n{theirs:?}\n{printed}");
        assert!(ours.agrees(&theirs), "they differ");
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    known: Mutex<BTreeMap<String, usize>>,
    unknown: Mutex<Vec<String>>,
}

impl Found {
    fn known(&self, what: String) {
        *self.known.lock().expect("a lock").entry(what).or_default() += 1;
    }

    fn unknown(&self, told: String) {
        self.unknown.lock().expect("a lock").push(told);
    }

    fn is_enough(&self) -> bool {
        self.unknown.lock().expect("a lock").len() >= SHOWN
    }

    fn judge(&self, cases: u64) {
        let known = self.known.lock().expect("a lock");
        println!("{cases} cases; standing differences: {known:#?}");
        let unknown = self.unknown.lock().expect("a lock");
        assert!(
            unknown.is_empty(),
            "{} differences that no sentence decides:\n{}",
            unknown.len(),
            unknown.join("\n")
        );
    }
}

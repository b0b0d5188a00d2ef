//! Full text search: how fast the index is built, how large it is, how long a search takes
//! with it and without: `POSTROOM_CORPUS=FOLDER cargo bench --bench fulltext`.
//!
//! First the mails of the corpus as they are, then 20,000: the corpus over and over, each
//! copy with words that no other has. `TMPDIR` says on which file system.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use postroom::index::{FullText, Verdict};
use postroom::mail::EmailId;
use postroom::message::{Limits, Needle, Scope, Text, scan};

const BATCH: usize = 200;
const MANY: usize = 20_000;
/// What people ask for: a word, the beginning and the middle of one, several, a phrase with
/// signs, an address, a word that is everywhere, one that is nowhere, signs alone.
const NEEDLES: [&str; 10] = [
    "thursday",
    "patch",
    "ibliograph",
    "would like to",
    "don't know, but",
    "@gmail.com",
    "e",
    "re",
    "xylophagous",
    "==",
];

fn main() {
    let mails = mails();
    measure("the corpus", mails.len(), |number| mails[number].clone());
    measure("many", MANY, |number| {
        let mut mail = format!("Message-ID: <{number:x}.{}@example.net>\n", number * 7919).into_bytes();
        mail.extend_from_slice(&mails[number % mails.len()]);
        mail.extend_from_slice(format!("\nreference r{}q{number}\n", number * 104_729).as_bytes());
        mail
    });
}

fn mails() -> Vec<Vec<u8>> {
    let Some(folder) = std::env::var_os("POSTROOM_CORPUS") else {
        let mail = |n: usize| {
            format!(
                "Subject: message {n}\n\nWe would like to patch it on Thursday {}.\n",
                n * n
            )
        };
        return (0..1000).map(|n| mail(n).into_bytes()).collect();
    };
    let mut files = Vec::new();
    files_below(Path::new(&folder), &mut files);
    files.sort();
    files.iter().map(|file| fs::read(file).expect("a mail")).collect()
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, files);
        } else if path.extension().is_some_and(|it| it == "eml") {
            files.push(path);
        }
    }
}

fn id(number: usize) -> EmailId {
    EmailId((number as u128).to_be_bytes())
}

fn text(mail: &[u8]) -> Text {
    let scanned = scan(mail, &Limits::default()).expect("scanned");
    Text::read(&scanned.header, &scanned.structure, &mut Cursor::new(mail)).expect("text")
}

fn measure(name: &str, count: usize, mail: impl Fn(usize) -> Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut full = FullText::open(&folder.path().join("fulltext.sqlite")).expect("opened");
    let (mut bytes, mut reading, mut adding) = (0, Duration::ZERO, Duration::ZERO);
    for start in (0..count).step_by(BATCH) {
        let numbers: Vec<usize> = (start..count.min(start + BATCH)).collect();
        let mails: Vec<_> = numbers.iter().map(|number| mail(*number)).collect();
        bytes += mails.iter().map(Vec::len).sum::<usize>();
        let clock = Instant::now();
        let batch: Vec<_> = numbers
            .iter()
            .zip(&mails)
            .map(|(n, mail)| (id(*n), text(mail)))
            .collect();
        reading += clock.elapsed();
        let clock = Instant::now();
        full.add(&batch).expect("added");
        adding += clock.elapsed();
    }
    let share = |full: &FullText| full.size().expect("a size") as f64 * 100.0 / bytes as f64;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!("## {name}: {count} mails, {} KiB\n", bytes / 1024);
    println!(
        "read and decode {:.0} us, add {:.0} us a mail, {BATCH} in a transaction",
        each(reading),
        each(adding)
    );
    println!("size {:.1} % of the mail as built", share(&full));
    let clock = Instant::now();
    full.optimize(Duration::from_secs(600)).expect("optimized");
    println!(
        "     {:.1} % tidied up, which took {:.0} ms",
        share(&full),
        clock.elapsed().as_secs_f64() * 1e3
    );
    trickle(&mut full, count);
    println!("\n| needle | yes | maybe | hits | search ms | all read and compared ms |");
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    for needle in NEEDLES {
        search(&full, needle, count, &mail);
    }
    println!();
}

fn trickle(full: &mut FullText, count: usize) {
    let mails = 50;
    let clock = Instant::now();
    for number in count..count + mails {
        let mail = format!("Subject: one {number}\n\nThis one comes alone, and would like to be found.\n");
        full.add(&[(id(number), text(mail.as_bytes()))]).expect("added");
    }
    println!(
        "a mail alone {:.0} us",
        clock.elapsed().as_secs_f64() * 1e6 / mails as f64
    );
}

fn search(full: &FullText, needle: &str, count: usize, mail: &impl Fn(usize) -> Vec<u8>) {
    let ids: Vec<EmailId> = (0..count).map(id).collect();
    let needle = Needle::new(needle);
    let clock = Instant::now();
    let verdicts = full.narrow(Scope::Text, &needle, &ids).expect("narrowed");
    let search = clock.elapsed();
    let clock = Instant::now();
    let hits: Vec<bool> = (0..count)
        .map(|n| text(&mail(n)).contains(Scope::Text, &needle))
        .collect();
    let all = clock.elapsed();
    for (verdict, hit) in verdicts.iter().zip(&hits) {
        assert!(
            *verdict == Verdict::Maybe || (*verdict == Verdict::Yes) == *hit,
            "{needle:?}: {verdict:?}"
        );
    }
    let count = |wanted| verdicts.iter().filter(|verdict| **verdict == wanted).count();
    println!(
        "| `{}` | {} | {} | {} | {:.1} | {:.0} |",
        needle.as_str(),
        count(Verdict::Yes),
        count(Verdict::Maybe),
        hits.iter().filter(|hit| **hit).count(),
        search.as_secs_f64() * 1e3,
        all.as_secs_f64() * 1e3,
    );
}

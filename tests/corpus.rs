//! Every message of the corpus goes through `serve` and comes back byte for byte. `POSTROOM_CORPUS` names its folder;
//! without it a small corpus made by the tests stands in.

mod support;

use std::fs;
use std::thread;

use support::corpus::{Sample, samples};
use support::lmtp::{Carriage, Client};
use support::place::Place;
use support::postroom::{Postroom, Wishes, with_crlf, without_trace};

/// Sends all samples in one session, each from a sender of its own (else equal messages would be one redelivery), and
/// reads each back.
fn there_and_back(user: &str, carriage: fn(usize) -> Carriage, on_the_way: fn(&[u8]) -> Vec<u8>) {
    let place = Place::new();
    let postroom = Postroom::serving(&place, &Wishes::default());
    let user = format!("{user}@example.org");
    let samples: Vec<Sample> = samples()
        .into_iter()
        .map(|it| Sample {
            bytes: on_the_way(&it.bytes),
            name: it.name,
        })
        .collect();
    let mut client = Client::lmtp(postroom.lmtp).expect("a session");
    let mut refused = Vec::new();
    for (number, sample) in samples.iter().enumerate() {
        let from = format!("sample-{number}@example.net");
        let replies = client
            .send(&from, &[&user], &sample.bytes, carriage(number))
            .expect("a reply");
        if replies[0].code != 250 || replies.len() != 1 {
            refused.push(format!("{}: {replies:?}", sample.name));
        }
    }
    assert!(
        refused.is_empty(),
        "{} of {} refused:\n{}",
        refused.len(),
        samples.len(),
        refused.join("\n")
    );

    let messages = postroom.messages(&user, "INBOX");
    assert_eq!(messages.len(), samples.len());
    let pairs: Vec<_> = samples.iter().zip(&messages).enumerate().collect();
    let threads = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for share in pairs.chunks(pairs.len().div_ceil(threads)) {
            let (postroom, user) = (&postroom, &user);
            scope.spawn(move || {
                for (number, (sample, listed)) in share {
                    let uid = listed["uid"].as_u64().expect("a UID");
                    let path = postroom.home(user.split('@').next().expect("a local part"));
                    let file = fs::read(path.join(listed["path"].as_str().expect("a path"))).expect("the file");
                    let shown = postroom.show(user, "INBOX", uid);
                    assert_came_back(sample, &file, &shown);
                    // As IMAP counts it (RFC822.SIZE).
                    assert_eq!(listed["size"], shown.len(), "{}", sample.name);
                    // A process for each is slow, and the file is the same thing.
                    if number % 10 == 0 {
                        assert_eq!(postroom.show_raw(user, "INBOX", uid), file, "{}", sample.name);
                    }
                }
            });
        }
    });
    postroom.run(&["index", "check", &user]);
}

fn assert_came_back(sample: &Sample, file: &[u8], shown: &[u8]) {
    let sent = &sample.bytes;
    without_trace(file, &as_stored(sent), &format!("{} (file)", sample.name));
    without_trace(shown, &with_crlf(sent), &format!("{} (shown)", sample.name));
    assert_eq!(
        with_crlf(file),
        shown,
        "{}: what is shown is not the file with CRLF",
        sample.name
    );
}

/// A message all of whose lines end in CRLF is kept with LF, any other as it is. (A CR more before a CRLF could not
/// be told from a line end afterwards, so that one stays too.)
fn as_stored(sent: &[u8]) -> Vec<u8> {
    let ends: Vec<_> = (0..sent.len()).filter(|at| sent[*at] == b'\n').collect();
    let crlf = ends.iter().all(|at| *at > 0 && sent[at - 1] == b'\r');
    let doubled = ends.iter().any(|at| *at > 1 && sent[at - 2..*at] == *b"\r\r");
    if !sent.ends_with(b"\r\n") || !crlf || doubled {
        return sent.to_vec();
    }
    let next = |at: usize| sent.get(at + 1).copied();
    (0..sent.len())
        .filter(|at| sent[*at] != b'\r' || next(*at) != Some(b'\n'))
        .map(|at| sent[at])
        .collect()
}

/// As an MTA sends it by DATA: lines end in CRLF, the last one too.
fn as_an_mta_sends(message: &[u8]) -> Vec<u8> {
    let mut wire = with_crlf(message);
    if !wire.is_empty() && !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

#[test]
fn by_data_as_an_mta_sends() {
    there_and_back("canonical", |_| Carriage::Data, as_an_mta_sends);
}

#[test]
fn by_data_with_line_ends_as_they_are() {
    there_and_back(
        "data",
        |_| Carriage::Data,
        |message| {
            // DATA ends every message with CRLF (RFC 5321 §4.1.1.4).
            let mut wire = message.to_vec();
            if !wire.is_empty() && !wire.ends_with(b"\r\n") {
                wire.extend_from_slice(b"\r\n");
            }
            wire
        },
    );
}

#[test]
fn by_bdat() {
    there_and_back(
        "bdat",
        |number| Carriage::Chunks([usize::MAX / 2, 1_000, 8_192][number % 3]),
        <[u8]>::to_vec,
    );
}

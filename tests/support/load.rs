//! A load of deliveries: many LMTP sessions at once, every message with a token of its own.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::lmtp::{Carriage, Client};

/// The recipients of the load, at example.org.
pub const USERS: [&str; 4] = ["ann", "bob", "cem", "dua"];

/// What was sent: its token and its recipient.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent {
    pub token: u64,
    pub user: &'static str,
}

/// A load that may be cut off at any moment by the server's end.
#[derive(Default)]
pub struct Load {
    next: AtomicU64,
    attempted: Mutex<Vec<Sent>>,
    acknowledged: Mutex<Vec<Sent>>,
}

impl Load {
    /// Sends from `sessions` threads until the server is gone or `limit` messages were sent.
    pub fn run(&self, server: SocketAddr, sessions: usize, limit: u64) {
        let end = self.next.load(Ordering::SeqCst) + limit;
        thread::scope(|scope| {
            for _ in 0..sessions {
                scope.spawn(|| self.session(server, end));
            }
        });
    }

    /// How many had their 250.
    pub fn acknowledged(&self) -> Vec<Sent> {
        self.acknowledged.lock().expect("no panic under it").clone()
    }

    /// All that was begun.
    pub fn attempted(&self) -> Vec<Sent> {
        self.attempted.lock().expect("no panic under it").clone()
    }

    fn session(&self, server: SocketAddr, end: u64) {
        let Ok(mut client) = Client::lmtp(server) else { return };
        loop {
            let token = self.next.fetch_add(1, Ordering::SeqCst);
            if token >= end {
                return;
            }
            let sent = Sent {
                token,
                user: USERS[usize::try_from(token).expect("small") % USERS.len()],
            };
            self.attempted.lock().expect("no panic under it").push(sent.clone());
            let to = format!("{}@example.org", sent.user);
            // An error is the server's end: nobody knows what became of this one.
            let Ok(replies) = client.send("load@example.net", &[&to], &message(token), Carriage::Data) else {
                return;
            };
            assert_eq!(replies.len(), 1);
            assert_eq!(replies[0].code, 250, "{replies:?}");
            self.acknowledged.lock().expect("no panic under it").push(sent);
        }
    }
}

/// The message of a token, 1 KiB to 16 KiB long.
pub fn message(token: u64) -> Vec<u8> {
    let mut text = format!("From: load@example.net\r\nSubject: load\r\nX-Token: {token}\r\n\r\n");
    for line in 0..=(token * 7919 % 240) {
        text += &format!("{line:06} the quick brown fox jumps over the lazy dog, again and again\r\n");
    }
    text.into_bytes()
}

/// The token of a stored message.
pub fn token(stored: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(stored);
    text.lines()
        .find_map(|line| line.strip_prefix("X-Token: "))
        .and_then(|token| token.trim().parse().ok())
}

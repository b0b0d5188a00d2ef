//! Guessing passwords takes time: how long a failed login waits for its answer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The wait after the first failure; each further one doubles it.
const FIRST: Duration = Duration::from_secs(1);
/// The most doublings: no wait is longer than 16 seconds.
const DOUBLINGS: u32 = 4;
/// How long a failure is remembered after the last one.
const REMEMBERED: Duration = Duration::from_secs(600);
/// The most peers of which failures are remembered.
const PEERS: usize = 10_000;

/// The failures of each peer.
#[derive(Default)]
pub(super) struct Throttle(Mutex<HashMap<Peer, Failures>>);

/// Who is counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Peer {
    /// An address; of IPv6, the 64 bits that a site gets at least.
    Network(IpAddr),
    /// A program on this host, such as webmail, speaks for many: its users count one by one.
    Local(String),
}

struct Failures {
    count: u32,
    last: Instant,
}

impl Throttle {
    /// Counts a failure; answers how long to wait.
    pub(super) fn blame(&self, peer: Option<IpAddr>, user: &str) -> Duration {
        let now = Instant::now();
        // A count is whole whoever panicked.
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= PEERS {
            failures.retain(|_, failures| now.duration_since(failures.last) < REMEMBERED);
        }
        if failures.len() >= PEERS {
            failures.clear();
        }
        let entry = failures
            .entry(Peer::of(peer, user))
            .or_insert(Failures { count: 0, last: now });
        if now.duration_since(entry.last) >= REMEMBERED {
            entry.count = 0;
        }
        entry.last = now;
        entry.count = entry.count.saturating_add(1);
        FIRST * (1 << (entry.count - 1).min(DOUBLINGS))
    }

    /// Forgets the failures of who logged in.
    pub(super) fn forgive(&self, peer: Option<IpAddr>, user: &str) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&Peer::of(peer, user));
    }
}

impl Peer {
    fn of(peer: Option<IpAddr>, user: &str) -> Peer {
        match peer {
            Some(IpAddr::V6(address)) if !address.is_loopback() => {
                let network = u128::from(address) & !u128::from(u64::MAX);
                Peer::Network(IpAddr::V6(network.into()))
            }
            Some(address) if !address.is_loopback() => Peer::Network(address),
            _ => Peer::Local(user.chars().take(100).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_for_each_network() {
        let throttle = Throttle::default();
        let blame = |peer: &str, user: &str| throttle.blame(peer.parse().ok(), user).as_secs();
        for expected in [1, 2, 4, 8, 16, 16] {
            assert_eq!(blame("192.0.2.1", "ann"), expected);
        }
        assert_eq!(blame("192.0.2.1", "bob"), 16, "whoever it is");
        assert_eq!(blame("192.0.2.2", "ann"), 1);
        assert_eq!(blame("2001:db8::1", "ann"), 1);
        assert_eq!(blame("2001:db8::2", "ann"), 2, "the same network");
        assert_eq!(blame("2001:db8:0:1::1", "ann"), 1, "another");
        throttle.forgive("192.0.2.1".parse().ok(), "ann");
        assert_eq!(blame("192.0.2.1", "ann"), 1);
    }

    #[test]
    fn users_of_webmail_do_not_wait_for_one_another() {
        let throttle = Throttle::default();
        for peer in [None, "127.0.0.1".parse().ok(), "::1".parse().ok()] {
            let user = format!("{peer:?}");
            assert_eq!(throttle.blame(peer, "bob").as_secs().min(1), 1);
            assert_eq!(throttle.blame(peer, &user).as_secs(), 1);
            assert_eq!(throttle.blame(peer, &user).as_secs(), 2);
        }
    }

    #[test]
    fn many_peers_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        for number in 0..u32::try_from(PEERS).unwrap() + 5 {
            let _ = throttle.blame(Some(IpAddr::V4((0x0a00_0000 + number).into())), "");
        }
        assert!(throttle.0.lock().unwrap().len() <= PEERS);
    }
}

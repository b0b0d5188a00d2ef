//! How many connections there are, in all and from each peer.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The connections that are open.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Count>);

#[derive(Debug, Default)]
struct Count {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
}

/// The place of a connection among all; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Arc<Peers>,
    peer: Option<IpAddr>,
}

impl Peers {
    /// A place among `most` connections; none where they are taken.
    pub(super) fn enter(self: &Arc<Peers>, most: usize) -> Option<Place> {
        let mut count = self.lock();
        if count.all >= most {
            return None;
        }
        count.all += 1;
        Some(Place {
            peers: self.clone(),
            peer: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Each change of it is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts the connection to its peer, now that it is known; false where that one has `most` already. Peers over
    /// Unix sockets have no address and are not counted.
    pub(super) fn count(&mut self, peer: Option<IpAddr>, most: usize) -> bool {
        let Some(peer) = peer.map(network) else { return true };
        let mut count = self.peers.lock();
        let its = count.by_peer.entry(peer).or_default();
        if *its >= most {
            return false;
        }
        *its += 1;
        drop(count);
        self.peer = Some(peer);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut count = self.peers.lock();
        count.all -= 1;
        let Some(peer) = self.peer else { return };
        if let Some(its) = count.by_peer.get_mut(&peer) {
            *its -= 1;
            if *its == 0 {
                count.by_peer.remove(&peer);
            }
        }
    }
}

// A site has 64 bits of IPv6 at least, and as many addresses as it likes in them.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_all_and_each() {
        let peers = Arc::<Peers>::default();
        let enter = |peer: &str| {
            let mut place = peers.enter(5)?;
            place.count(peer.parse().ok(), 2).then_some(place)
        };
        let first = enter("192.0.2.1").unwrap();
        let _second = enter("192.0.2.1").unwrap();
        assert!(enter("192.0.2.1").is_none(), "two of one");
        let _third = enter("2001:db8::1").unwrap();
        let _fourth = enter("2001:db8::2:1").unwrap();
        assert!(enter("2001:db8::3").is_none(), "one network");
        let _fifth = enter("unix").unwrap();
        assert!(enter("192.0.2.3").is_none(), "five in all");
        drop(first);
        let _again = enter("192.0.2.1").unwrap();
        assert_eq!(peers.lock().all, 5);
    }

    #[test]
    fn forgets_who_left() {
        let peers = Arc::<Peers>::default();
        for number in 0..1000u32 {
            let mut place = peers.enter(1).unwrap();
            assert!(place.count(Some(IpAddr::V4(number.into())), 1));
        }
        let count = peers.lock();
        assert!(count.all == 0 && count.by_peer.is_empty());
    }

    #[test]
    fn unix_sockets_count_in_all_alone() {
        let peers = Arc::<Peers>::default();
        let mut places: Vec<Place> = (0..3).filter_map(|_| peers.enter(3)).collect();
        assert!(places.iter_mut().all(|place| place.count(None, 1)));
        assert!(peers.enter(3).is_none());
    }
}

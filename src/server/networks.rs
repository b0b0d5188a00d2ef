//! Who may come: addresses, networks, and whoever writes to a Unix socket.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Some of those who may come to a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// Whoever may write to a Unix socket.
    Unix,
    /// Addresses whose first bits are these.
    Ip {
        /// The first of them.
        base: IpAddr,
        /// How many bits count.
        bits: u8,
    },
}

/// Why a text names no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// What stands before the slash is no IP address.
    #[error("this is no IP address")]
    Address,
    /// What stands behind the slash is no length that the address has.
    #[error("behind the slash stands the number of bits that count: up to 32 for IPv4, up to 128 for IPv6")]
    Bits,
    /// There are ones behind the bits that count.
    #[error("the address goes on behind the bits that count; the network is {0}/{1}")]
    Host(IpAddr, u8),
}

impl Network {
    /// Whether a peer is in it; over a Unix socket a peer has no address.
    #[must_use]
    pub fn has(&self, peer: Option<IpAddr>) -> bool {
        match (self, peer) {
            (Network::Unix, None) => true,
            (Network::Ip { base, bits }, Some(peer)) => {
                peer.is_ipv4() == base.is_ipv4() && masked(peer, *bits) == *base
            }
            _ => false,
        }
    }

    /// Everybody.
    #[must_use]
    pub fn all() -> Vec<Network> {
        let all = |base| Network::Ip { base, bits: 0 };
        vec![all(Ipv4Addr::UNSPECIFIED.into()), all(Ipv6Addr::UNSPECIFIED.into())]
    }

    /// This host and private networks (RFC 1918, RFC 4193), link-local ones included (RFC 3927, RFC 4291 §2.5.6).
    #[must_use]
    pub fn near() -> Vec<Network> {
        let ip = |base: [u16; 8], bits| Network::Ip {
            base: Ipv6Addr::from(base).to_canonical(),
            bits,
        };
        let v4 = |a: u16, b: u16, bits| ip([0, 0, 0, 0, 0, 0xffff, a << 8 | b, 0], bits);
        vec![
            v4(127, 0, 8),
            v4(10, 0, 8),
            v4(172, 16, 12),
            v4(192, 168, 16),
            v4(169, 254, 16),
            ip([0, 0, 0, 0, 0, 0, 0, 1], 128),
            ip([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
            ip([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
        ]
    }
}

// Of an address the bits that count, and zeros.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

/// `unix`, an address, or an address, a slash and a number of bits (RFC 4632 §3.1).
impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        if text == "unix" {
            return Ok(Network::Unix);
        }
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| NetworkError::Address)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= most)
                .ok_or(NetworkError::Bits)?,
        };
        match masked(base, bits) {
            network if network == base => Ok(Network::Ip { base, bits }),
            network => Err(NetworkError::Host(network, bits)),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Unix => f.write_str("unix"),
            Network::Ip { base, bits } if *bits == if base.is_ipv4() { 32 } else { 128 } => base.fmt(f),
            Network::Ip { base, bits } => write!(f, "{base}/{bits}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_whom_it_should() {
        for (network, inside, outside) in [
            ("127.0.0.1", &["127.0.0.1"][..], &["127.0.0.2", "::1"][..]),
            (
                "10.0.0.0/8",
                &["10.0.0.0", "10.255.255.255"],
                &["11.0.0.0", "9.255.255.255", "::"],
            ),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::1"]),
            ("::/0", &["::1", "2001:db8::1"], &["127.0.0.1"]),
            (
                "2001:db8::/33",
                &["2001:db8:7fff::1"],
                &["2001:db8:8000::", "2001:db9::"],
            ),
        ] {
            let network: Network = network.parse().unwrap();
            for peer in inside {
                assert!(network.has(peer.parse().ok()), "{network} {peer}");
            }
            for peer in outside {
                assert!(!network.has(peer.parse().ok()), "{network} {peer}");
            }
            assert!(!network.has(None), "{network}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
        assert!(Network::Unix.has(None) && !Network::Unix.has("127.0.0.1".parse().ok()));
    }

    #[test]
    fn near_is_not_far() {
        let near = Network::near();
        for (peer, is_near) in [
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("10.2.3.4", true),
            ("172.16.0.1", true),
            ("172.31.255.255", true),
            ("172.32.0.1", false),
            ("192.168.7.7", true),
            ("192.169.0.1", false),
            ("169.254.1.1", true),
            ("fd12::1", true),
            ("fe80::1", true),
            ("fec0::1", false),
            ("192.0.2.1", false),
            ("2001:db8::1", false),
            ("::2", false),
        ] {
            let peer = peer.parse().ok();
            assert_eq!(near.iter().any(|network| network.has(peer)), is_near, "{peer:?}");
        }
    }

    #[test]
    fn refuses_what_is_no_network() {
        use NetworkError::{Address, Bits, Host};
        for (text, error) in [
            ("", Address),
            ("mx.example.org", Address),
            ("10.0.0.0/", Bits),
            ("10.0.0.0/33", Bits),
            ("10.0.0.0/-1", Bits),
            ("::/129", Bits),
            ("10.0.0.1/8", Host("10.0.0.0".parse().unwrap(), 8)),
        ] {
            assert_eq!(text.parse::<Network>(), Err(error), "{text}");
        }
    }
}

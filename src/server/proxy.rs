//! The PROXY protocol: what a proxy says first, for whom it comes.
//!
//! Both versions of <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>, whose sections are named here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// §2.2: the first twelve octets of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of version 2 before the addresses.
const HEAD: usize = 16;
/// Octets behind them that are taken; certificates in them are large.
const BODY_MAX: usize = 4096;
/// §2.1: octets of the line of version 1, its CRLF included.
const LINE_MAX: usize = 107;
/// Octets of `PROXY UNKNOWN` and CRLF.
const SHORTEST: usize = 15;

/// For whom a proxy comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// For itself, as to see whether we live; or it does not know.
    Proxy,
    /// For a client with this address.
    Address(IpAddr),
    /// For a client over a Unix socket.
    Unix,
}

/// What is known of a header from its first octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// So many octets more belong to it at least; what follows it is for others to read.
    Wants(usize),
    /// It is whole.
    Of(Origin),
}

/// Why it is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProxyError {
    /// It begins otherwise than both versions do.
    #[error("it does not begin with a header of the PROXY protocol")]
    NoHeader,
    /// The line of version 1 is not as it should be.
    #[error("the line of version 1 is malformed")]
    Line,
    /// §2.2: a version that is not 2.
    #[error("version {0} of the PROXY protocol is unknown")]
    Version(u8),
    /// §2.2: a command that is neither LOCAL nor PROXY.
    #[error("the command {0} is unknown")]
    Command(u8),
    /// §2.2: a family or a transport that mail does not come by.
    #[error("family and transport {0:#04x} are none that mail comes by")]
    Family(u8),
    /// It says that more follows than is taken.
    #[error("a header of {0} octets is too long")]
    TooLong(usize),
    /// It is too short for addresses of its family.
    #[error("a header of {0} octets is too short for its addresses")]
    TooShort(usize),
}

/// Reads a header as far as it is there.
///
/// # Errors
/// What is no header, as soon as that is clear.
pub(super) fn read(input: &[u8]) -> Result<Header, ProxyError> {
    let seen = input.len().min(SIGNATURE.len());
    if input[..seen] == SIGNATURE[..seen] && !input.is_empty() {
        return version_2(input);
    }
    let seen = input.len().min(6);
    if input[..seen] == b"PROXY "[..seen] {
        return version_1(input);
    }
    Err(ProxyError::NoHeader)
}

fn version_2(input: &[u8]) -> Result<Header, ProxyError> {
    let Some(head) = input.get(..HEAD) else {
        return Ok(Header::Wants(HEAD - input.len()));
    };
    let (version, command, family) = (head[12] >> 4, head[12] & 0xf, head[13]);
    if version != 2 {
        return Err(ProxyError::Version(version));
    }
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if length > BODY_MAX {
        return Err(ProxyError::TooLong(HEAD + length));
    }
    let Some(body) = input.get(HEAD..HEAD + length) else {
        return Ok(Header::Wants(HEAD + length - input.len()));
    };
    match (command, family) {
        // §2.2: with LOCAL the addresses are to be skipped, whatever family is named.
        (0, _) => Ok(Header::Of(Origin::Proxy)),
        (1, 0x00 | 0x11 | 0x21 | 0x31) => {
            let origin = origin(family, body).ok_or(ProxyError::TooShort(HEAD + length));
            origin.map(Header::Of)
        }
        (1, family) => Err(ProxyError::Family(family)),
        (command, _) => Err(ProxyError::Command(command)),
    }
}

// The source comes first; none where the addresses are not all there.
fn origin(family: u8, body: &[u8]) -> Option<Origin> {
    Some(match family {
        0x11 => {
            let address: [u8; 4] = body.get(..12)?.first_chunk().copied()?;
            Origin::Address(Ipv4Addr::from(address).into())
        }
        0x21 => {
            let address: [u8; 16] = body.get(..36)?.first_chunk().copied()?;
            Origin::Address(Ipv6Addr::from(address).to_canonical())
        }
        0x31 => {
            body.get(..216)?;
            Origin::Unix
        }
        // §2.2: UNSPEC; the real addresses of the connection count.
        _ => Origin::Proxy,
    })
}

// §2.1: `PROXY TCP4 source destination port port` and CR LF; or `PROXY UNKNOWN` and anything.
fn version_1(input: &[u8]) -> Result<Header, ProxyError> {
    // §2.1: the shortest one.
    if input.len() < SHORTEST {
        return Ok(Header::Wants(SHORTEST - input.len()));
    }
    let window = &input[..input.len().min(LINE_MAX)];
    let Some(end) = memchr::memmem::find(window, b"\r\n") else {
        return match window.len() == LINE_MAX {
            true => Err(ProxyError::TooLong(LINE_MAX)),
            false => Ok(Header::Wants(1)),
        };
    };
    let line = std::str::from_utf8(&window[..end]).map_err(|_| ProxyError::Line)?;
    let words: Vec<&str> = line.split(' ').collect();
    let origin = match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(Origin::Proxy),
        ["PROXY", family, source, destination, from, to] => {
            let is_port = |text: &str| text.parse::<u16>().is_ok();
            named(family, source, destination).filter(|_| is_port(from) && is_port(to))
        }
        _ => None,
    };
    origin.map(Header::Of).ok_or(ProxyError::Line)
}

fn named(family: &str, source: &str, destination: &str) -> Option<Origin> {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().ok()?, destination.parse().ok()?);
    let is_family = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    is_family.then(|| Origin::Address(source.to_canonical()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body].concat()
    }

    fn address(text: &str) -> Origin {
        Origin::Address(text.parse().unwrap())
    }

    #[test]
    fn reads_both_versions() {
        let four = [&[192, 0, 2, 1][..], &[10, 0, 0, 1], &[0x30, 0x39, 0, 25]].concat();
        let six: Vec<u8> = [
            "2001:db8::1".parse::<Ipv6Addr>().unwrap().octets().to_vec(),
            vec![0; 20],
        ]
        .concat();
        let mapped: Vec<u8> = [
            "::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets().to_vec(),
            vec![0; 20],
        ]
        .concat();
        let with_more = [&four[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        for (header, origin) in [
            (v2(0x21, 0x11, &four), address("192.0.2.1")),
            (v2(0x21, 0x11, &with_more), address("192.0.2.1")),
            (v2(0x21, 0x21, &six), address("2001:db8::1")),
            (v2(0x21, 0x21, &mapped), address("192.0.2.1")),
            (v2(0x21, 0x31, &[b'x'; 216]), Origin::Unix),
            (v2(0x21, 0x00, &[]), Origin::Proxy),
            (v2(0x20, 0x00, &[]), Origin::Proxy),
            (v2(0x20, 0x11, &four), Origin::Proxy),
            (v2(0x20, 0x77, &[1, 2]), Origin::Proxy),
            (v2(0x20, 0x00, &[0; BODY_MAX]), Origin::Proxy),
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 25\r\n".to_vec(),
                address("192.0.2.1"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n".to_vec(),
                address("2001:db8::1"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Origin::Proxy),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), Origin::Proxy),
        ] {
            let mut seen = 0;
            while let Header::Wants(more) = read(&header[..seen]).unwrap() {
                seen += more;
                assert!(more > 0 && seen <= header.len(), "{seen} of {header:?}");
            }
            assert_eq!(seen, header.len(), "no octet behind {header:?}");
            assert_eq!(read(&header), Ok(Header::Of(origin)));
            for end in 0..header.len() {
                assert!(
                    matches!(read(&header[..end]), Ok(Header::Wants(_))),
                    "{end} of {header:?}"
                );
            }
        }
    }

    #[test]
    fn refuses_what_is_none() {
        use ProxyError::{Command, Family, Line, NoHeader, TooLong, TooShort, Version};
        let long = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 100]].concat();
        let mut longest = v2(0x21, 0x11, &[]);
        longest[14..].copy_from_slice(&[0xff, 0xff]);
        for (input, error) in [
            (b"EHLO x\r\n".to_vec(), NoHeader),
            (b"\r\n\r\n\0\r\nQUIX".to_vec(), NoHeader),
            (b"proxy TCP4".to_vec(), NoHeader),
            (v2(0x11, 0x11, &[0; 12]), Version(1)),
            (v2(0x31, 0x11, &[0; 12]), Version(3)),
            (v2(0x22, 0x11, &[0; 12]), Command(2)),
            (v2(0x21, 0x12, &[0; 12]), Family(0x12)),
            (v2(0x21, 0x41, &[0; 12]), Family(0x41)),
            (v2(0x21, 0x11, &[0; 11]), TooShort(27)),
            (v2(0x21, 0x21, &[0; 35]), TooShort(51)),
            (v2(0x21, 0x31, &[0; 215]), TooShort(231)),
            (longest, TooLong(16 + 65535)),
            (long, TooLong(LINE_MAX)),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 12345\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 65536\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1 ::1 1 2\r\n".to_vec(), Line),
            (b"PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), Line),
            (b"PROXY TCP4 192.0.2.1  10.0.0.1 1 2\r\n".to_vec(), Line),
            (b"PROXY UDP4 192.0.2.1 10.0.0.1 1 2\r\n".to_vec(), Line),
            (b"PROXY \r\n        ".to_vec(), Line),
            (b"PROXY \xff        \r\n".to_vec(), Line),
        ] {
            assert_eq!(read(&input), Err(error), "{input:?}");
        }
    }
}

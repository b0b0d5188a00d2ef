//! The connection to a server: TCP or Unix socket, in clear or TLS, with one deadline for all.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustls::{ClientConnection, StreamOwned};

/// The port of SMTP where none is given.
const SMTP_PORT: u16 = 25;

/// A connection; every read and write ends at the deadline.
pub(super) enum Stream {
    /// In clear.
    Plain(Socket),
    /// After STARTTLS.
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

/// A socket with its deadline.
pub(super) struct Socket {
    kind: Kind,
    deadline: Instant,
}

enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects to `unix:/path`, `host:port`, `[v6]:port` or `host`.
    ///
    /// # Errors
    /// The last address's, where a name has several.
    pub(super) fn connect(address: &str, deadline: Instant) -> io::Result<Socket> {
        let kind = match address.strip_prefix("unix:") {
            Some(path) => Kind::Unix(UnixStream::connect(path)?),
            None => Kind::Tcp(connect_tcp(address, deadline)?),
        };
        Ok(Socket { kind, deadline })
    }

    /// Whether the peer is a process on this machine by its very nature.
    pub(super) fn is_unix(&self) -> bool {
        matches!(self.kind, Kind::Unix(_))
    }
}

/// The host and port of `host:port`, `[v6]:port`, `host` or a bare IPv6 address.
pub(super) fn host_and_port(address: &str) -> io::Result<(&str, u16)> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or(port))),
        None => match address.split_once(':') {
            Some((_, port)) if port.contains(':') => (address, None),
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        },
    };
    let port = port.map_or(Ok(SMTP_PORT), str::parse);
    match port {
        Ok(port) if !host.is_empty() => Ok((host, port)),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the address is not of the form host:port or unix:/path",
        )),
    }
}

fn connect_tcp(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in host_and_port(address)?.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, remaining(deadline)?) {
            Ok(stream) => {
                // Commands are small and answered one by one.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timed_out()) } else { Ok(left) }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the time of [submission] timeout was up")
}

// A socket's own time limit shows as WouldBlock on some systems.
fn in_time<T>(result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => timed_out(),
        _ => error,
    })
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = Some(remaining(self.deadline)?);
        in_time(match &mut self.kind {
            Kind::Tcp(socket) => socket.set_read_timeout(left).and_then(|()| socket.read(buffer)),
            Kind::Unix(socket) => socket.set_read_timeout(left).and_then(|()| socket.read(buffer)),
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = Some(remaining(self.deadline)?);
        in_time(match &mut self.kind {
            Kind::Tcp(socket) => socket.set_write_timeout(left).and_then(|()| socket.write(bytes)),
            Kind::Unix(socket) => socket.set_write_timeout(left).and_then(|()| socket.write(bytes)),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (address, expected) in [
            ("127.0.0.1:2525", Some(("127.0.0.1", 2525))),
            ("mail.example.org", Some(("mail.example.org", 25))),
            ("mail.example.org:587", Some(("mail.example.org", 587))),
            ("[::1]:2525", Some(("::1", 2525))),
            ("[::1]", Some(("::1", 25))),
            ("::1", Some(("::1", 25))),
            ("", None),
            (":25", None),
            ("a:b", None),
            ("a:70000", None),
        ] {
            assert_eq!(host_and_port(address).ok(), expected, "{address}");
        }
    }
}

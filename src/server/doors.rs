//! Listeners: TCP ports and Unix sockets, made here or passed by systemd.

use std::env;
use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use listenfd::ListenFd;
use nix::unistd::{Gid, Uid};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::smtp::Door;

use super::networks::Network;

/// What is spoken at a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// LMTP or SMTP.
    Mail(Door),
    /// RFC 5804.
    ManageSieve,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Mail(Door::Lmtp) => "LMTP",
            Protocol::Mail(Door::Smtp) => "SMTP",
            Protocol::ManageSieve => "ManageSieve",
        })
    }
}

/// A door to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub protocol: Protocol,
    /// Where it is.
    pub place: Place,
    /// Who may come to a TCP port.
    pub allow: Vec<Network>,
    /// Whose word about others counts.
    pub trusted: Vec<Network>,
    /// Whether those say first for whom they come (PROXY protocol).
    pub proxy: bool,
    /// How mail is protected there.
    pub security: Security,
}

/// How a door for mail is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// STARTTLS is offered (RFC 3207).
    StartTls,
    /// STARTTLS is demanded (RFC 3207 §4).
    Required,
    /// TLS comes first.
    Implicit,
}

/// Where a door is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A TCP port; port 0 is any that is free.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
        /// Its owner; none: whoever opens it.
        owner: Option<Uid>,
        /// Its group; none: that of whoever opens it.
        group: Option<Gid>,
    },
    /// Sockets that systemd passed, by their name.
    Systemd(String),
}

impl Place {
    /// Whether both are the same door, though perhaps of another owner.
    pub(super) fn is(&self, other: &Place) -> bool {
        match (self, other) {
            (Place::Unix { path, .. }, Place::Unix { path: other, .. }) => path == other,
            _ => self == other,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Tcp(address) => address.fmt(f),
            Place::Unix { path, .. } => write!(f, "unix:{}", path.display()),
            Place::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

/// Why a door cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A TCP port.
    #[error("cannot listen on {address}: {source}{}", remedy(.source))]
    Tcp {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A Unix socket.
    #[error("cannot listen on unix:{}: {source}", path.display())]
    Unix {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens there.
    #[error("cannot listen on unix:{}: another process listens there", .0.display())]
    Taken(PathBuf),
    /// Something else has that name.
    #[error("cannot listen on unix:{}: a file that is no socket has this name; remove it", .0.display())]
    NoSocket(PathBuf),
    /// No socket of that name was passed.
    #[error(
        "cannot listen on systemd:{0}: systemd passed no socket of this name; write FileDescriptorName={0} in the \
         socket unit, and start postroom by it"
    )]
    NotPassed(String),
    /// RFC 2033 §5 forbids it.
    #[error("cannot listen on {0}: LMTP must not be on TCP port 25 (RFC 2033 §5); take another port")]
    LmtpOnSmtp(String),
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the process that listens there, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 are root's: start as root and set `user`",
        io::ErrorKind::AddrNotAvailable => "; the address is none of this host's",
        _ => "",
    }
}

/// Sockets that systemd opened and passed (sd_listen_fds(3)).
#[derive(Debug, Default)]
pub struct Passed(Vec<(String, Socket)>);

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    /// With its path where it is to be removed in the end.
    Unix(UnixListener, Option<PathBuf>),
}

impl Passed {
    /// Takes those that were passed to this process, if any. To be asked once, before anything else is opened.
    ///
    /// # Errors
    /// Where one is no stream socket that listens.
    pub fn take() -> io::Result<Passed> {
        // Variables that were meant for a parent of ours.
        let for_us = env::var("LISTEN_PID").is_ok_and(|id| id.parse() == Ok(std::process::id()));
        if !for_us {
            return Ok(Passed::default());
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut sockets = Vec::new();
        for at in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let socket = match passed.take_unix_listener(at) {
                Ok(listener) => listener.map(|listener| Socket::Unix(listener, None)),
                Err(_) => passed.take_tcp_listener(at)?.map(Socket::Tcp),
            };
            sockets.extend(socket.map(|socket| (name, socket)));
        }
        Ok(Passed(sockets))
    }

    /// Those for which there was no door, for people.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        let place = |(name, socket): &(String, Socket)| format!("{name} ({})", socket.place());
        self.0.iter().map(place).collect()
    }

    // Those of a name; else the one at the very address.
    fn for_place(&mut self, place: &Place) -> Vec<Socket> {
        let is_meant = |(name, socket): &mut (String, Socket)| match place {
            Place::Systemd(wanted) => name == wanted,
            Place::Tcp(address) => matches!(socket, Socket::Tcp(l) if l.local_addr().is_ok_and(|it| it == *address)),
            Place::Unix { path, .. } => {
                let at = |listener: &UnixListener| listener.local_addr().is_ok_and(|it| it.as_pathname() == Some(path));
                matches!(socket, Socket::Unix(l, _) if at(l))
            }
        };
        self.0.extract_if(.., is_meant).map(|(_, socket)| socket).collect()
    }
}

impl Socket {
    fn place(&self) -> String {
        match self {
            Socket::Tcp(listener) => {
                let address = listener.local_addr();
                address.map_or_else(|error| error.to_string(), |address| address.to_string())
            }
            Socket::Unix(listener, _) => {
                let address = listener.local_addr().ok();
                let path = address.and_then(|address| address.as_pathname().map(Path::to_owned));
                format!("unix:{}", path.unwrap_or_default().display())
            }
        }
    }

    fn is_smtp_port(&self) -> bool {
        matches!(self, Socket::Tcp(listener) if listener.local_addr().is_ok_and(|address| address.port() == 25))
    }

    pub(super) fn open(self) -> io::Result<Listener> {
        Ok(match self {
            Socket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Listener::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Socket::Unix(listener, path) => {
                listener.set_nonblocking(true)?;
                Listener::Unix(tokio::net::UnixListener::from_std(listener)?, path)
            }
        })
    }
}

/// Open doors through which nobody was let in yet.
#[derive(Debug)]
pub struct Doors(pub(super) Vec<(Listen, Socket)>);

impl Doors {
    /// Opens the doors. Sockets that were passed are taken from `passed`; a Unix socket that a dead process left is
    /// replaced.
    ///
    /// # Errors
    /// [`BindError`] names the door that cannot be opened.
    pub fn bind(listen: &[Listen], passed: &mut Passed) -> Result<Doors, BindError> {
        let mut doors = Doors(Vec::new());
        for listen in listen {
            for socket in bind(&listen.place, passed)? {
                // RFC 2033 §5. The configuration was checked for it, but not what systemd passes.
                if listen.protocol == Protocol::Mail(Door::Lmtp) && socket.is_smtp_port() {
                    return Err(BindError::LmtpOnSmtp(socket.place()));
                }
                doors.0.push((listen.clone(), socket));
            }
        }
        Ok(doors)
    }

    /// Where the doors are, for people; a port that was 0 is the one that was free.
    pub fn places(&self) -> impl Iterator<Item = (Protocol, String)> {
        self.0.iter().map(|(listen, socket)| (listen.protocol, socket.place()))
    }
}

/// A reload that fails, or a start that does, leaves no socket file behind.
impl Drop for Doors {
    fn drop(&mut self) {
        for (_, socket) in &self.0 {
            if let Socket::Unix(_, Some(path)) = socket {
                let _ = fs::remove_file(path);
            }
        }
    }
}

fn bind(place: &Place, passed: &mut Passed) -> Result<Vec<Socket>, BindError> {
    let sockets = passed.for_place(place);
    if !sockets.is_empty() {
        return Ok(sockets);
    }
    let made = match place {
        Place::Systemd(name) => return Err(BindError::NotPassed(name.clone())),
        Place::Tcp(address) => TcpListener::bind(address)
            .map(Socket::Tcp)
            .map_err(|source| BindError::Tcp {
                address: *address,
                source,
            })?,
        Place::Unix {
            path,
            mode,
            owner,
            group,
        } => {
            clear_the_way(path)?;
            let failed = |source| BindError::Unix {
                path: path.clone(),
                source,
            };
            let listener = UnixListener::bind(path).map_err(failed)?;
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).map_err(failed)?;
            nix::unistd::chown(path, *owner, *group).map_err(|errno| failed(errno.into()))?;
            Socket::Unix(listener, Some(path.clone()))
        }
    };
    Ok(vec![made])
}

// A socket stays behind when its process is killed; one that answers is somebody's.
fn clear_the_way(path: &Path) -> Result<(), BindError> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NoSocket(path.to_owned()));
    }
    if UnixStream::connect(path).is_ok() {
        return Err(BindError::Taken(path.to_owned()));
    }
    fs::remove_file(path).map_err(|source| BindError::Unix {
        path: path.to_owned(),
        source,
    })
}

/// A socket through which peers come. Dropped, a Unix socket that was made here is removed.
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, Option<PathBuf>),
}

/// A peer's stream, whatever it runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, Some(path)) = self {
            let _ = fs::remove_file(path);
        }
    }
}

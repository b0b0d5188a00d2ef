//! Listeners: TCP ports and Unix sockets.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::{Gid, Uid};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};

use crate::smtp::{self, Door};

use super::connection::Connection;
use super::{Shared, managesieve};

/// After a failed accept(2), such as for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

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
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; stop the process that listens there, or choose another port",
        io::ErrorKind::PermissionDenied => "; ports below 1024 are root's: start as root and set `user`",
        io::ErrorKind::AddrNotAvailable => "; the address is none of this host's",
        _ => "",
    }
}

/// Open doors through which nobody was let in yet.
#[derive(Debug)]
pub struct Doors(Vec<Bound>);

#[derive(Debug)]
enum Bound {
    Tcp(Protocol, TcpListener),
    Unix(Protocol, UnixListener, PathBuf),
}

impl Doors {
    /// Opens the doors. A Unix socket that a dead process left is replaced.
    ///
    /// # Errors
    /// [`BindError`] names the door that cannot be opened.
    pub fn bind(listen: &[Listen]) -> Result<Doors, BindError> {
        listen.iter().map(bind).collect::<Result<_, _>>().map(Doors)
    }

    /// Where the doors are, for people; a port that was 0 is the one that was free.
    pub fn places(&self) -> impl Iterator<Item = (Protocol, String)> {
        self.0.iter().map(|bound| match bound {
            Bound::Tcp(protocol, listener) => {
                let address = listener
                    .local_addr()
                    .map_or_else(|error| error.to_string(), |address| address.to_string());
                (*protocol, address)
            }
            Bound::Unix(protocol, _, path) => (*protocol, format!("unix:{}", path.display())),
        })
    }

    pub(super) fn open(self) -> io::Result<Vec<OpenDoor>> {
        self.0.into_iter().map(Bound::open).collect()
    }
}

impl Bound {
    fn open(self) -> io::Result<OpenDoor> {
        Ok(match self {
            Bound::Tcp(protocol, listener) => {
                listener.set_nonblocking(true)?;
                OpenDoor {
                    protocol,
                    listener: Listener::Tcp(tokio::net::TcpListener::from_std(listener)?),
                }
            }
            Bound::Unix(protocol, listener, path) => {
                listener.set_nonblocking(true)?;
                OpenDoor {
                    protocol,
                    listener: Listener::Unix(tokio::net::UnixListener::from_std(listener)?, path),
                }
            }
        })
    }
}

fn bind(listen: &Listen) -> Result<Bound, BindError> {
    match &listen.place {
        Place::Tcp(address) => TcpListener::bind(address)
            .map(|listener| Bound::Tcp(listen.protocol, listener))
            .map_err(|source| BindError::Tcp {
                address: *address,
                source,
            }),
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
            Ok(Bound::Unix(listen.protocol, listener, path.clone()))
        }
    }
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

/// A door through which peers come.
pub(super) struct OpenDoor {
    protocol: Protocol,
    listener: Listener,
}

enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, PathBuf),
}

/// A peer's stream, whatever it runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl OpenDoor {
    /// Lets peers in until the server stops.
    pub(super) async fn accept(
        self,
        shared: Arc<Shared>,
        mut stopping: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) {
        let session = match self.protocol {
            Protocol::Mail(door) => Some(Arc::new(smtp::Options {
                door,
                ..shared.options.session.clone()
            })),
            Protocol::ManageSieve => None,
        };
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = stopping.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (shared, session) = (shared.clone(), session.clone());
                    let (stopping, alive) = (stopping.clone(), alive.clone());
                    tokio::spawn(async move {
                        let _alive = alive;
                        match session {
                            Some(session) => Connection::new(shared, session, peer, stopping).run(stream).await,
                            None => {
                                let hall = shared.hall.clone();
                                let connection = managesieve::Connection::new(shared, hall, peer, stopping);
                                connection.run(stream).await;
                            }
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; raise the limit of open files if that is the cause");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        if let Listener::Unix(listener, path) = self.listener {
            drop(listener);
            let _ = fs::remove_file(path);
        }
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<IpAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Some(peer.ip().to_canonical())))
            }
            Listener::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), None))
            }
        }
    }
}

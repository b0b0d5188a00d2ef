//! The way by which `postroom reload` finds the server of a configuration, and hears what came of it.
//!
//! It is an abstract Unix socket (unix(7)) whose name follows from the path of the configuration: there is no file that
//! could be left behind or replaced, and nothing to configure. Each side looks who the other one is: the server takes
//! words from root and from its own user alone, the command from root's servers and from those of the user that the
//! configuration names.

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::unistd::Uid;
use ring::digest::{SHA256, digest};
use rustix::net::sockopt::socket_peercred;
use tokio::io::AsyncWriteExt;

/// How long the other side may take to say or to hear a word.
const PROMPT: Duration = Duration::from_secs(5);
/// How long a server may take to read its configuration.
const PATIENCE: Duration = Duration::from_secs(120);

/// A server that can be told to read its configuration again.
#[derive(Debug)]
pub struct Control(UnixListener);

/// Why no server was told.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// None listens.
    #[error("no postroom serves with the configuration {0}")]
    Nobody(String),
    /// Somebody has taken its name.
    #[error("what answers for {configuration} belongs to the uid {uid}, which is not to be trusted")]
    Stranger {
        /// The configuration.
        configuration: String,
        /// Whose it is.
        uid: u32,
    },
    /// It said nothing, or nothing that can be understood.
    #[error("the server does not answer: {0}")]
    Silent(#[from] io::Error),
    /// It kept what it had.
    #[error("{0}")]
    Refused(String),
}

impl Control {
    /// Opens the socket of a configuration.
    ///
    /// # Errors
    /// Where another server has the same configuration, or the system refuses.
    pub fn open(configuration: &Path) -> io::Result<Control> {
        let listener = UnixListener::bind_addr(&address(configuration)?)?;
        listener.set_nonblocking(true)?;
        Ok(Control(listener))
    }

    /// Tells the server of a configuration to read it again, and returns what it says: what else would need a restart.
    /// `user` is whom the server may be, beside root.
    ///
    /// # Errors
    /// [`ControlError::Refused`] with the server's words where it keeps the configuration it has.
    pub fn reload(configuration: &Path, user: Uid) -> Result<String, ControlError> {
        let named = configuration.display().to_string();
        let mut stream = UnixStream::connect_addr(&address(configuration)?).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ControlError::Nobody(named.clone()),
            _ => ControlError::Silent(error),
        })?;
        let uid = socket_peercred(&stream).map_err(io::Error::from)?.uid.as_raw();
        if uid != 0 && uid != user.as_raw() && uid != Uid::effective().as_raw() {
            return Err(ControlError::Stranger {
                configuration: named,
                uid,
            });
        }
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PROMPT))?;
        stream.write_all(b"reload\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once('\n') {
            Some(("done", notes)) => Ok(notes.to_owned()),
            Some(("refused", why)) => Err(ControlError::Refused(why.trim_end().to_owned())),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }

    pub(super) fn listen(self) -> io::Result<Listener> {
        tokio::net::UnixListener::from_std(self.0).map(|listener| Listener(Some(listener)))
    }
}

// The whole path, but links in it are not followed: what they point to is changed by some to change a configuration.
fn address(configuration: &Path) -> io::Result<SocketAddr> {
    let path = std::path::absolute(configuration)?;
    let hash = digest(&SHA256, path.as_os_str().as_bytes());
    let hex: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    SocketAddr::from_abstract_name(format!("postroom/{hex}"))
}

/// The server's end. Without a socket nobody ever comes.
pub(super) struct Listener(Option<tokio::net::UnixListener>);

/// Somebody who may and does ask for a reload.
pub(super) struct Asker(tokio::net::UnixStream);

impl Listener {
    pub(super) fn none() -> Listener {
        Listener(None)
    }

    /// The next who asks. Others are not answered.
    pub(super) async fn asked(&self) -> Asker {
        let Some(listener) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    if let Some(asker) = may_ask(stream).await {
                        return asker;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot be asked for a reload");
                    tokio::time::sleep(PROMPT).await;
                }
            }
        }
    }
}

async fn may_ask(stream: tokio::net::UnixStream) -> Option<Asker> {
    let uid = stream.peer_cred().ok()?.uid();
    if uid != 0 && uid != Uid::effective().as_raw() {
        tracing::warn!("the uid {uid} asked for a reload; that is for root, and for the user of this server");
        return None;
    }
    let mut words = [0; 7];
    let read = tokio::time::timeout(PROMPT, async {
        use tokio::io::AsyncReadExt;
        let mut stream = stream;
        stream.read_exact(&mut words).await.map(|_| stream)
    });
    let stream = read.await.ok()?.ok()?;
    (&words == b"reload\n").then_some(Asker(stream))
}

impl Asker {
    /// Tells what came of it.
    pub(super) async fn answer(mut self, result: &Result<String, String>) {
        let answer = match result {
            Ok(notes) => format!("done\n{notes}"),
            Err(why) => format!("refused\n{why}"),
        };
        // Who asked and went away has the log.
        let _ = tokio::time::timeout(PROMPT, self.0.write_all(answer.as_bytes())).await;
    }
}

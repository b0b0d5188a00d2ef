//! What the service manager is told: sd_notify(3), one datagram a time, without its library.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The service manager, where there is one that listens.
#[derive(Debug, Default)]
pub(super) struct Manager(Option<(UnixDatagram, SocketAddr)>);

impl Manager {
    /// The one that `NOTIFY_SOCKET` names: a path, or with `@` an abstract address.
    pub(super) fn find() -> Manager {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else {
            return Manager(None);
        };
        match Manager::at(name.as_bytes()) {
            Ok(socket) => Manager(Some(socket)),
            Err(error) => {
                tracing::warn!(%error, "cannot reach the service manager at {}", name.display());
                Manager(None)
            }
        }
    }

    fn at(name: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
        let address = match name.split_first() {
            Some((b'@', name)) => SocketAddr::from_abstract_name(name)?,
            Some((b'/', _)) => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            _ => return Err(io::ErrorKind::Unsupported.into()),
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that is stuck must not hold up mail.
        socket.set_nonblocking(true)?;
        Ok((socket, address))
    }

    /// Everything is open: peers may come.
    pub(super) fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}"));
    }

    /// The configuration is read again; [`Manager::ready`] follows, whatever comes of it.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=Reloading"));
    }

    /// Nobody is let in any more.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Stopping: sessions in a message finish it");
    }

    /// We live.
    pub(super) fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    fn say(&self, words: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(words.as_bytes(), address) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

/// How often it wants to hear that we live: half of the time after which it kills (sd_watchdog_enabled(3)).
pub(super) fn watchdog() -> Option<Duration> {
    let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
    let for_us = env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(std::process::id().into());
    let limit = number("WATCHDOG_USEC").filter(|limit| for_us && *limit > 0)?;
    Some(Duration::from_micros((limit / 2).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speaks_to_paths_and_abstract_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("postroom-test-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        for (listener, name) in [
            (UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap().to_owned()),
            (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
        ] {
            let manager = Manager(Some(Manager::at(name.as_bytes()).unwrap()));
            manager.ready("3 doors");
            manager.reloading();
            manager.alive();
            let mut heard = Vec::new();
            for _ in 0..3 {
                let mut buffer = [0; 200];
                let length = listener.recv(&mut buffer).unwrap();
                heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            assert_eq!(heard[0], "READY=1\nSTATUS=3 doors");
            assert!(heard[1].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{heard:?}");
            assert_eq!(heard[2], "WATCHDOG=1");
        }
        assert!(Manager::at(b"vsock:2:1").is_err() && Manager::at(b"").is_err());
    }
}

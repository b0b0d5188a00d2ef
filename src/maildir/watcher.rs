//! Waits until something changes in a folder (inotify).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{CreateFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;

use super::Folder;

/// A watch on `new/` and `cur/` of one folder.
///
/// It sees what any program of this host does there: files that come, go, or change their
/// flags. What other hosts do on a network file system it does not see.
#[derive(Debug)]
pub struct Watcher(OwnedFd);

impl Watcher {
    /// Begins to watch; what happens from now on is not missed, also between two waits.
    ///
    /// # Errors
    /// `NotFound` where the folder is not there; `EMFILE` or `ENOSPC` where the system lets
    /// the user have no more watches.
    pub fn new(folder: &Folder) -> io::Result<Watcher> {
        let descriptor = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        for part in [folder.new_(), folder.cur()] {
            add_watch(&descriptor, part, changes)?;
        }
        Ok(Watcher(descriptor))
    }

    /// Waits at most `timeout`; true where something changed since the watch began or the
    /// last wait ended. A folder that was removed or renamed as a whole counts once as a
    /// change, and is then watched no more.
    ///
    /// # Errors
    /// The operating system's.
    pub fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let timeout = Timespec::try_from(timeout).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut descriptors = [PollFd::new(&self.0, PollFlags::IN)];
        match poll(&mut descriptors, Some(&timeout)) {
            Ok(0) => return Ok(false),
            // A signal: who waits looks at what it asked for, and waits again.
            Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.0, &mut buffer);
        loop {
            match events.next() {
                Ok(_) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mail::MailboxName;
    use crate::maildir::{Disk, Folders};

    #[test]
    fn sees_what_comes_moves_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::new(home.path().to_owned());
        let name = MailboxName::parse("A", '.').unwrap();
        assert!(Watcher::new(&folders.folder(&name)).is_err());
        let folder = folders.create(&Disk::default(), &name).unwrap();
        let watcher = Watcher::new(&folder).unwrap();
        assert!(!watcher.wait(Duration::ZERO).unwrap());
        let (new, cur) = (folder.new_().join("1.a.host"), folder.cur().join("1.a.host:2,S"));
        let changes: [&dyn Fn() -> io::Result<()>; 4] = [
            &|| {
                fs::write(folder.tmp().join("1.a.host"), "x")?;
                fs::rename(folder.tmp().join("1.a.host"), &new)
            },
            &|| fs::rename(&new, &cur),
            &|| fs::remove_file(&cur),
            &|| fs::remove_dir_all(folder.path()),
        ];
        for (number, change) in changes.iter().enumerate() {
            change().unwrap();
            assert!(watcher.wait(Duration::from_secs(60)).unwrap(), "{number}");
            assert!(!watcher.wait(Duration::ZERO).unwrap(), "{number}");
        }
    }
}

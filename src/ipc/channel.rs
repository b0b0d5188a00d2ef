//! A socket without a name between two processes, over which requests are handed with their files.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown, socketpair,
};

/// The byte that comes with the files of a request.
const REQUEST: u8 = b'r';

/// One end of it.
#[derive(Debug)]
pub struct Channel(OwnedFd);

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Channel {
        Channel(socket)
    }
}

impl Channel {
    /// A new one: our end, and the end of a process that is started with it.
    ///
    /// # Errors
    /// Where the system has no socket to give.
    pub fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(ours), theirs))
    }

    /// The same end once more, for a process that is started with it.
    ///
    /// # Errors
    /// Where the system has no descriptor to give.
    pub fn clone_end(&self) -> io::Result<OwnedFd> {
        self.0.try_clone()
    }

    /// Begins a request, with a file or none: answers the stream over which it is told and answered.
    ///
    /// # Errors
    /// Where nobody is at the other end.
    pub fn request(&self, file: Option<BorrowedFd<'_>>) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let handed: Vec<BorrowedFd<'_>> = std::iter::once(theirs.as_fd()).chain(file).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&handed)) {
            return Err(io::Error::other("too many files"));
        }
        let byte = [IoSlice::new(&[REQUEST])];
        sendmsg(&self.0, &byte, &mut control, SendFlags::NOSIGNAL)?;
        Ok(ours)
    }

    /// The next request, with its file; none when nobody is left at the other end.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive(&self) -> io::Result<Option<(UnixStream, Option<OwnedFd>)>> {
        loop {
            let mut byte = [0];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, flags) {
                Ok(message) if message.bytes == 0 => return Ok(None),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            let mut handed = control.drain().flat_map(|message| match message {
                RecvAncillaryMessage::ScmRights(files) => files.collect::<Vec<OwnedFd>>(),
                _ => Vec::new(),
            });
            // Without a socket for the answer it is no request.
            if let Some(stream) = handed.next() {
                return Ok(Some((UnixStream::from(stream), handed.next())));
            }
        }
    }

    /// Waits until there is a request, or nobody who could make one, or the time is over: then it is false.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&time)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that no request comes from here any more.
    pub fn close(&self) {
        // Where the other end is gone, it knows.
        let _ = shutdown(&self.0, Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, Write};

    use super::*;

    #[test]
    fn a_request_comes_with_its_file_and_is_answered() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::from(theirs);
        assert!(!theirs.wait(Duration::ZERO).unwrap());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        file.rewind().unwrap();
        let mut stream = ours.request(Some(file.as_fd())).unwrap();
        assert!(theirs.wait(Duration::from_secs(1)).unwrap());
        let (mut answer, handed) = theirs.receive().unwrap().unwrap();
        let mut text = String::new();
        std::fs::File::from(handed.unwrap()).read_to_string(&mut text).unwrap();
        answer.write_all(text.as_bytes()).unwrap();
        drop(answer);
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "content");
    }

    #[test]
    fn either_side_learns_that_the_other_is_gone() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::from(theirs);
        ours.close();
        assert!(theirs.wait(Duration::ZERO).unwrap());
        assert!(theirs.receive().unwrap().is_none());
        drop(theirs);
        assert!(ours.request(None).is_err());
        assert!(ours.receive().unwrap().is_none());
    }

    #[test]
    fn requests_that_wait_are_there_for_whoever_comes() {
        let (ours, theirs) = Channel::pair().unwrap();
        let theirs = Channel::from(theirs);
        let streams: Vec<_> = (0..3).map(|_| ours.request(None).unwrap()).collect();
        let again = Channel::from(theirs.clone_end().unwrap());
        drop(theirs);
        for mut stream in streams {
            let (mut answer, file) = again.receive().unwrap().unwrap();
            assert!(file.is_none());
            answer.write_all(b"!").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
    }
}

//! How a process of root becomes another user, for good.

use std::ffi::CString;
use std::io;

use nix::unistd::{Gid, Uid, getresgid, getresuid, initgroups, setgid, setgroups, setuid};

/// Becomes a user with this main group, and with the groups in which the system has that name; without a name with no
/// other group.
///
/// # Errors
/// Where the system refuses it, or would let the process become root again.
pub fn become_user(name: Option<&str>, uid: Uid, gid: Gid) -> io::Result<()> {
    match name {
        Some(name) => initgroups(&CString::new(name)?, gid)?,
        None => setgroups(&[gid])?,
    }
    setgid(gid)?;
    setuid(uid)?;
    let (users, groups) = (getresuid()?, getresgid()?);
    let is_so = [users.real, users.effective, users.saved] == [uid; 3]
        && [groups.real, groups.effective, groups.saved] == [gid; 3];
    match is_so && setuid(Uid::from_raw(0)).is_err() {
        true => Ok(()),
        false => Err(io::Error::other("the system leaves it rights of root")),
    }
}

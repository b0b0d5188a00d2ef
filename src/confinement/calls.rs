//! seccomp: which system calls the running server may make.
//!
//! The list is one of what is allowed. Whatever is not on it is answered as by a kernel that does not have it (ENOSYS):
//! libraries that try a newer call first then take the older one, so that a new libc does not break the server, and none
//! of the calls by which a process that was taken over would reach further, such as running programs, tracing,
//! mounting, or loading code into the kernel, does anything.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::ConfineError;

/// Calls that are allowed whatever their arguments, on every machine.
const ALLOWED: &[i64] = &[
    // Files.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_close,
    libc::SYS_close_range,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_ftruncate,
    libc::SYS_truncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_readahead,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_syncfs,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_memfd_create,
    // Names.
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    SYS_FCHMODAT2,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_umask,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_msync,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_membarrier,
    // Threads and the time.
    libc::SYS_futex,
    libc::SYS_futex_waitv,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_times,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    // Signals.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_signalfd4,
    libc::SYS_kill,
    libc::SYS_tgkill,
    // Waiting.
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    // Sockets; `socket` itself is below.
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_connect,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    // Who and where we are.
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getpgid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getgroups,
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
];

/// Linux 6.6; libc does not name it on every architecture.
const SYS_FCHMODAT2: i64 = 452;

/// Calls that newer machines have no more.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_renameat,
    libc::SYS_sync_file_range,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utimes,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_poll,
    libc::SYS_select,
    libc::SYS_epoll_wait,
    libc::SYS_time,
    libc::SYS_getrlimit,
    libc::SYS_getpgrp,
    libc::SYS_inotify_init,
    libc::SYS_eventfd,
    libc::SYS_getdents,
];
/// `sync_file_range` and `renameat`, which libc does not name on each of these.
#[cfg(target_arch = "aarch64")]
const ALLOWED_HERE: &[i64] = &[84, 38];
/// `sync_file_range`, which libc does not name everywhere.
#[cfg(target_arch = "riscv64")]
const ALLOWED_HERE: &[i64] = &[84];

/// Linux's names of what is not in every libc.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Installs the filter. Answers why there is none, where there is no seccomp or we know no calls of this machine.
pub(super) fn enforce() -> Result<Option<String>, ConfineError> {
    let Ok(machine) = TargetArch::try_from(std::env::consts::ARCH) else {
        let lacks = format!("no list of system calls for {}", std::env::consts::ARCH);
        return Ok(Some(lacks));
    };
    let program = filter(machine).map_err(|error| ConfineError::Seccomp(error.into()))?;
    match seccompiler::apply_filter_all_threads(&program) {
        Ok(()) => Ok(None),
        Err(Error::Seccomp(error)) if is_missing(&error) => Ok(Some(format!("no seccomp: {error}"))),
        Err(error) => Err(ConfineError::Seccomp(error)),
    }
}

// seccomp(2): EINVAL where the kernel is built without filters; ENOSYS where it is older than the call; EPERM where a
// filter of a container or a unit forbids it.
fn is_missing(error: &std::io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL | libc::EPERM))
}

fn filter(machine: TargetArch) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for &call in ALLOWED.iter().chain(ALLOWED_HERE) {
        rules.insert(call, Vec::new());
    }
    rules.extend(conditional()?);
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, missing, SeccompAction::Allow, machine)?.try_into()
}

/// Calls that are allowed with some arguments only: each rule is one way to be allowed.
fn conditional() -> Result<Vec<(i64, Vec<SeccompRule>)>, seccompiler::BackendError> {
    let is = |argument, values: &[u64]| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        values
            .iter()
            .map(|&value| one(argument, SeccompCmpOp::Eq, value))
            .collect()
    };
    // Memory is written or executed, never both; what NSS loads is executed from files as they are.
    let (write, execute) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    let not_both = || -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        Ok(vec![
            one(2, SeccompCmpOp::MaskedEq(write), 0)?,
            one(2, SeccompCmpOp::MaskedEq(execute), 0)?,
        ])
    };
    // clone(2) makes threads and no processes. clone3(2) hides its flags in memory, where no filter sees them; libc
    // takes clone where it is missing.
    let thread = libc::CLONE_THREAD as u64;
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].map(|family| family as u64);
    let attributes = [libc::PR_SET_NAME as u64, libc::PR_GET_NAME as u64, PR_SET_VMA];
    Ok(vec![
        (libc::SYS_socket, is(0, &families)?),
        (libc::SYS_socketpair, is(0, &families[..1])?),
        (libc::SYS_mmap, not_both()?),
        (libc::SYS_mprotect, vec![one(2, SeccompCmpOp::MaskedEq(execute), 0)?]),
        (libc::SYS_clone, vec![one(0, SeccompCmpOp::MaskedEq(thread), thread)?]),
        (libc::SYS_prctl, is(0, &attributes)?),
        (libc::SYS_ioctl, is(1, &requests())?),
    ])
}

/// Requests of ioctl(2): how much there is to read, whether to wait, whether it is a terminal. Among the others are
/// those that type into terminals.
fn requests() -> [u64; 6] {
    // The kernel's number has 32 bits; its type is another in each libc.
    [
        libc::FIONREAD,
        libc::FIONBIO,
        libc::FIOCLEX,
        libc::FIONCLEX,
        libc::TCGETS,
        libc::TIOCGWINSZ,
    ]
    .map(|request| u64::from(request as u32))
}

fn one(argument: u8, compared: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compared, value)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_filter_for_each_machine() {
        for machine in [TargetArch::x86_64, TargetArch::aarch64, TargetArch::riscv64] {
            let program = filter(machine).unwrap();
            assert!(
                program.len() < 4096,
                "{}: the kernel takes 4096 instructions",
                program.len()
            );
        }
    }

    #[test]
    fn no_program_is_run_and_no_process_looked_into() {
        let listed = |call: i64| ALLOWED.contains(&call) || ALLOWED_HERE.contains(&call);
        for call in [
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone3,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_io_uring_setup,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_setuid,
            libc::SYS_mknodat,
        ] {
            assert!(!listed(call), "{call}");
        }
    }
}

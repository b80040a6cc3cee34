//! The one module with `unsafe` code: what happens between `fork` and `exec`, and what no safe
//! wrapper offers.
//!
//! Everything called between fork and exec is async-signal-safe: plain system calls, no allocation,
//! no lock.

#![expect(
    unsafe_code,
    reason = "this is the reviewed place for it; see each SAFETY comment"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::unistd::{ForkResult, fork};

use crate::policy::notify::NotifyResponse;
use crate::policy::seccomp::Program;

/// Closes every descriptor from `first` on. What a server inherited from whoever started it without
/// `O_CLOEXEC` would otherwise reach user code.
pub(crate) fn close_fds_from(first: RawFd) -> io::Result<()> {
    let first = u32::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: called at the very start of the shim, before any object owns a descriptor from
    // `first` on.
    let outcome = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Takes ownership of a descriptor that the kernel has just made for us (`SCM_RIGHTS`).
pub(crate) fn take_received_fd(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the caller got the number out of a control message, so it is open and nobody else
    // owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Prepares `command` to become a session leader with default signal handlers, the descriptors in
/// `moves` (from, to) at their places, and a death of its own when the shim dies.
///
/// The shim has one thread, so the parent-death signal cannot fire early (it is tied to the
/// *thread* that forked, `prctl(2)`). No source of a move may be the target of another one.
///
/// `confine` runs last. The shim has one thread, so that nobody else holds a lock when it forks: it
/// may allocate.
pub(crate) fn prepare_child(
    command: &mut Command,
    moves: Vec<(RawFd, RawFd)>,
    mut enter_sandbox: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    let enter = move || {
        // SAFETY: only async-signal-safe system calls on plain integers; every source descriptor is
        // open, as the shim keeps its owner until after the spawn.
        unsafe {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(io::Error::last_os_error());
            }
            // An ignored signal stays ignored across exec: a server started by nohup would pass
            // that on.
            for signal in 1..=31 {
                libc::signal(signal, libc::SIG_DFL);
            }
            // The shim blocks every signal, and a mask stays across exec too.
            let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(none.as_mut_ptr());
            if libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) == -1 {
                return Err(io::Error::last_os_error());
            }
            for &(from, to) in &moves {
                if libc::dup2(from, to) == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
        }
        enter_sandbox()
    };
    // SAFETY: the closure keeps to what may be done between fork and exec, see above.
    unsafe { command.pre_exec(enter) };
}

/// Has the kernel kill this process when its parent ends. Changing the user id takes that back, so
/// it comes after.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes plain integers.
    let outcome = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets others go first by that much (`nice(2)`).
pub(crate) fn set_niceness(niceness: i32) -> io::Result<()> {
    // SAFETY: takes plain integers.
    let outcome = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Splits this process in two, which must have one thread.
pub(crate) fn fork_process() -> io::Result<ForkResult> {
    // SAFETY: with one thread nobody holds a lock, so the child may do everything.
    Ok(unsafe { fork() }?)
}

/// Puts a filter in force that asks, and gives back what the questions come out of
/// (`seccomp_unotify(2)`). Nothing can take it off again.
pub(crate) fn install_notify_filter(filter: &Program) -> io::Result<OwnedFd> {
    let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `program` points to `len` instructions, which have the kernel's layout
    // (`#[repr(C)]`), for the whole call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    match i32::try_from(fd) {
        Ok(fd) if fd >= 0 => take_received_fd(fd),
        _ => Err(io::Error::last_os_error()),
    }
}

/// A system call that waits for an answer.
#[derive(Debug)]
pub(crate) struct Notification {
    pub id: u64,
    pub pid: u32,
    pub call: i64,
    pub arguments: [u64; 6],
}

/// Takes the next notification. An error when its asker is gone.
pub(crate) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: a structure of plain integers; the kernel wants it zeroed.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel fills in a structure of the size that the request names.
    let outcome = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut notification,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    let libc::seccomp_notif { id, pid, data, .. } = notification;
    Ok(Notification {
        id,
        pid,
        call: data.nr.into(),
        arguments: data.args,
    })
}

/// Answers a notification. An error when its asker is gone.
pub(crate) fn send_response(
    listener: BorrowedFd<'_>,
    id: u64,
    answer: NotifyResponse,
) -> io::Result<()> {
    let low = |flag: libc::c_ulong| u32::try_from(flag).unwrap_or(0);
    let (error, flags) = match answer {
        NotifyResponse::Deny(errno) => (-(errno as i32), 0),
        NotifyResponse::ReturnZero => (0, 0),
        NotifyResponse::Continue => (0, low(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE)),
        NotifyResponse::Socket(socket, goes_at_exec) => {
            let addition = libc::seccomp_notif_addfd {
                id,
                // The call returns the number of the new descriptor.
                flags: low(libc::SECCOMP_ADDFD_FLAG_SEND),
                srcfd: socket.as_raw_fd().unsigned_abs(),
                newfd: 0,
                newfd_flags: if goes_at_exec {
                    libc::O_CLOEXEC.unsigned_abs()
                } else {
                    0
                },
            };
            // SAFETY: the kernel reads a structure of the size that the request names.
            let outcome = unsafe {
                libc::ioctl(
                    listener.as_raw_fd(),
                    libc::SECCOMP_IOCTL_NOTIF_ADDFD,
                    &raw const addition,
                )
            };
            return if outcome < 0 {
                Err(io::Error::last_os_error())
            } else {
                Ok(())
            };
        }
    };
    let response = libc::seccomp_notif_resp {
        id,
        val: 0,
        error,
        flags,
    };
    // SAFETY: the kernel reads a structure of the size that the request names.
    let outcome = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw const response,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

//! The one module with `unsafe` code: what happens between `fork` and `exec`, and what no safe wrapper offers.
//!
//! Everything called between fork and exec is async-signal-safe: plain system calls, no allocation, no lock.

#![expect(unsafe_code, reason = "this is the reviewed place for it; see each SAFETY comment")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// Closes every descriptor from `first` on. What a server inherited from whoever started it without
/// `O_CLOEXEC` would otherwise reach user code.
pub(crate) fn close_fds_from(first: RawFd) -> io::Result<()> {
    let first = u32::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: called at the very start of the shim, before any object owns a descriptor from `first` on.
    let outcome = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes ownership of a descriptor that the kernel has just made for us (`SCM_RIGHTS`).
pub(crate) fn take_received_fd(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the caller got the number out of a control message, so it is open and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Prepares `command` to become a session leader with default signal handlers, the descriptors in
/// `moves` (from, to) at their places, and a death of its own when the shim dies.
///
/// The shim has one thread, so the parent-death signal cannot fire early (it is tied to the *thread* that
/// forked, `prctl(2)`). No source of a move may be the target of another one.
pub(crate) fn prepare_child(command: &mut Command, moves: Vec<(RawFd, RawFd)>) {
    let enter = move || {
        // SAFETY: only async-signal-safe system calls on plain integers; every source descriptor is open,
        // as the shim keeps its owner until after the spawn.
        unsafe {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(io::Error::last_os_error());
            }
            // An ignored signal stays ignored across exec: a server started by nohup would pass that on.
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
        Ok(())
    };
    // SAFETY: the closure keeps to what may be done between fork and exec, see above.
    unsafe { command.pre_exec(enter) };
}

//! The only module with `unsafe` code: the steps between `fork` and `exec`, and system calls
//! without a safe wrapper.
//!
//! The unsafe code between `fork` and `exec` is async-signal-safe: it makes plain system calls,
//! allocates nothing and takes no lock.

#![expect(clippy::disallowed_methods, reason = "programs are started here")]
#![expect(
    unsafe_code,
    reason = "this module is reviewed for it; see each SAFETY comment"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid, fork, getppid};
use seccompiler::BpfProgram;

/// Selects the signal of a descriptor with `O_ASYNC` (`asm-generic/fcntl.h`). `libc` lacks it.
const F_SETSIG: libc::c_int = 10;

/// Sets flags of a listener (`linux/seccomp.h`, Linux 6.6). `libc` lacks both constants.
const SECCOMP_IOCTL_NOTIF_SET_FLAGS: libc::c_ulong = 0x4008_2104;
const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: libc::c_ulong = 1;

/// Closes every descriptor from `first` on. Descriptors without `O_CLOEXEC` that the server
/// inherited would otherwise reach session code.
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

/// Takes ownership of a descriptor that the kernel has just created for this process, for example
/// from `SCM_RIGHTS`.
pub(crate) fn take_received_fd(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    // SAFETY: the kernel has just returned this number to the caller, so the descriptor is open and
    // has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives the forked child of a shim default signal handlers. Ignored signals stay ignored across
/// exec, and a server that was started by nohup would pass them on. The child still blocks every
/// signal.
pub(crate) fn reset_signal_handlers() {
    for signal in 1..=31 {
        // SAFETY: the call takes plain integers. It fails for the two signals that have no handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Prepares `command`, which the forked child of a shim will execute, to become a session leader
/// that blocks no signal and has the descriptors in `moves` (from, to). The source of a move must
/// not be the target of another.
///
/// `enter_sandbox` runs last. It may allocate: the shim has one thread, so no other thread can hold
/// a lock during the fork.
pub(crate) fn prepare_exec(
    command: &mut Command,
    moves: Vec<(RawFd, RawFd)>,
    mut enter_sandbox: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    let enter = move || {
        // SAFETY: these are async-signal-safe system calls on plain integers. Every source
        // descriptor is open, because the child keeps its owner until the exec.
        unsafe {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            // The signal mask also stays across exec, and the shim blocks every signal.
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
    // SAFETY: the closure does only what is allowed between fork and exec, as explained above.
    unsafe { command.pre_exec(enter) };
}

/// Makes the kernel kill this process when `parent` ends. Fails if it has ended already. Call this
/// again after changing the user id, which resets the setting.
///
/// The signal depends on the *thread* that forked (`prctl(2)`). The shim has one thread, so the
/// signal cannot fire early.
pub(crate) fn die_with_parent(parent: Pid) -> io::Result<()> {
    // SAFETY: the call takes plain integers.
    let outcome = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    if getppid() != parent {
        return Err(Errno::ESRCH.into());
    }
    Ok(())
}

/// The receivers of the signal of [`resume_on_input`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Resumed {
    /// This process.
    Process,
    /// Every process of the group that this process leads.
    Group,
}

/// Makes the kernel send SIGCONT to `resumed` whenever data arrives at `socket`, and when the other
/// end closes (`O_ASYNC`, `fcntl(2)`). SIGCONT resumes a stopped process and discards a stop that
/// is pending, even if it is blocked.
///
/// The kernel sends no signal while a process waits in a read of the socket. Wait with `poll`
/// before each read.
pub(crate) fn resume_on_input(socket: BorrowedFd<'_>, resumed: Resumed) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    // SAFETY: the calls take plain integers, and `socket` keeps the descriptor open.
    let outcomes = unsafe {
        let flags = libc::fcntl(fd, libc::F_GETFL);
        let owner = match resumed {
            Resumed::Process => libc::getpid(),
            Resumed::Group => -libc::getpid(),
        };
        [
            flags,
            libc::fcntl(fd, libc::F_SETOWN, owner),
            libc::fcntl(fd, F_SETSIG, libc::SIGCONT),
            libc::fcntl(fd, libc::F_SETFL, flags | libc::O_ASYNC),
        ]
    };
    if outcomes.contains(&-1) {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Raises the niceness of this process to at least this value (`nice(2)`). Only root may lower it,
/// so a program of a server that runs under `nice` stays as nice as the server.
pub(crate) fn raise_niceness(niceness: i32) -> io::Result<()> {
    // SAFETY: the calls take plain integers.
    let outcome = unsafe {
        if libc::getpriority(libc::PRIO_PROCESS, 0) >= niceness {
            return Ok(());
        }
        libc::setpriority(libc::PRIO_PROCESS, 0, niceness)
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The size from which the allocator takes memory for a buffer from the system, and returns it when
/// the buffer is freed. It is the initial value of glibc.
const MMAP_THRESHOLD: libc::c_int = 128 * 1024;

/// Makes the allocator return the memory of large buffers when they are freed. By default it raises
/// its threshold with each such buffer, up to 32 MiB, and then keeps smaller ones for itself. Does
/// nothing with other C libraries than glibc.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes plain integers and is safe in every thread (`mallopt(3)`).
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
        libc::mallopt(libc::M_TRIM_THRESHOLD, MMAP_THRESHOLD);
    }
}

/// Returns freed memory to the system that the allocator has kept, because memory between it and
/// the end of the heap is in use. Takes some milliseconds, so it blocks. Does nothing with other C
/// libraries than glibc.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes a plain integer and is safe in every thread (`malloc_trim(3)`).
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Forks this process, which must have one thread.
pub(crate) fn fork_process() -> io::Result<ForkResult> {
    // SAFETY: the process has one thread, so no lock is held and the child may run any code.
    Ok(unsafe { fork() }?)
}

/// Installs a filter that sends notifications, and returns the listener that receives them
/// (`seccomp_unotify(2)`). The filter cannot be removed.
pub(crate) fn install_notify_filter(filter: &BpfProgram) -> io::Result<OwnedFd> {
    let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: during the call `program` points to `len` instructions, which have the kernel's
    // layout (`#[repr(C)]`).
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

/// Makes the kernel run the handler of a notification on the processor of the calling process,
/// which waits meanwhile, and the other way around. It would otherwise wake another processor for
/// each.
pub(crate) fn switch_to_handler(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes plain integers.
    let outcome = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A system call that waits for a response.
#[derive(Debug)]
pub(crate) struct Notification {
    pub id: u64,
    pub pid: u32,
    pub call: i64,
    pub arguments: [u64; 6],
}

/// Receives the next notification. Fails if the calling process is gone.
pub(crate) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: the structure consists of integers, and the kernel requires zeros.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes a structure of the size that the request encodes.
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

/// A response to a [`Notification`].
#[derive(Debug)]
pub(crate) enum NotifyResponse {
    /// The call fails with this error.
    Deny(Errno),
    /// The call returns 0 without effect.
    ReturnZero,
    /// The kernel executes the call.
    Continue,
    /// The call returns a duplicate of this socket.
    Socket {
        socket: OwnedFd,
        close_on_exec: bool,
    },
}

/// Responds to a notification. Fails if the calling process is gone.
pub(crate) fn send_response(
    listener: BorrowedFd<'_>,
    id: u64,
    response: NotifyResponse,
) -> io::Result<()> {
    let low = |flag: libc::c_ulong| u32::try_from(flag).unwrap_or(0);
    let (error, flags) = match response {
        NotifyResponse::Deny(errno) => (-(errno as i32), 0),
        NotifyResponse::ReturnZero => (0, 0),
        NotifyResponse::Continue => (0, low(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE)),
        NotifyResponse::Socket {
            socket,
            close_on_exec,
        } => {
            let addition = libc::seccomp_notif_addfd {
                id,
                // Adds the descriptor and returns its number from the call in one step.
                flags: low(libc::SECCOMP_ADDFD_FLAG_SEND),
                srcfd: socket.as_raw_fd().unsigned_abs(),
                newfd: 0,
                newfd_flags: if close_on_exec {
                    libc::O_CLOEXEC.unsigned_abs()
                } else {
                    0
                },
            };
            // SAFETY: the kernel reads a structure of the size that the request encodes.
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
    // SAFETY: the kernel reads a structure of the size that the request encodes.
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

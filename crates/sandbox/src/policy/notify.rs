//! The one Unix socket that confined code can reach, without letting it make sockets.
//!
//! Where a door is, making a Unix socket and connecting one are asked about (`seccomp_unotify(2)`),
//! and the shim answers. The program that the door is for gets a socket that the shim has connected
//! already, to the one place there is; its own call of `connect` is told that it succeeded. So
//! nothing depends on what the asker's memory holds, which could change between a look and the
//! call. Everybody else is refused.
//!
//! The asker is told by its name, which anyone can take. That gives nothing away: behind the door
//! is only what the code of a session may reach anyway. It keeps other programs, which would try a
//! socket of their own (the C library looks for its cache daemon), from talking to a stranger.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use serde::{Deserialize, Serialize};

use crate::sys;

/// The one Unix socket that a program can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixSocketBroker {
    /// The executable that may use it.
    pub program: PathBuf,
    /// The socket. Not followed if it is a link.
    pub socket: PathBuf,
}

/// The length of an IPv4 address for `connect(2)`; the calls that have it are not asked about.
pub(crate) const IPV4_ADDRESS_BYTES: u32 = 16;

/// The same of IPv6, which is for Landlock to judge.
const IPV6_ADDRESS_BYTES: u64 = 28;

/// The kernel cuts a process's name here (`proc_pid_comm(5)`).
const NAME_BYTES: usize = 15;

/// What the shim answers a question with.
#[derive(Debug)]
pub(crate) enum NotifyResponse {
    /// The call fails.
    Deny(Errno),
    /// The call returns 0 and has done nothing.
    ReturnZero,
    /// The kernel goes on with the call.
    Continue,
    /// The call returns a socket that is connected. The second is whether it goes at the next
    /// `exec`.
    Socket(OwnedFd, bool),
}

/// Answers for a broker.
pub(crate) struct NotifyHandler {
    listener: OwnedFd,
    broker: UnixSocketBroker,
}

impl NotifyHandler {
    pub fn new(listener: OwnedFd, broker: &UnixSocketBroker) -> NotifyHandler {
        NotifyHandler {
            listener,
            broker: broker.clone(),
        }
    }

    /// Readable when there is a notification.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Answers one notification. An asker may be gone by then, which is nobody's fault.
    pub fn answer(&self) {
        let Ok(notification) = sys::receive_notification(self.listener()) else {
            return;
        };
        let answer = if self.is_for(notification.pid) {
            self.serve(&notification)
        } else {
            refuse(&notification)
        };
        let _ = sys::send_response(self.listener(), notification.id, answer);
    }

    fn is_for(&self, pid: u32) -> bool {
        let name = self
            .broker
            .program
            .file_name()
            .unwrap_or_default()
            .as_encoded_bytes();
        let name = &name[..name.len().min(NAME_BYTES)];
        fs::read(format!("/proc/{pid}/comm"))
            .is_ok_and(|comm| comm.strip_suffix(b"\n") == Some(name))
    }

    fn serve(&self, notification: &sys::Notification) -> NotifyResponse {
        if notification.call != libc::SYS_socket {
            return NotifyResponse::ReturnZero;
        }
        let kind = notification.arguments[1];
        let has = |flag: i32| kind & u64::from(flag.unsigned_abs()) != 0;
        match connect_to(&self.broker.socket, has(libc::SOCK_NONBLOCK)) {
            Ok(socket) => NotifyResponse::Socket(socket, has(libc::SOCK_CLOEXEC)),
            Err(error) => NotifyResponse::Deny(error),
        }
    }
}

fn refuse(notification: &sys::Notification) -> NotifyResponse {
    let is_ipv6 =
        notification.call == libc::SYS_connect && notification.arguments[2] == IPV6_ADDRESS_BYTES;
    if is_ipv6 {
        NotifyResponse::Continue
    } else {
        NotifyResponse::Deny(Errno::EACCES)
    }
}

/// A connection to `path`, which must be a socket and no link to one. Does not wait: a daemon that
/// takes nobody keeps nobody else waiting.
fn connect_to(path: &Path, nonblocking: bool) -> Result<OwnedFd, Errno> {
    let place = open_socket(path)
        .map_err(|error| error.raw_os_error().map_or(Errno::EACCES, Errno::from_raw))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(format!("/proc/self/fd/{}", place.as_raw_fd()).as_str())?;
    connect(socket.as_raw_fd(), &address)?;
    if !nonblocking {
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::empty()))?;
    }
    Ok(socket)
}

fn open_socket(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if file.metadata()?.file_type().is_socket() {
        Ok(file)
    } else {
        Err(Errno::ENOTSOCK.into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_socket_is_reached_and_a_link_to_one_is_not() {
        let dir = tempfile::tempdir().expect("a dir");
        let path = dir.path().join("s.sock");
        let listener = UnixListener::bind(&path).expect("bound");
        let link = dir.path().join("link.sock");
        std::os::unix::fs::symlink(&path, &link).expect("linked");
        let connection = connect_to(&path, false).expect("connected");
        assert!(listener.accept().is_ok());
        drop(connection);
        assert_eq!(connect_to(&link, false).err(), Some(Errno::ENOTSOCK));
        assert_eq!(
            connect_to(&dir.path().join("none"), false).err(),
            Some(Errno::ENOENT)
        );
    }
}

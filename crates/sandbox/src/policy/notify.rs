//! Connects sandboxed code to one Unix socket without allowing it to create sockets.
//!
//! If a policy has a [`UnixSocketBroker`], the kernel notifies the shim when a program creates a
//! Unix socket or connects one (`seccomp_unotify(2)`). The broker's program receives a socket that
//! the shim has already connected, and its `connect` call returns success without effect. The
//! decision does not depend on the caller's memory, which could change between check and use. All
//! other programs are denied.
//!
//! The shim recognizes the program by its process name, which any program can set. This is
//! harmless, because session code may use the socket anyway. The check only prevents other programs
//! from connecting to the wrong server: the C library, for example, looks for its cache daemon.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::policy::sandbox_policy::UnixSocketBroker;
use crate::sys::{self, Notification, NotifyResponse};

/// The length of an IPv6 address in `connect(2)`. Landlock checks these calls.
const IPV6_ADDRESS_BYTES: u64 = 28;

/// Maximum length of a process name (`proc_pid_comm(5)`).
const NAME_BYTES: usize = 15;

/// The responder to the notifications of a program.
pub(crate) struct NotifyHandler {
    listener: OwnedFd,
    broker: UnixSocketBroker,
}

impl NotifyHandler {
    pub fn new(listener: OwnedFd, broker: &UnixSocketBroker) -> NotifyHandler {
        // Fails before Linux 6.6. Notifications then only take longer.
        let _ = sys::switch_to_handler(listener.as_fd());
        NotifyHandler {
            listener,
            broker: broker.clone(),
        }
    }

    /// Returns the listener, which is readable if there is a notification.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Handles one notification. Errors are ignored, because the calling process may have ended.
    pub fn handle(&self) {
        let Ok(notification) = sys::receive_notification(self.listener()) else {
            return;
        };
        let response = if self.is_for_program(notification.pid) {
            self.connect(&notification)
        } else {
            deny(&notification)
        };
        let _ = sys::send_response(self.listener(), notification.id, response);
    }

    fn is_for_program(&self, pid: u32) -> bool {
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

    fn connect(&self, notification: &Notification) -> NotifyResponse {
        if notification.call != libc::SYS_socket {
            return NotifyResponse::ReturnZero;
        }
        let kind = notification.arguments[1];
        let has = |flag: i32| kind & u64::from(flag.unsigned_abs()) != 0;
        match connect_to(&self.broker.socket, has(libc::SOCK_NONBLOCK)) {
            Ok(socket) => NotifyResponse::Socket {
                socket,
                close_on_exec: has(libc::SOCK_CLOEXEC),
            },
            Err(error) => NotifyResponse::Deny(error),
        }
    }
}

fn deny(notification: &Notification) -> NotifyResponse {
    let is_ipv6 =
        notification.call == libc::SYS_connect && notification.arguments[2] == IPV6_ADDRESS_BYTES;
    if is_ipv6 {
        NotifyResponse::Continue
    } else {
        NotifyResponse::Deny(Errno::EACCES)
    }
}

/// Connects to the socket at `path`, which must not be a symbolic link. Does not block, so a daemon
/// that accepts no connections does not delay the shim.
fn connect_to(path: &Path, nonblocking: bool) -> Result<OwnedFd, Errno> {
    let target = open_socket(path)
        .map_err(|error| error.raw_os_error().map_or(Errno::EACCES, Errno::from_raw))?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(format!("/proc/self/fd/{}", target.as_raw_fd()).as_str())?;
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
    fn it_connects_to_a_socket_and_not_to_a_link() {
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

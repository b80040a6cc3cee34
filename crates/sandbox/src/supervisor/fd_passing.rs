//! Passes descriptors over Unix sockets (`SCM_RIGHTS`, `unix(7)`).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::sys;

/// Sends `bytes`, and duplicates of `fds` with them. `bytes` must fit into the socket's buffer.
pub(crate) fn send_with_fds(socket: &impl AsRawFd, bytes: &[u8], fds: &[RawFd]) -> io::Result<()> {
    let rights = [ControlMessage::ScmRights(fds)];
    let rights = if fds.is_empty() {
        &rights[..0]
    } else {
        &rights[..]
    };
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        rights,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Fills `bytes`, and returns how many bytes arrived and the descriptors that came with them.
pub(crate) fn receive_with_fds(
    socket: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket, bytes, MsgFlags::MSG_WAITALL)
}

/// Receives at most `bytes` from a socket that does not block, and returns how many bytes arrived
/// and the descriptors that came with them. 0 bytes are the end of the stream.
pub(crate) fn receive_part_with_fds(
    socket: &impl AsRawFd,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket, bytes, MsgFlags::MSG_DONTWAIT)
}

fn receive(
    socket: &impl AsRawFd,
    bytes: &mut [u8],
    flags: MsgFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = cmsg_space!([RawFd; 16]);
    let mut fds = Vec::new();
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = flags | MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            for fd in received {
                fds.push(sys::take_received_fd(fd)?);
            }
        }
    }
    Ok((message.bytes, fds))
}

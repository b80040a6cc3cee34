//! Passes descriptors over Unix sockets (`SCM_RIGHTS`, `unix(7)`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

/// The maximum number of descriptors in a message (`SCM_MAX_FD` in the kernel).
const MAX_FDS: usize = 253;

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

/// Fills `bytes`, and returns how many bytes arrived and the descriptors that came with them. Fails
/// with `EMFILE` if this process cannot have that many.
pub(crate) fn receive_with_fds(
    socket: &UnixStream,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket, bytes, RecvFlags::WAITALL)
}

/// Receives at most `bytes` from a socket that does not block, and returns how many bytes arrived
/// and the descriptors that came with them. 0 bytes are the end of the stream. Fails with `EMFILE`
/// if this process cannot have that many.
pub(crate) fn receive_part_with_fds(
    socket: &impl AsFd,
    bytes: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    receive(socket, bytes, RecvFlags::DONTWAIT)
}

fn receive(
    socket: &impl AsFd,
    bytes: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    // Owns the descriptors that have arrived, also those of a truncated message.
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut parts, &mut control, flags)?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    // The space suffices for every message, so the kernel could not create all descriptors.
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::MFILE.into());
    }
    Ok((message.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_descriptor_of_a_message_has_an_owner() {
        let (near, far) = UnixStream::pair().expect("a pair");
        let passed = vec![near.as_raw_fd(); MAX_FDS];
        send_with_fds(&near, b"x", &passed).expect("sent");
        let (bytes, fds) = receive_with_fds(&far, &mut [0; 1]).expect("received");
        assert_eq!((bytes, fds.len()), (1, MAX_FDS));
    }
}

//! The server's handle to the privileged process that starts shims.
//!
//! The server sends requests of fixed size, each with descriptors:
//!
//! - `S`, the user, and the control socket of the shim. The reply is the shim's process id, or
//!   minus an errno.
//! - `C`, the user, and up to 16 directories to give to the user. The reply is 0, or minus an
//!   errno.
//!
//! The `monitor` module answers them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::{Gid, Uid, fchown};

use crate::policy::user::{Ids, SandboxUser, UserIds};
use crate::supervisor::fd_passing::{receive_with_fds, send_with_fds};

/// Request to start a shim.
pub(crate) const SPAWN: u8 = b'S';

/// Request to change the owner of directories.
pub(crate) const CHOWN: u8 = b'C';

/// Size of a request, in bytes.
const REQUEST_BYTES: usize = 1 + SandboxUser::BYTES;

/// A handle to the privileged process that starts shims. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spawner {
    stream: Arc<Mutex<UnixStream>>,
    ids: UserIds,
}

impl Spawner {
    pub(crate) fn new(stream: UnixStream, ids: UserIds) -> Spawner {
        Spawner {
            stream: Arc::new(Mutex::new(stream)),
            ids,
        }
    }

    /// Returns the ids that it gives to programs.
    pub fn ids(&self) -> UserIds {
        self.ids
    }

    /// Starts a shim with this control socket and returns its process id. Blocks for about a
    /// millisecond.
    pub(crate) fn spawn(&self, user: SandboxUser, control: &OwnedFd) -> io::Result<i32> {
        self.request(SPAWN, user, &[control.as_raw_fd()])
    }

    /// Changes the owner of directories that belong to the server. Blocks.
    pub(crate) fn chown_dirs(&self, user: SandboxUser, dirs: &[File]) -> io::Result<()> {
        let dirs: Vec<RawFd> = dirs.iter().map(AsRawFd::as_raw_fd).collect();
        self.request(CHOWN, user, &dirs).map(drop)
    }

    fn request(&self, kind: u8, user: SandboxUser, fds: &[RawFd]) -> io::Result<i32> {
        let [a, b, c] = user.encode();
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        send_with_fds(&*stream, &[kind, a, b, c], fds)?;
        let mut response = [0; 4];
        stream.read_exact(&mut response)?;
        let response = i32::from_ne_bytes(response);
        if response < 0 {
            Err(io::Error::from_raw_os_error(-response))
        } else {
            Ok(response)
        }
    }
}

/// A request as the privileged process receives it.
pub(crate) struct Request {
    pub kind: u8,
    pub user: SandboxUser,
    pub fds: Vec<OwnedFd>,
}

impl Request {
    /// Waits for a request. Fails with [`io::ErrorKind::InvalidData`] if it is malformed.
    pub(crate) fn receive(stream: &UnixStream) -> io::Result<Request> {
        let mut request = [0; REQUEST_BYTES];
        let (bytes, fds) = receive_with_fds(stream, &mut request)?;
        if bytes != REQUEST_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let [kind, a, b, c] = request;
        let user = SandboxUser::decode([a, b, c]).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Request { kind, user, fds })
    }
}

/// Changes the owner of one directory.
pub(crate) fn chown_dir(ids: Ids, dir: &File) -> io::Result<()> {
    Ok(fchown(
        dir,
        Some(Uid::from_raw(ids.uid)),
        Some(Gid::from_raw(ids.gid)),
    )?)
}

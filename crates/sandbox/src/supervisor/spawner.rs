//! The server's handle to the privileged process that starts shims.
//!
//! The server sends requests of fixed size, each with descriptors:
//!
//! - `S`, the user, and the control socket of the shim. The reply is the shim's process id, or
//!   minus an errno.
//! - `C`, the user, and up to 16 directories to give to the user. The reply is 0, or minus an
//!   errno.
//! - `O`, and the number of a file instead of a user's index. The reply is 0 with a descriptor, or
//!   minus an errno. The server named all files before it gave up its privileges.
//!
//! The `monitor` module answers them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, fchown};

use crate::policy::user::{Ids, SandboxUser, UserIds, UserRole};
use crate::supervisor::fd_passing::{receive_with_fds, send_with_fds};

/// Request to start a shim.
pub(crate) const SPAWN: u8 = b'S';

/// Request to change the owner of directories.
pub(crate) const CHOWN: u8 = b'C';

/// Request to open a file again.
pub(crate) const OPEN: u8 = b'O';

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

    /// Opens a file again that only the privileged process may read. `index` is its position in the
    /// list that [`fork_privileged`](crate::fork_privileged) got. Fails with `EINVAL` for anything
    /// that is not a regular file. Blocks.
    pub fn open_file(&self, index: u16) -> io::Result<File> {
        let file = SandboxUser {
            index,
            role: UserRole::Server,
        };
        let [a, b, c] = file.encode();
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        send_with_fds(&*stream, &[OPEN, a, b, c], &[])?;
        let mut response = [0; 4];
        let (bytes, fds) = receive_with_fds(&stream, &mut response)?;
        if bytes != response.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        decode_response(response)?;
        let file = fds.into_iter().next().map(File::from);
        file.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn request(&self, kind: u8, user: SandboxUser, fds: &[RawFd]) -> io::Result<i32> {
        let [a, b, c] = user.encode();
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        send_with_fds(&*stream, &[kind, a, b, c], fds)?;
        let mut response = [0; 4];
        stream.read_exact(&mut response)?;
        decode_response(response)
    }
}

/// Returns the result in a response of the privileged process.
fn decode_response(response: [u8; 4]) -> io::Result<i32> {
    let response = i32::from_ne_bytes(response);
    if response < 0 {
        Err(io::Error::from_raw_os_error(-response))
    } else {
        Ok(response)
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

/// Opens a regular file for reading. Does not wait for the writer of a pipe. Fails with `EINVAL`
/// for anything that is not a regular file.
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::from_raw_os_error(nix::libc::EINVAL))
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

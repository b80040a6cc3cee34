//! The policy of a program: its files, ports, system calls, Unix sockets and limits.
//!
//! These types are data. The launcher sends them to the shim, and the `apply` module enforces them
//! between `fork` and `exec`.
//!
//! The layers are independent, so a hole in one does not open the others:
//!
//! - a separate user id, if the process can change ids;
//! - Landlock for files, TCP ports and signals (`landlock(7)`);
//! - seccomp for operations that Landlock does not cover (`seccomp(2)`);
//! - resource limits (`getrlimit(2)`).
//!
//! A process cannot remove any of them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The rights of a program and of everything that it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxPolicy {
    /// The only files that it can access. Paths that do not exist are ignored.
    pub files: Vec<Grant>,
    /// The TCP ports that it can connect to, on any address. Landlock has no rules for addresses.
    pub connect_ports: Vec<u16>,
    /// The system calls that are denied.
    pub syscalls: Syscalls,
    /// The Unix sockets that it can create and connect to.
    pub unix_sockets: UnixSockets,
    /// Its resource limits.
    pub limits: Limits,
}

/// Access to a file, or to a directory and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The file or directory.
    pub path: PathBuf,
    /// The kind of access.
    pub access: Access,
}

/// A kind of access to files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read and list.
    Read,
    /// Read, list and execute.
    Execute,
    /// Read and write existing files, such as devices.
    ReadWrite,
    /// Create, read, write and remove files by name, but not list them. For directories that
    /// unrelated programs share.
    ReadWriteUnlisted,
    /// Everything.
    Full,
}

/// A set of denied system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Syscalls {
    /// The set for untrusted code.
    Code,
    /// The set for browsers. It allows what a browser needs for its own sandbox: namespaces, and
    /// priorities of its threads.
    Browser,
}

/// Access to Unix sockets.
///
/// Landlock checks a socket's path only from ABI 9 (Linux 7.1). A program that can create sockets
/// can therefore connect to every socket whose file permissions allow it. Stream socket pairs are
/// always allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnixSockets {
    /// Programs cannot create Unix sockets, and cannot listen on any socket.
    Denied,
    /// Programs can create all types except datagram sockets, and can listen.
    Allowed,
    /// Only one program can create a Unix socket, and receives one that is already connected.
    Brokered(UnixSocketBroker),
}

/// Access of one program to one Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixSocketBroker {
    /// The executable that can use the socket.
    pub program: PathBuf,
    /// The path of the socket. Symbolic links are not followed.
    pub socket: PathBuf,
}

/// Resource limits of a program (`getrlimit(2)`). None keeps the inherited limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open files per process.
    pub open_files: Option<u64>,
    /// Maximum size of a file.
    pub file_bytes: Option<u64>,
    /// Bytes of private memory per process.
    pub data_bytes: Option<u64>,
    /// Processes and threads of its user id. The kernel does not enforce it for root, and it is
    /// useless for a user id that several sessions share.
    pub processes: Option<u64>,
    /// Scheduling priority: 0 is normal, 19 is the lowest (`nice(2)`).
    pub niceness: i32,
}

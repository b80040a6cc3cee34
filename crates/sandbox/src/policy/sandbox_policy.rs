//! What a program may do: its files, its ports, its system calls, its limits. Made by whoever
//! starts programs, carried to the shim with the order, and put in force between `fork` and `exec`.
//!
//! The layers are independent of each other, so that a hole in one is not a hole in the house:
//! another user id (if the process may switch), Landlock for files, TCP ports and signals
//! (`landlock(7)`), seccomp for what Landlock does not see (`seccomp(2)`), limits for what neither
//! does (`getrlimit(2)`). None can be taken off again.

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use serde::{Deserialize, Serialize};

use crate::policy::landlock as files;
use crate::policy::notify::UnixSocketBroker;
use crate::policy::seccomp::{self as syscalls, Program};
use crate::sys;

/// What a program, and everything that it starts, may do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SandboxPolicy {
    /// Of the machine's files, these and no others. What is not there is left out.
    pub files: Vec<Grant>,
    /// The TCP ports that may be connected to, on any address: Landlock knows ports only.
    pub connect_ports: Vec<u16>,
    /// Which system calls are refused.
    pub syscalls: Syscalls,
    /// Which Unix sockets may be made and connected to.
    pub unix_sockets: UnixSockets,
    /// What the program may use up.
    pub limits: Limits,
}

/// One file or dir, everything below it included, and what may be done there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Which one.
    pub path: PathBuf,
    /// What may be done.
    pub access: Access,
}

/// What may be done with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read and list.
    Read,
    /// Read, list and execute.
    Execute,
    /// Read and write files that are there, as devices are.
    ReadWrite,
    /// Make, read, write and remove files by their names, but not list them: for folders that
    /// strangers share.
    ReadWriteUnlisted,
    /// Everything.
    Full,
}

/// Which system calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Syscalls {
    /// As for code of strangers.
    Code,
    /// The same, less what a browser needs to build its own sandbox: namespaces, and priorities of
    /// its threads.
    Browser,
}

/// What may be done with Unix sockets. Landlock sees a socket's path only from ABI 9 on (Linux
/// 7.1), so a program that may make sockets may connect to every one whose file permissions allow
/// it. Pairs of streams are always possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnixSockets {
    /// None can be made, and nothing can be listened on.
    Denied,
    /// All but datagrams, also to listen on.
    Allowed,
    /// None can be made, except by one program: what it gets is connected to one place already.
    Brokered(UnixSocketBroker),
}

/// What a program may use up (`getrlimit(2)`). None is no limit of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Bytes of one file.
    pub file_bytes: Option<u64>,
    /// Bytes of private memory of one process.
    pub data_bytes: Option<u64>,
    /// Processes and threads of its user id; not in force for root, and useless where the id is
    /// shared.
    pub processes: Option<u64>,
    /// How much it steps back for others when the processor is busy, 0 to 19 (`nice(2)`).
    pub niceness: i32,
}

/// Folders that every program may use, which a [`PrivateTmp`](crate::PrivateTmp) makes a session's
/// own.
const SHARED_DIRS: [&str; 2] = ["/tmp", "/dev/shm"];

/// A user and a group id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub uid: u32,
    pub gid: u32,
}

/// A policy that is ready to be put in force by the child: everything that can fail with a
/// reason has been done.
pub(crate) struct PreparedPolicy {
    ruleset: Option<landlock::RulesetCreated>,
    filters: Vec<Program>,
    /// The filter that asks the shim, if there is a broker.
    notify: Option<Program>,
    limits: Limits,
}

impl PreparedPolicy {
    /// To be called in the shim, when the program's view of the file system is the final one;
    /// `is_private` tells whether the folders for everybody in it are the session's own.
    pub fn new(policy: &SandboxPolicy, is_private: bool) -> io::Result<PreparedPolicy> {
        // Among strangers only a file's own name and permissions protect it.
        let access = if is_private {
            Access::Full
        } else {
            Access::ReadWriteUnlisted
        };
        let shared_dirs = SHARED_DIRS.map(|path| Grant {
            path: path.into(),
            access,
        });
        let notify =
            matches!(policy.unix_sockets, UnixSockets::Brokered(_)).then(syscalls::notify_filter);
        Ok(PreparedPolicy {
            ruleset: Some(files::ruleset(
                policy.files.iter().chain(&shared_dirs),
                &policy.connect_ports,
                policy.unix_sockets == UnixSockets::Allowed,
            )?),
            filters: syscalls::filters(policy.syscalls, &policy.unix_sockets)?,
            notify,
            limits: policy.limits,
        })
    }

    /// Puts everything in force in the calling process, which has one thread and is about to call
    /// `exec`. Gives back what the shim is asked by, if there is a broker.
    pub fn enter(&mut self) -> io::Result<Option<std::os::fd::OwnedFd>> {
        let ruleset = self.ruleset.take().ok_or(Errno::EINVAL)?;
        let status = ruleset.restrict_self().map_err(|_| Errno::EPERM)?;
        if status.ruleset == landlock::RulesetStatus::NotEnforced {
            return Err(Errno::ENOSYS.into());
        }
        let listener = self
            .notify
            .take()
            .map(|filter| sys::install_notify_filter(&filter))
            .transpose()?;
        for filter in &self.filters {
            seccompiler::apply_filter(filter).map_err(|_| Errno::EPERM)?;
        }
        Ok(listener)
    }

    /// Sets the limits, which needs the rights from before the ids are changed.
    pub fn limit(&self) -> io::Result<()> {
        // A core dump would hold what the memory held, and lie wherever the machine wants them.
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // When the machine runs out of memory, sessions go before the server does. Not everywhere
        // is there such a file.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let limits = [
            (Resource::RLIMIT_FSIZE, self.limits.file_bytes),
            (Resource::RLIMIT_DATA, self.limits.data_bytes),
            (Resource::RLIMIT_NPROC, self.limits.processes),
        ];
        for (resource, limit) in limits {
            set_limit(resource, limit)?;
        }
        sys::set_niceness(self.limits.niceness)
    }

    /// The same of open files. It comes after descriptors were handed over: how many of a user may
    /// be on their way at once is held against this limit of whoever sends one more (`unix(7)`),
    /// and others of the user may have many on their way.
    pub fn limit_files(&self) -> io::Result<()> {
        set_limit(Resource::RLIMIT_NOFILE, self.limits.open_files)
    }
}

fn set_limit(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    Ok(setrlimit(resource, limit, limit)?)
}

/// Becomes another user, for good, who is in no other groups than `groups`.
pub(crate) fn drop_privileges(ids: Ids, groups: &[u32]) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
    let (uid, gid) = (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid));
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    Ok(())
}

/// What a session's programs make is for each other, and for nobody else.
pub(crate) fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

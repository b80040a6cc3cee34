//! Enforces a policy between `fork` and `exec`.

use std::io;
use std::os::fd::OwnedFd;

use ::landlock::{RulesetCreated, RulesetStatus};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use seccompiler::BpfProgram;

use crate::policy::sandbox_policy::{Access, Grant, Limits, SandboxPolicy, UnixSockets};
use crate::policy::{bpf, landlock, seccomp};
use crate::sys;

/// Directories that every program can use. A [`PrivateTmp`](crate::PrivateTmp) makes them private
/// to a session.
const SHARED_DIRS: [&str; 2] = ["/tmp", "/dev/shm"];

/// A policy that the child can enforce. Creating it does all the work that can fail for a reason
/// worth reporting.
pub(crate) struct PreparedPolicy {
    ruleset: Option<RulesetCreated>,
    filters: Vec<BpfProgram>,
    /// The filter that notifies the shim, if the policy has a broker.
    notify: Option<BpfProgram>,
    limits: Limits,
}

impl PreparedPolicy {
    /// Prepares a policy. The shim must call this after all mounts are done, because paths are
    /// resolved here. `is_private` is true if the shared directories are private to the session.
    pub fn new(policy: &SandboxPolicy, is_private: bool) -> io::Result<PreparedPolicy> {
        // In a directory that sessions share, only names and permissions protect files, so programs
        // cannot list it.
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
            matches!(policy.unix_sockets, UnixSockets::Brokered(_)).then(bpf::notify_filter);
        Ok(PreparedPolicy {
            ruleset: Some(landlock::ruleset(
                policy.files.iter().chain(&shared_dirs),
                &policy.connect_ports,
                policy.unix_sockets == UnixSockets::Allowed,
            )?),
            filters: seccomp::filters(policy.syscalls, &policy.unix_sockets)?,
            notify,
            limits: policy.limits,
        })
    }

    /// Installs the seccomp filters in the calling process, which must have one thread. Returns the
    /// listener for notifications if the policy has a broker. The filters allow everything that a
    /// child does until its `exec`.
    pub fn install_filters(&mut self) -> io::Result<Option<OwnedFd>> {
        // Otherwise only root may install filters.
        prctl::set_no_new_privs()?;
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

    /// Enforces Landlock on the calling process, which must have one thread and call `exec` next.
    pub fn restrict_files(&mut self) -> io::Result<()> {
        let ruleset = self.ruleset.take().ok_or(Errno::EINVAL)?;
        let status = ruleset.restrict_self().map_err(|_| Errno::EPERM)?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err(Errno::ENOSYS.into());
        }
        Ok(())
    }

    /// Sets the resource limits except that of open files. Must run before the user ids change,
    /// because it needs the rights of the previous user.
    pub fn set_limits(&self) -> io::Result<()> {
        // A core dump would contain the memory, and the system decides where it is stored.
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // If the system runs out of memory, the kernel kills sessions before the server. The file
        // does not exist on every system.
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let limits = [
            (Resource::RLIMIT_FSIZE, self.limits.file_bytes),
            (Resource::RLIMIT_DATA, self.limits.data_bytes),
            (Resource::RLIMIT_NPROC, self.limits.processes),
        ];
        for (resource, limit) in limits {
            set_limit(resource, limit)?;
        }
        sys::raise_niceness(self.limits.niceness)
    }

    /// Sets the limit of open files. Must run after the listener was sent to the shim. The kernel
    /// compares the sender's limit with all descriptors of the user that are in flight (`unix(7)`),
    /// and other programs of the user may have sent many.
    pub fn set_open_files_limit(&self) -> io::Result<()> {
        set_limit(Resource::RLIMIT_NOFILE, self.limits.open_files)
    }
}

fn set_limit(resource: Resource, limit: Option<u64>) -> io::Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    Ok(setrlimit(resource, limit, limit)?)
}

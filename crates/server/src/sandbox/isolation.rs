//! The parts of the sandbox that all sessions of a server share: the isolation level and the
//! process that switches user ids.

use std::path::PathBuf;
use std::sync::Arc;

use hearth_sandbox::{Launcher, SandboxPolicy, Spawner, UserIds};
use nix::unistd::geteuid;
use tokio_util::task::TaskTracker;

use super::account::Accounts;
use super::trust::{CurrentTrust, TrustStore};
use crate::config::{CurrentLimits, IsolationLevel};

/// The server's own executable, which also acts as the shim. The path stays valid after a newer
/// version has replaced the file.
const SHIM: &str = "/proc/self/exe";

/// The isolation that all sessions of a server share.
#[derive(Clone, Debug)]
pub(crate) struct Isolation {
    pub level: IsolationLevel,
    uid_switch: UidSwitch,
    pub limits: CurrentLimits,
    /// Directories of interpreters outside of the system's and the toolchain's directories.
    pub interpreters: Vec<PathBuf>,
    /// The users of the machine.
    pub accounts: Arc<Accounts>,
    /// The certificate authorities that new sessions trust.
    pub trust: CurrentTrust,
}

/// The process that changes the user id of a program before it starts.
#[derive(Clone, Debug)]
enum UidSwitch {
    /// No process: programs keep the server's user id.
    Disabled,
    /// This process, which runs as root.
    InProcess(UserIds),
    /// The privileged half of the server.
    Spawner(Spawner),
}

impl Isolation {
    /// Creates an isolation whose programs run under the server's user id. Blocks.
    pub fn new(
        level: IsolationLevel,
        limits: CurrentLimits,
        interpreters: Vec<PathBuf>,
    ) -> Isolation {
        Isolation {
            level,
            uid_switch: UidSwitch::Disabled,
            limits,
            interpreters,
            accounts: Arc::new(Accounts::read()),
            trust: CurrentTrust::default(),
        }
    }

    /// Makes programs switch user ids through the spawner.
    pub fn with_spawner(self, spawner: Spawner) -> Isolation {
        Isolation {
            uid_switch: UidSwitch::Spawner(spawner),
            ..self
        }
    }

    /// Makes programs switch user ids in this process, which must be root.
    pub fn with_ids(self, ids: UserIds) -> Isolation {
        Isolation {
            uid_switch: UidSwitch::InProcess(ids),
            ..self
        }
    }

    /// Returns an isolation that differs only in the authorities that sessions trust.
    pub fn trusting(&self, trust: TrustStore) -> Isolation {
        Isolation {
            trust: trust.into(),
            ..self.clone()
        }
    }

    /// Returns the range of user ids for sessions, or `None` if sessions share the server's id.
    pub fn user_ids(&self) -> Option<UserIds> {
        match &self.uid_switch {
            UidSwitch::Disabled => None,
            UidSwitch::InProcess(ids) => Some(*ids),
            UidSwitch::Spawner(spawner) => Some(spawner.ids()),
        }
    }

    /// Returns true if programs of sessions can run as `uid`.
    pub fn is_of_session(&self, uid: u32) -> bool {
        match self.user_ids() {
            Some(ids) => ids.contains(uid),
            None => uid == geteuid().as_raw(),
        }
    }

    /// Creates the launcher of one session. It has no policy yet.
    pub fn launcher(&self, tasks: &TaskTracker) -> Launcher {
        let launcher = Launcher::new(PathBuf::from(SHIM), tasks.clone());
        match &self.uid_switch {
            UidSwitch::Disabled => launcher,
            UidSwitch::InProcess(ids) => launcher.with_ids(*ids),
            UidSwitch::Spawner(spawner) => launcher.with_spawner(spawner.clone()),
        }
    }

    /// Returns a launcher that applies the policy of `plan`. At the level `none` it applies no
    /// policy.
    pub fn sandboxed(&self, launcher: &Launcher, plan: impl FnOnce() -> SandboxPolicy) -> Launcher {
        match self.level {
            IsolationLevel::None => launcher.clone(),
            IsolationLevel::Default => launcher.with_policy(Arc::new(plan())),
        }
    }
}

//! How much of the machine a session's programs are kept from.
//!
//! `plan` says what each kind of program may do, as pure functions. `slots` gives every session
//! user ids of its own. `probes` tries at every start what the plan is to prevent, through the same
//! launcher as sessions, and `report` prints what came out of it. What puts a plan in force is in
//! the crate `confine`.

pub(crate) mod commands;
pub(crate) mod dirs;
mod ownership;
mod plan;
mod probes;
mod report;
mod session;
mod uid_pool;

use std::path::PathBuf;
use std::sync::Arc;

use hearth_confine::{Confinement, Launcher, Spawner, UserIds};
use tokio_util::task::TaskTracker;

pub(crate) use dirs::{SessionDir, sessions_dir, sweep};
pub(crate) use ownership::{check_traversable, chown_files, prepare_dirs};
pub(crate) use plan::{Ports, SandboxPaths, plan_agent, plan_browser, plan_code, plan_shell};
pub(crate) use probes::probe;
pub(crate) use report::{Row, State, headline, render};
pub(crate) use session::{SandboxSpec, SessionSandbox};
pub(crate) use uid_pool::{UidLease, UidPool};

pub(crate) use crate::config::IsolationLevel as Level;
use crate::config::Limits;

/// The server's executable, which is also the shim; the path works after the file was replaced.
const SHIM: &str = "/proc/self/exe";

/// What is the same for all sessions.
#[derive(Clone, Debug)]
pub(crate) struct Isolation {
    pub level: Level,
    changer: Changer,
    pub limits: Limits,
    /// Folders outside the system's and the runtime's that an interpreter lives in.
    pub interpreters: Vec<PathBuf>,
}

/// Who may change user ids for a program.
#[derive(Clone, Debug)]
enum Changer {
    Nobody,
    /// This process, which is root.
    Ourselves(UserIds),
    /// The spawner.
    Spawner(Spawner),
}

impl Isolation {
    /// For a process that may not switch, or does not want to.
    pub fn new(level: Level, limits: Limits, interpreters: Vec<PathBuf>) -> Isolation {
        Isolation {
            level,
            changer: Changer::Nobody,
            limits,
            interpreters,
        }
    }

    /// The same with the spawner at hand.
    pub fn with_spawner(self, spawner: Spawner) -> Isolation {
        Isolation {
            changer: Changer::Spawner(spawner),
            ..self
        }
    }

    /// The same for a process that is root and switches by itself.
    pub fn with_ids(self, ids: UserIds) -> Isolation {
        Isolation {
            changer: Changer::Ourselves(ids),
            ..self
        }
    }

    /// Whether programs get user ids of their own.
    pub fn user_ids(&self) -> Option<UserIds> {
        match &self.changer {
            Changer::Nobody => None,
            Changer::Ourselves(ids) => Some(*ids),
            Changer::Spawner(spawner) => Some(spawner.ids()),
        }
    }

    /// What starts the programs of one session.
    pub fn launcher(&self, tasks: &TaskTracker) -> Launcher {
        let launcher = Launcher::new(PathBuf::from(SHIM), tasks.clone());
        match &self.changer {
            Changer::Nobody => launcher,
            Changer::Ourselves(ids) => launcher.with_ids(*ids),
            Changer::Spawner(spawner) => launcher.with_spawner(spawner.clone()),
        }
    }

    /// A launcher for one kind of program; without layers it is the session's own.
    pub fn confined(&self, launcher: &Launcher, plan: impl FnOnce() -> Confinement) -> Launcher {
        match self.level {
            Level::None => launcher.clone(),
            Level::Default => launcher.confined(Arc::new(plan())),
        }
    }
}

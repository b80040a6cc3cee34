//! Starts programs, each below a shim.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use thiserror::Error;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::policy::private_tmp::PrivateTmp;
use crate::policy::sandbox_policy::SandboxPolicy;
use crate::policy::user::{SandboxUser, UserIds};
use crate::supervisor::file_worker::FileWorker;
use crate::supervisor::open_files;
use crate::supervisor::process_table::{ProcessTable, TreeHandle};
use crate::supervisor::process_tree::{ProcessTree, next_event};
use crate::supervisor::program::Program;
use crate::supervisor::protocol::{Event, ExecEnvironment, ExecRequest, OWN_FDS_FROM, ShimCommand};
use crate::supervisor::shim_source::{IdleShim, ShimSource};
use crate::supervisor::spawner::Spawner;
use crate::supervisor::warm_shim::WarmShim;

/// Time limit from the start of a shim until it reports that the program runs.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// An error from starting a program. The launcher's tracker waits until none of its processes is
/// left.
#[derive(Debug, Error)]
pub enum StartError {
    /// The shim did not start, or communication with it failed.
    #[error("cannot start a supervisor process for {program}: {source}")]
    Shim {
        /// The program to start.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The shim started, but could not execute the program.
    #[error("cannot start {program}: {source}")]
    Program {
        /// The program to start.
        program: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// A launcher for programs that share a user, a policy and a `/tmp`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Launcher {
    shim_source: ShimSource,
    /// Runs one task for each tree. The server waits for all of them before it exits.
    tracker: TaskTracker,
    /// The private `/tmp` of all programs.
    private_tmp: Option<Arc<PrivateTmp>>,
    /// The user that programs run as. None means the caller's own user.
    user: Option<SandboxUser>,
    /// The policy of all programs. None means that they have the rights of the caller.
    policy: Option<Arc<SandboxPolicy>>,
    /// The running trees of this launcher and its clones.
    processes: ProcessTable,
    /// Holds a prepared shim for the next program.
    warm_shim: Option<Arc<WarmShim>>,
}

impl Launcher {
    /// Creates a launcher. `shim` is the executable that becomes a shim if its first argument is
    /// [`SHIM_ARGUMENT`](crate::SHIM_ARGUMENT). `tracker` runs one task for each tree.
    pub fn new(shim: PathBuf, tracker: TaskTracker) -> Launcher {
        let shim_source = ShimSource::Local {
            executable: shim.into(),
            ids: None,
        };
        Launcher {
            shim_source,
            tracker,
            private_tmp: None,
            user: None,
            policy: None,
            processes: ProcessTable::default(),
            warm_shim: None,
        }
    }

    /// Allows programs to run under `ids`. The calling process must be root.
    #[must_use]
    pub fn with_ids(self, ids: UserIds) -> Launcher {
        let shim_source = match self.shim_source {
            ShimSource::Local { executable, .. } => ShimSource::Local {
                executable,
                ids: Some(ids),
            },
            spawner @ ShimSource::Spawner(_) => spawner,
        };
        Launcher {
            shim_source,
            ..self
        }
    }

    /// Starts shims through the spawner, which allows programs to run under its ids.
    #[must_use]
    pub fn with_spawner(self, spawner: Spawner) -> Launcher {
        Launcher {
            shim_source: ShimSource::Spawner(spawner),
            ..self
        }
    }

    /// Gives programs a private `/tmp` where mounts are possible.
    #[must_use]
    pub fn with_private_tmp(self, private_tmp: PrivateTmp) -> Launcher {
        Launcher {
            private_tmp: Some(Arc::new(private_tmp)),
            ..self
        }
    }

    /// Returns a launcher whose programs run as `user`, if this launcher can change users.
    #[must_use]
    pub fn as_user(&self, user: Option<SandboxUser>) -> Launcher {
        Launcher {
            user,
            warm_shim: None,
            ..self.clone()
        }
    }

    /// Returns a launcher that enforces `policy` on its programs.
    #[must_use]
    pub fn with_policy(&self, policy: Arc<SandboxPolicy>) -> Launcher {
        Launcher {
            policy: Some(policy),
            warm_shim: None,
            ..self.clone()
        }
    }

    /// Prepares a shim for the next program after each start. This makes the next start one or two
    /// milliseconds faster. Must be the last `with_` call, and
    /// [`close_warm_shim`](Launcher::close_warm_shim) must follow after the last program.
    #[must_use]
    pub fn with_warm_shim(self) -> Launcher {
        Launcher {
            warm_shim: Some(Arc::new(WarmShim::new())),
            ..self
        }
    }

    /// Ends the prepared shim and waits until it is gone. The launcher prepares no more shims.
    pub async fn close_warm_shim(&self) {
        if let Some(warm_shim) = &self.warm_shim {
            warm_shim.close().await;
        }
    }

    /// Returns the ids that programs can run under, or None if they run under the caller's own.
    pub fn user_ids(&self) -> Option<UserIds> {
        self.shim_source.user_ids()
    }

    /// Changes the owner of directories from this process to `user`. Does nothing if there are no
    /// other ids. Blocks.
    pub fn chown_dirs(&self, user: SandboxUser, dirs: &[&Path]) -> io::Result<()> {
        let open = |path: &&Path| {
            let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
            OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits())
                .open(path)
        };
        let dirs = dirs.iter().map(open).collect::<io::Result<Vec<File>>>()?;
        self.shim_source.chown_dirs(user, &dirs)
    }

    /// Returns a worker for files of the launcher's user.
    pub fn files(&self) -> FileWorker<'_> {
        FileWorker::new(&self.shim_source, self.user, &self.processes)
    }

    /// Returns the running trees of this launcher and its clones.
    pub fn trees(&self) -> Vec<TreeHandle> {
        self.processes.all()
    }

    /// Starts `program` below its own shim. Returns after the `exec` of the program succeeded.
    pub async fn start(&self, program: Program) -> Result<ProcessTree, StartError> {
        let name = program.program.clone();
        let shim_failed = |source| StartError::Shim {
            program: name.clone(),
            source,
        };
        let request = exec_request(&program).map_err(shim_failed)?;
        let starting = async {
            let mut starting = Starting {
                shim: Some(self.prepared_shim().await?),
                tracker: &self.tracker,
            };
            let fds: Vec<RawFd> = program.fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
            let event = starting.request(&request, &fds).await?;
            Ok((starting, event))
        };
        let (mut starting, event) = match timeout(START_TIMEOUT, starting).await {
            Ok(outcome) => outcome.map_err(shim_failed)?,
            Err(_) => return Err(shim_failed(io::ErrorKind::TimedOut.into())),
        };
        let program_pid = match event {
            Event::Started(pid) => pid,
            Event::NotStarted(errno) => {
                return Err(StartError::Program {
                    program: name,
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            Event::Ended(_) | Event::AllEnded => {
                return Err(shim_failed(io::ErrorKind::InvalidData.into()));
            }
        };
        self.refill_warm_shim();
        let Some(shim) = starting.shim.take() else {
            return Err(shim_failed(io::ErrorKind::NotFound.into()));
        };
        Ok(ProcessTree::new(
            shim,
            program_pid,
            &self.processes,
            &self.tracker,
        ))
    }

    /// Returns the warm shim, or prepares a new one.
    async fn prepared_shim(&self) -> io::Result<IdleShim> {
        if let Some(warm_shim) = &self.warm_shim
            && let Some(shim) = warm_shim.take().await
        {
            return Ok(shim);
        }
        self.prepare_shim().await
    }

    async fn prepare_shim(&self) -> io::Result<IdleShim> {
        let mut shim = self.shim_source.start(self.user).await?;
        let environment = ExecEnvironment {
            private_tmp: self.private_tmp.as_deref().cloned(),
            open_files: open_files::for_programs(),
            policy: self.policy.as_deref().cloned(),
        };
        shim.send(&ShimCommand::Prepare(Box::new(environment)), &[])
            .await?;
        Ok(shim)
    }

    /// Prepares a shim for the next program in the background.
    fn refill_warm_shim(&self) {
        if let Some(warm_shim) = self.warm_shim.clone() {
            let launcher = self.clone();
            self.tracker
                .spawn(async move { warm_shim.fill(launcher.prepare_shim()).await });
        }
    }
}

/// A shim that starts a program. If the start fails or is cancelled, a task of the tracker waits
/// until the shim and everything that it started have ended.
struct Starting<'a> {
    /// None after the start succeeded.
    shim: Option<IdleShim>,
    tracker: &'a TaskTracker,
}

impl Starting<'_> {
    async fn request(&mut self, request: &ExecRequest, fds: &[RawFd]) -> io::Result<Event> {
        let shim = self.shim.as_mut().ok_or(io::ErrorKind::NotFound)?;
        shim.send(request, fds).await?;
        next_event(&mut shim.stream).await
    }
}

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        if let Some(shim) = self.shim.take() {
            self.tracker.spawn(async move {
                // Fails only if the shim has closed its end, which it does by exiting.
                let _ = shim.end().await;
            });
        }
    }
}

fn exec_request(program: &Program) -> io::Result<ExecRequest> {
    if program
        .fds
        .iter()
        .any(|&(number, _)| !(0..OWN_FDS_FROM).contains(&number))
    {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(ExecRequest {
        program: path_to_string(&program.program)?,
        args: program.args.clone(),
        env: program.env.clone(),
        cwd: path_to_string(&program.cwd)?,
        fd_numbers: program.fds.iter().map(|&(number, _)| number).collect(),
        deadline_ms: program
            .deadline
            .map(|deadline| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
    })
}

fn path_to_string(path: &Path) -> io::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path is not UTF-8"))
}

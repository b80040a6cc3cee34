//! The server's side: starts shims, and owns what they watch over.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::fcntl::OFlag;
use thiserror::Error;
use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::files::disk::DiskUsage;
use crate::files::task::{FileTask, TaskReply, TaskReport};
use crate::policy::private_tmp::PrivateTmp;
use crate::policy::sandbox_policy::SandboxPolicy;
use crate::policy::user::{SandboxUser, UserIds};
use crate::proc::usage::Snapshot;
use crate::supervisor::open_files;
use crate::supervisor::process_table::{ProcessTable, TreeHandle};
use crate::supervisor::process_tree::{ProcessTree, next_event};
use crate::supervisor::program::Program;
use crate::supervisor::protocol::{Event, ExecEnvironment, ExecRequest, OWN_FDS_FROM, ShimCommand};
use crate::supervisor::shim_source::{IdleShim, ShimSource};
use crate::supervisor::spawner::Spawner;
use crate::supervisor::warm_shim::WarmShim;

/// How long a shim may take from its start to the word that the program runs.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a task may take. Removing a session's files takes milliseconds, a hundred thousand of
/// them a second.
const TASK_TIMEOUT: Duration = Duration::from_mins(1);

/// Why a program could not be started. Nothing of it is left then.
#[derive(Debug, Error)]
pub enum StartError {
    /// The shim itself could not be started, or talked to.
    #[error("cannot start a supervisor process for {program}: {source}")]
    Shim {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The shim runs, but the program could not be executed.
    #[error("cannot start {program}: {source}")]
    Program {
        /// What was to be started.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// Starts programs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Launcher {
    shim_source: ShimSource,
    /// Holds the owner task of every shim; the server waits for it to be empty when it ends.
    tracker: TaskTracker,
    /// Given to every program, if there is one.
    private_tmp: Option<Arc<PrivateTmp>>,
    /// Under which ids programs run; none: the caller's own.
    user: Option<SandboxUser>,
    /// What every program may do; none: what the caller may.
    policy: Option<Arc<SandboxPolicy>>,
    /// What it and its clones have started and is not gone.
    processes: ProcessTable,
    /// Has a shim ready for the next program, if there is one.
    warm_shim: Option<Arc<WarmShim>>,
}

impl Launcher {
    /// `shim` is the executable that becomes a shim when its first argument is
    /// [`SHIM_ARGUMENT`](crate::SHIM_ARGUMENT); `tracker` gets one task for every tree.
    pub fn new(shim: PathBuf, tracker: TaskTracker) -> Launcher {
        let shim_source = ShimSource::Local {
            shim: shim.into(),
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

    /// The same for a process that is root: it can give programs an user.
    #[must_use]
    pub fn with_ids(self, ids: UserIds) -> Launcher {
        let shim_source = match self.shim_source {
            ShimSource::Local { shim, .. } => ShimSource::Local {
                shim,
                ids: Some(ids),
            },
            spawner @ ShimSource::Spawner(_) => spawner,
        };
        Launcher {
            shim_source,
            ..self
        }
    }

    /// Has the spawner start shims, which can give programs an user.
    #[must_use]
    pub fn with_spawner(self, spawner: Spawner) -> Launcher {
        Launcher {
            shim_source: ShimSource::Spawner(spawner),
            ..self
        }
    }

    /// The same for programs that get a `/tmp` of their own where that is possible.
    #[must_use]
    pub fn with_private_tmp(self, private_tmp: PrivateTmp) -> Launcher {
        Launcher {
            private_tmp: Some(Arc::new(private_tmp)),
            ..self
        }
    }

    /// The same for programs that run under the ids of `user`, if this launcher can give any.
    #[must_use]
    pub fn as_user(&self, user: Option<SandboxUser>) -> Launcher {
        Launcher {
            user,
            warm_shim: None,
            ..self.clone()
        }
    }

    /// The same for programs that may do what `policy` says.
    #[must_use]
    pub fn with_policy(&self, policy: Arc<SandboxPolicy>) -> Launcher {
        Launcher {
            policy: Some(policy),
            warm_shim: None,
            ..self.clone()
        }
    }

    /// The same, and from its first program on it has a shim ready for the next one, which so
    /// starts a millisecond or two sooner. To be called last, and
    /// [`close_warm_shim`](Launcher::close_warm_shim) when no more programs are to come.
    #[must_use]
    pub fn with_warm_shim(self) -> Launcher {
        Launcher {
            warm_shim: Some(Arc::new(WarmShim::new())),
            ..self
        }
    }

    /// Ends the shim that is ready, and returns when it is gone. None is made ready from then on.
    pub async fn close_warm_shim(&self) {
        if let Some(warm_shim) = &self.warm_shim {
            warm_shim.close().await;
        }
    }

    /// The ids that programs can be given; none where they run under the caller's own.
    pub fn user_ids(&self) -> Option<UserIds> {
        self.shim_source.user_ids()
    }

    /// Makes dirs, which belong to this process, those of `user`. Does nothing where there
    /// are no ids to give. Blocks.
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

    /// Removes what is in `folders`, which stay, under the launcher's user.
    pub async fn empty(&self, dirs: Vec<PathBuf>) -> io::Result<()> {
        self.perform(FileTask::EmptyDirs(dirs), None)
            .await
            .map(drop)
    }

    /// Removes what is in a folder and puts files there, by name and content, under the launcher's
    /// user.
    pub async fn refill(&self, dir: PathBuf, files: Vec<(String, String)>) -> io::Result<()> {
        self.perform(FileTask::RefillDir(dir, files), None)
            .await
            .map(drop)
    }

    /// The memory of files in memory that `pids` hold open, mapped or not, as far as the launcher's
    /// user may look.
    pub async fn memory_file_bytes(&self, pids: Vec<i32>) -> io::Result<u64> {
        Ok(self
            .perform(FileTask::MemoryFiles(pids), None)
            .await?
            .memory_bytes)
    }

    /// What `pids` take when everything that they share counts once, as far as the launcher's
    /// user may look.
    pub async fn proportional_memory_bytes(&self, pids: Vec<i32>) -> io::Result<u64> {
        Ok(self
            .perform(FileTask::ProportionalMemory(pids), None)
            .await?
            .memory_bytes)
    }

    /// Writes the plain files of `folder` to `to`, without what is at the places `leave_out` in it,
    /// under the launcher's user. They are packed into one stream of bytes, with a checksum. An
    /// error when they are larger than `max_bytes` together.
    pub async fn pack(
        &self,
        dir: PathBuf,
        leave_out: Vec<PathBuf>,
        max_bytes: u64,
        to: File,
    ) -> io::Result<()> {
        self.perform(
            FileTask::PackDir {
                dir,
                leave_out,
                max_bytes,
            },
            Some(to),
        )
        .await
        .map(drop)
    }

    /// Puts into `folder` what [`pack`](Launcher::pack) wrote to `from`, under the launcher's
    /// user. [`io::ErrorKind::InvalidData`] when it is not what was written,
    /// [`io::ErrorKind::FileTooLarge`] when the files are larger than `max_bytes` together; some
    /// of it is there by then.
    pub async fn unpack(&self, from: File, dir: PathBuf, max_bytes: u64) -> io::Result<()> {
        self.perform(FileTask::UnpackDir { dir, max_bytes }, Some(from))
            .await
            .map(drop)
    }

    async fn perform(&self, task: FileTask, file: Option<File>) -> io::Result<TaskReport> {
        if self.user.is_none() || self.user_ids().is_none() {
            return spawn_blocking(move || task.perform(&task.sample_proc(), file))
                .await
                .map_err(io::Error::other)?;
        }
        let doing = async {
            let mut shim = self.shim_source.start(self.user).await?;
            let files: Vec<RawFd> = file.iter().map(File::as_raw_fd).collect();
            shim.send(&ShimCommand::FileTask(task), &files).await?;
            let mut answer = Vec::new();
            shim.stream.read_to_end(&mut answer).await?;
            if let Some(mut child) = shim.child {
                child.wait().await?;
            }
            TaskReply::decode(&answer)
        };
        timeout(TASK_TIMEOUT, doing)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// The trees that it and its clones have started, and that are not gone.
    pub fn trees(&self) -> Vec<TreeHandle> {
        self.processes.all()
    }

    /// What the files in `folders` take, deleted ones that the launcher's trees hold open included,
    /// up to a little more than `most`, as the launcher's user sees them. `snapshot` says which
    /// processes the trees are.
    pub async fn measure(
        &self,
        dirs: Vec<PathBuf>,
        max: DiskUsage,
        snapshot: Arc<Snapshot>,
    ) -> DiskUsage {
        let pids = self
            .trees()
            .iter()
            .flat_map(|tree| tree.pids(&snapshot))
            .collect();
        match self
            .perform(FileTask::MeasureDirs { dirs, pids, max }, None)
            .await
        {
            Ok(report) => report.usage,
            Err(error) => {
                tracing::warn!(%error, "the files of a session cannot be measured");
                DiskUsage::default()
            }
        }
    }

    /// Starts `program` below a shim of its own, and returns when the program runs (its `exec`
    /// succeeded).
    pub async fn start(&self, program: Program) -> Result<ProcessTree, StartError> {
        let name = program.program.clone();
        let shim_failed = |source| StartError::Shim {
            program: name.clone(),
            source,
        };
        let run = Self::run(&program).map_err(shim_failed)?;
        let starting = async {
            let mut shim = self.prepared_shim().await?;
            let fds: Vec<RawFd> = program.fds.iter().map(|(_, fd)| fd.as_raw_fd()).collect();
            shim.send(&run, &fds).await?;
            let event = next_event(&mut shim.stream).await?;
            Ok((shim, event))
        };
        let (shim, event) = match timeout(START_TIMEOUT, starting).await {
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
            Event::Ended(_) => return Err(shim_failed(io::ErrorKind::InvalidData.into())),
        };
        self.refill_warm_shim();
        Ok(ProcessTree::new(
            shim,
            program_pid,
            &self.processes,
            &self.tracker,
        ))
    }

    /// One that only waits to be told what to start.
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

    /// Has a shim made for the next program, while this one runs.
    fn refill_warm_shim(&self) {
        if let Some(warm_shim) = self.warm_shim.clone() {
            let launcher = self.clone();
            self.tracker
                .spawn(async move { warm_shim.fill(launcher.prepare_shim()).await });
        }
    }

    fn run(program: &Program) -> io::Result<ExecRequest> {
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
}

fn path_to_string(path: &Path) -> io::Result<String> {
    path.to_str()
        .map(str::to_owned)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "path is not UTF-8"))
}

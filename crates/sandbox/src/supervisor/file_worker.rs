//! Works on a session's files under the session's own user id.
//!
//! Session code controls what is in its directories, so the server never touches them itself. It
//! starts a shim that becomes the session's user, performs one
//! [`FileTask`](crate::files::task::FileTask) and exits.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::files::disk::DiskUsage;
use crate::files::task::{FileTask, MAX_REPLY_BYTES, TaskReply, TaskReport};
use crate::policy::user::SandboxUser;
use crate::proc::usage::Snapshot;
use crate::supervisor::process_table::ProcessTable;
use crate::supervisor::protocol::ShimCommand;
use crate::supervisor::shim_source::ShimSource;

/// Time limit of a task. Removing a session's files takes milliseconds: a worker removes 100,000
/// files per second.
const TASK_TIMEOUT: Duration = Duration::from_mins(1);

/// A worker for the files of a launcher's user.
#[derive(Clone, Copy, Debug)]
pub struct FileWorker<'a> {
    shim_source: &'a ShimSource,
    /// None means the caller's own user, and the tasks run in this process.
    user: Option<SandboxUser>,
    processes: &'a ProcessTable,
}

impl<'a> FileWorker<'a> {
    pub(crate) fn new(
        shim_source: &'a ShimSource,
        user: Option<SandboxUser>,
        processes: &'a ProcessTable,
    ) -> FileWorker<'a> {
        FileWorker {
            shim_source,
            user,
            processes,
        }
    }

    /// Removes the contents of directories and keeps the directories.
    pub async fn empty_dirs(self, dirs: Vec<PathBuf>) -> io::Result<()> {
        self.perform(FileTask::EmptyDirs(dirs), None)
            .await
            .map(drop)
    }

    /// Replaces the contents of a directory with `files`, each a name and its content.
    pub async fn refill_dir(self, dir: PathBuf, files: Vec<(String, String)>) -> io::Result<()> {
        self.perform(FileTask::RefillDir(dir, files), None)
            .await
            .map(drop)
    }

    /// Returns the memory of memory-backed files that `pids` hold open, mapped or not. Skips
    /// processes that the worker's user may not inspect.
    pub async fn memory_file_bytes(self, pids: Vec<i32>) -> io::Result<u64> {
        let report = self.perform(FileTask::MemoryFiles(pids), None).await?;
        Ok(report.memory_bytes)
    }

    /// Returns the memory of `pids`, with shared memory counted once. Processes that the worker's
    /// user may not inspect count as in [`Usage`](crate::Usage).
    pub async fn proportional_memory_bytes(self, pids: Vec<i32>) -> io::Result<u64> {
        let task = FileTask::ProportionalMemory(pids);
        Ok(self.perform(task, None).await?.memory_bytes)
    }

    /// Writes the regular files of `dir` to `to` as one checksummed archive, without the relative
    /// paths `leave_out`. Fails if the files are larger than `max_bytes` together.
    pub async fn pack_dir(
        self,
        dir: PathBuf,
        leave_out: Vec<PathBuf>,
        max_bytes: u64,
        to: File,
    ) -> io::Result<()> {
        let task = FileTask::PackDir {
            dir,
            leave_out,
            max_bytes,
        };
        self.perform(task, Some(to)).await.map(drop)
    }

    /// Unpacks `from`, an archive from [`pack_dir`](FileWorker::pack_dir), into `dir`.
    ///
    /// Fails with [`io::ErrorKind::InvalidData`] if the archive is damaged, and with
    /// [`io::ErrorKind::FileTooLarge`] if the files are larger than `max_bytes` together. Some of
    /// the files may exist after a failure.
    pub async fn unpack_dir(self, from: File, dir: PathBuf, max_bytes: u64) -> io::Result<()> {
        self.perform(FileTask::UnpackDir { dir, max_bytes }, Some(from))
            .await
            .map(drop)
    }

    /// Measures the files in `dirs`, and deleted files that the launcher's trees hold open. Stops a
    /// little above `max`. `snapshot` lists the processes of the trees.
    pub async fn measure_dirs(
        self,
        dirs: Vec<PathBuf>,
        max: DiskUsage,
        snapshot: Arc<Snapshot>,
    ) -> io::Result<DiskUsage> {
        let trees = self.processes.all();
        let pids = trees.iter().flat_map(|tree| tree.pids(&snapshot)).collect();
        let task = FileTask::MeasureDirs { dirs, pids, max };
        Ok(self.perform(task, None).await?.usage)
    }

    async fn perform(self, task: FileTask, file: Option<File>) -> io::Result<TaskReport> {
        if self.user.is_none() || self.shim_source.user_ids().is_none() {
            return spawn_blocking(move || task.perform(&task.sample_proc()?, file))
                .await
                .map_err(io::Error::other)?;
        }
        timeout(TASK_TIMEOUT, self.perform_in_shim(task, file))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn perform_in_shim(self, task: FileTask, file: Option<File>) -> io::Result<TaskReport> {
        let mut shim = self.shim_source.start(self.user).await?;
        let fds: Vec<RawFd> = file.iter().map(File::as_raw_fd).collect();
        shim.send(&ShimCommand::FileTask(task), &fds).await?;
        let mut reply = Vec::new();
        // The shim has the session's user id, so its replies are not trusted.
        let mut replies = shim.stream.take(MAX_REPLY_BYTES);
        replies.read_to_end(&mut reply).await?;
        drop(replies);
        if let Some(mut child) = shim.child {
            child.wait().await?;
        }
        TaskReply::decode(&reply)
    }
}

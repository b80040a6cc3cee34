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

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::files::client_files::{Listing, require_regular};
use crate::files::disk::DiskUsage;
use crate::files::relative_path::RelativePath;
use crate::files::task::{FileTask, TaskOutput, TaskReply, TaskReport};
use crate::policy::user::SandboxUser;
use crate::proc::usage::Snapshot;
use crate::supervisor::fd_passing::receive_part_with_fds;
use crate::supervisor::process_table::ProcessTable;
use crate::supervisor::protocol::ShimCommand;
use crate::supervisor::shim_source::ShimSource;

/// Time limit of a task. Removing a session's files takes milliseconds: a worker removes 100,000
/// files per second.
const TASK_TIMEOUT: Duration = Duration::from_mins(1);

/// Size of the parts in which a reply is received.
const PART_BYTES: usize = 16 * 1024;

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
    /// little above `max`. `snapshot` lists the processes of the trees. Without it, deleted files
    /// do not count.
    pub async fn measure_dirs(
        self,
        dirs: Vec<PathBuf>,
        max: DiskUsage,
        snapshot: Option<Arc<Snapshot>>,
    ) -> io::Result<DiskUsage> {
        let trees = self.processes.all();
        let pids = snapshot.map_or_else(Vec::new, |snapshot| {
            trees.iter().flat_map(|tree| tree.pids(&snapshot)).collect()
        });
        let task = FileTask::MeasureDirs { dirs, pids, max };
        Ok(self.perform(task, None).await?.usage)
    }

    /// Opens a regular file below `dir` for reading, without following links.
    ///
    /// Fails with `EISDIR` if `path` is a directory, `ELOOP` if it is a symbolic link, `ENXIO` if
    /// it is another file, and `ENOTDIR` if something above it is not a directory.
    pub async fn open_file(self, dir: PathBuf, path: RelativePath) -> io::Result<File> {
        self.open(FileTask::OpenFile { dir, path }).await
    }

    /// Creates an empty file beside `path`, and missing directories. [`place_part`] or
    /// [`remove_part`] must follow, with the same random number. Fails with `EISDIR` if `path` is a
    /// directory.
    ///
    /// [`place_part`]: FileWorker::place_part
    /// [`remove_part`]: FileWorker::remove_part
    pub async fn create_part(
        self,
        dir: PathBuf,
        path: RelativePath,
        part: u64,
    ) -> io::Result<File> {
        self.open(FileTask::CreatePart { dir, path, part }).await
    }

    /// Moves a part to its place, where it replaces everything but a directory.
    pub async fn place_part(self, dir: PathBuf, path: RelativePath, part: u64) -> io::Result<()> {
        let task = FileTask::PlacePart { dir, path, part };
        self.perform(task, None).await.map(drop)
    }

    /// Removes a part. A missing one is not an error.
    pub async fn remove_part(self, dir: PathBuf, path: RelativePath, part: u64) -> io::Result<()> {
        let task = FileTask::RemovePart { dir, path, part };
        self.perform(task, None).await.map(drop)
    }

    /// Removes a file, a link itself, or an empty directory. Fails with `ENOTEMPTY` for another
    /// directory.
    pub async fn remove_file(self, dir: PathBuf, path: RelativePath) -> io::Result<()> {
        let task = FileTask::RemoveFile { dir, path };
        self.perform(task, None).await.map(drop)
    }

    /// Lists the directory `path` below `dir`, or `dir` itself.
    pub async fn list_dir(self, dir: PathBuf, path: Option<RelativePath>) -> io::Result<Listing> {
        let task = FileTask::ListDir { dir, path };
        Ok(self.perform(task, None).await?.listing)
    }

    /// Performs a task that opens a file.
    async fn open(self, task: FileTask) -> io::Result<File> {
        let file = self.perform_with(task, None).await?.file;
        // The worker has the session's user id, so its replies are not trusted.
        let file = file.ok_or(io::ErrorKind::InvalidData)?;
        require_regular(&file)?;
        Ok(file)
    }

    async fn perform(self, task: FileTask, file: Option<File>) -> io::Result<TaskReport> {
        Ok(self.perform_with(task, file).await?.report)
    }

    async fn perform_with(self, task: FileTask, file: Option<File>) -> io::Result<TaskOutput> {
        if self.user.is_none() || self.shim_source.user_ids().is_none() {
            return spawn_blocking(move || task.perform(&task.sample_proc()?, file))
                .await
                .map_err(io::Error::other)?;
        }
        timeout(TASK_TIMEOUT, self.perform_in_shim(task, file))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    async fn perform_in_shim(self, task: FileTask, file: Option<File>) -> io::Result<TaskOutput> {
        let mut shim = self.shim_source.start(self.user).await?;
        let fds: Vec<RawFd> = file.iter().map(File::as_raw_fd).collect();
        let max_bytes = task.max_reply_bytes();
        shim.send(&ShimCommand::FileTask(task), &fds).await?;
        let (reply, file) = receive_reply(&shim.stream, max_bytes).await?;
        drop(shim.stream);
        if let Some(mut child) = shim.child {
            child.wait().await?;
        }
        let report = TaskReply::decode(&reply)?;
        Ok(TaskOutput { report, file })
    }
}

/// Receives the reply to a task, of which at most `max_bytes` are kept, and the file that came with
/// it. The shim has the session's user id, so its replies are not trusted.
async fn receive_reply(
    stream: &UnixStream,
    max_bytes: usize,
) -> io::Result<(Vec<u8>, Option<File>)> {
    let mut reply = Vec::new();
    let mut file = None;
    let mut part = vec![0; PART_BYTES];
    while reply.len() < max_bytes {
        let length = part.len().min(max_bytes - reply.len());
        let receiving = stream.async_io(Interest::READABLE, || {
            receive_part_with_fds(stream, &mut part[..length])
        });
        let (bytes, fds) = receiving.await?;
        if bytes == 0 {
            break;
        }
        reply.extend_from_slice(&part[..bytes]);
        // Others than the first are closed.
        let received = fds.into_iter().next().map(File::from);
        file = file.or(received);
    }
    Ok((reply, file))
}

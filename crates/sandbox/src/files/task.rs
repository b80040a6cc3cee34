//! File tasks that run under a session's own user id.
//!
//! Session code controls what is in its directories, so the server never touches them itself. A
//! shim that starts no program performs the task. It reads the process table first, while it still
//! has its own rights, because a process can deny inspection by other processes of its user.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::archive::{pack, unpack};
use crate::files::client_files::{
    Listing, MAX_LISTING_BYTES, create_part, list_dir, open_file, place_part, remove_file,
    remove_part,
};
use crate::files::disk::{DiskUsage, OpenFile, measure, memory_file_bytes, open_files};
use crate::files::relative_path::RelativePath;
use crate::files::remove::remove_tree;
use crate::proc::usage::proportional_memory_bytes;

/// Maximum size of the message of an error. It can contain paths from an archive.
const MAX_MESSAGE_BYTES: usize = 4096;

/// Maximum size of a reply without a listing. JSON writes a byte of the message as at most six.
const MAX_REPLY_BYTES: usize = 32 * 1024;

/// A task to perform.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FileTask {
    /// Removes the contents of directories and keeps the directories.
    EmptyDirs(Vec<PathBuf>),
    /// Replaces the contents of a directory with files, each a name and its content.
    RefillDir(PathBuf, Vec<(String, String)>),
    /// Measures directories, and files that processes hold open; see [`measure`].
    MeasureDirs {
        dirs: Vec<PathBuf>,
        pids: Vec<i32>,
        max: DiskUsage,
    },
    /// Measures memory-backed files of processes; see [`memory_file_bytes`].
    MemoryFiles(Vec<i32>),
    /// Measures processes, with shared memory counted once; see [`proportional_memory_bytes`].
    ProportionalMemory(Vec<i32>),
    /// Packs a directory into the file that comes with the task; see [`pack`].
    PackDir {
        dir: PathBuf,
        leave_out: Vec<PathBuf>,
        max_bytes: u64,
    },
    /// Unpacks the file that comes with the task into a directory; see [`unpack`].
    UnpackDir { dir: PathBuf, max_bytes: u64 },
    /// Opens a regular file below a directory; see [`open_file`].
    OpenFile { dir: PathBuf, path: RelativePath },
    /// Creates a file for content that is going to arrive; see [`create_part`].
    CreatePart {
        dir: PathBuf,
        path: RelativePath,
        part: u64,
    },
    /// Moves a complete file to its place; see [`place_part`].
    PlacePart {
        dir: PathBuf,
        path: RelativePath,
        part: u64,
    },
    /// Removes a file that is not complete; see [`remove_part`].
    RemovePart {
        dir: PathBuf,
        path: RelativePath,
        part: u64,
    },
    /// Removes a file or an empty directory; see [`remove_file`].
    RemoveFile { dir: PathBuf, path: RelativePath },
    /// Lists a directory; see [`list_dir`].
    ListDir {
        dir: PathBuf,
        path: Option<RelativePath>,
    },
}

/// The part of a task's input that comes from the process table.
#[derive(Debug, Default)]
pub(crate) struct ProcSample {
    files: Vec<OpenFile>,
    memory_bytes: u64,
}

/// The result of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskReport {
    pub usage: DiskUsage,
    pub memory_bytes: u64,
    pub listing: Listing,
}

/// The result of a task, and the file that it has opened.
#[derive(Debug, Default)]
pub(crate) struct TaskOutput {
    pub report: TaskReport,
    pub file: Option<File>,
}

impl From<TaskReport> for TaskOutput {
    fn from(report: TaskReport) -> TaskOutput {
        TaskOutput { report, file: None }
    }
}

impl From<File> for TaskOutput {
    fn from(file: File) -> TaskOutput {
        TaskOutput {
            report: TaskReport::default(),
            file: Some(file),
        }
    }
}

/// A report or an error, as the shim sends it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum TaskReply {
    Done(TaskReport),
    Failed(i32),
    /// The data to read is damaged ([`io::ErrorKind::InvalidData`]).
    Damaged(String),
}

impl TaskReply {
    pub fn new(report: io::Result<TaskReport>) -> TaskReply {
        match report {
            Ok(report) => TaskReply::Done(report),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let mut message = error.to_string();
                message.truncate(message.floor_char_boundary(MAX_MESSAGE_BYTES));
                TaskReply::Damaged(message)
            }
            Err(error) => TaskReply::Failed(error.raw_os_error().unwrap_or(nix::libc::EIO)),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        // Cannot fail: the reply consists of numbers and text.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> io::Result<TaskReport> {
        match serde_json::from_slice(bytes)? {
            TaskReply::Done(report) => Ok(report),
            TaskReply::Failed(errno) => Err(io::Error::from_raw_os_error(errno)),
            TaskReply::Damaged(message) => Err(io::Error::new(io::ErrorKind::InvalidData, message)),
        }
    }
}

impl FileTask {
    /// Reads from the process table what the task needs. Must be called before
    /// [`perform`](FileTask::perform) and before dropping privileges. Blocks.
    pub fn sample_proc(&self) -> io::Result<ProcSample> {
        Ok(match self {
            FileTask::MeasureDirs { pids, .. } => ProcSample {
                files: open_files(pids)?,
                memory_bytes: 0,
            },
            FileTask::MemoryFiles(pids) => ProcSample {
                files: Vec::new(),
                memory_bytes: memory_file_bytes(pids)?,
            },
            FileTask::ProportionalMemory(pids) => ProcSample {
                files: Vec::new(),
                memory_bytes: proportional_memory_bytes(pids)?,
            },
            FileTask::EmptyDirs(_)
            | FileTask::RefillDir(..)
            | FileTask::PackDir { .. }
            | FileTask::UnpackDir { .. }
            | FileTask::OpenFile { .. }
            | FileTask::CreatePart { .. }
            | FileTask::PlacePart { .. }
            | FileTask::RemovePart { .. }
            | FileTask::RemoveFile { .. }
            | FileTask::ListDir { .. } => ProcSample::default(),
        })
    }

    /// Returns the maximum size of the reply.
    pub fn max_reply_bytes(&self) -> usize {
        match self {
            FileTask::ListDir { .. } => MAX_REPLY_BYTES + MAX_LISTING_BYTES,
            _ => MAX_REPLY_BYTES,
        }
    }

    /// Performs the task in the calling process. `file` is the archive, for tasks that use one.
    /// Blocks.
    pub fn perform(&self, sample: &ProcSample, file: Option<File>) -> io::Result<TaskOutput> {
        let file = || file.ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EBADF));
        match self {
            FileTask::EmptyDirs(dirs) => dirs.iter().try_for_each(|dir| empty_dir(dir))?,
            FileTask::MeasureDirs { dirs, max, .. } => {
                let report = TaskReport {
                    usage: measure(dirs, &sample.files, *max)?,
                    ..TaskReport::default()
                };
                return Ok(report.into());
            }
            FileTask::MemoryFiles(_) | FileTask::ProportionalMemory(_) => {
                let report = TaskReport {
                    memory_bytes: sample.memory_bytes,
                    ..TaskReport::default()
                };
                return Ok(report.into());
            }
            FileTask::RefillDir(dir, files) => {
                empty_dir(dir)?;
                for (name, content) in files {
                    // Fails if a program has created the file meanwhile, instead of writing to it.
                    File::create_new(dir.join(name))?.write_all(content.as_bytes())?;
                }
            }
            FileTask::PackDir {
                dir,
                leave_out,
                max_bytes,
            } => pack(dir, leave_out, *max_bytes, file()?)?,
            FileTask::UnpackDir { dir, max_bytes } => unpack(file()?, dir, *max_bytes)?,
            FileTask::OpenFile { dir, path } => return Ok(open_file(dir, path)?.into()),
            FileTask::CreatePart { dir, path, part } => {
                return Ok(create_part(dir, path, *part)?.into());
            }
            FileTask::PlacePart { dir, path, part } => place_part(dir, path, *part)?,
            FileTask::RemovePart { dir, path, part } => remove_part(dir, path, *part)?,
            FileTask::RemoveFile { dir, path } => remove_file(dir, path)?,
            FileTask::ListDir { dir, path } => {
                let report = TaskReport {
                    listing: list_dir(dir, path.as_ref())?,
                    ..TaskReport::default()
                };
                return Ok(report.into());
            }
        }
        Ok(TaskOutput::default())
    }
}

/// Removes the contents of a directory as far as possible. Returns the first error.
fn empty_dir(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Session code can deny access to its own directories; their owner can restore it.
            fs::set_permissions(dir, Permissions::from_mode(0o700))?;
            fs::read_dir(dir)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut outcome = Ok(());
    for entry in entries {
        let entry = entry?;
        let is_dir = entry.file_type()?.is_dir();
        let removed = if is_dir {
            remove_tree(&entry.path())
        } else {
            fs::remove_file(entry.path())
        };
        outcome = outcome.and(removed);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_emptied_and_links_are_not_followed() {
        let outside = tempfile::tempdir().expect("a dir");
        fs::write(outside.path().join("canary"), "").expect("written");
        let dir = tempfile::tempdir().expect("a dir");
        let deep = dir.path().join("a/b/c");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("x"), "").expect("written");
        fs::set_permissions(dir.path().join("a/b"), Permissions::from_mode(0o000)).expect("closed");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("linked");
        let task = FileTask::EmptyDirs(vec![dir.path().to_owned(), dir.path().join("none")]);
        task.perform(&ProcSample::default(), None).expect("emptied");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
        assert!(outside.path().join("canary").exists());
    }

    #[test]
    fn replies_round_trip() {
        let failed = TaskReply::new(Err(io::Error::from_raw_os_error(13)));
        assert_eq!(
            TaskReply::decode(&failed.encode())
                .expect_err("an error")
                .raw_os_error(),
            Some(13)
        );
        assert!(TaskReply::decode(&TaskReply::new(Ok(TaskReport::default())).encode()).is_ok());
        assert!(TaskReply::decode(b"").is_err());
    }

    #[test]
    fn a_reply_is_short_whatever_the_archive_contains() {
        let message = "\0".repeat(100_000);
        let error = io::Error::new(io::ErrorKind::InvalidData, message);
        let reply = TaskReply::new(Err(error)).encode();
        assert!(reply.len() <= MAX_REPLY_BYTES, "{}", reply.len());
        let error = TaskReply::decode(&reply).expect_err("an error");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

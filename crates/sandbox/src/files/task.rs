//! Small things that are done under a session's own user id, by a shim that starts no program: so
//! that the server never touches what code of strangers has prepared for it. Only the process table
//! is looked at before, with all rights: a program can close itself to others of its user.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::archive::{pack, unpack};
use crate::files::disk::{DiskUsage, OpenFile, measure, memory_file_bytes, open_files};
use crate::files::remove::remove_tree;
use crate::proc::usage::proportional_memory_bytes;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum FileTask {
    /// Remove what is in these dirs. The folders themselves stay.
    EmptyDirs(Vec<PathBuf>),
    /// Remove what is in a folder and put these files there, by name and content.
    RefillDir(PathBuf, Vec<(String, String)>),
    /// Measure what these folders hold, and what these processes hold open; see [`measure`].
    MeasureDirs {
        dirs: Vec<PathBuf>,
        pids: Vec<i32>,
        max: DiskUsage,
    },
    /// Weigh these processes' files in memory; see [`memory_file_bytes`].
    MemoryFiles(Vec<i32>),
    /// Weigh these processes, what they share once; see [`proportional_memory_bytes`].
    ProportionalMemory(Vec<i32>),
    /// Write what is in a folder to the file that comes along; see [`pack`].
    PackDir {
        dir: PathBuf,
        leave_out: Vec<PathBuf>,
        max_bytes: u64,
    },
    /// Put into a folder what was packed into the file that comes along; see [`unpack`].
    UnpackDir { dir: PathBuf, max_bytes: u64 },
}

/// What the process table has told.
#[derive(Debug, Default)]
pub(crate) struct ProcSample {
    files: Vec<OpenFile>,
    memory_bytes: u64,
}

/// What has come out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TaskReport {
    pub usage: DiskUsage,
    pub memory_bytes: u64,
}

/// A report, or the system's reason why there is none, as it goes over the socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum TaskReply {
    Done(TaskReport),
    Failed(i32),
    /// The system had nothing against it, but what was read is not what was once written.
    Damaged(String),
}

impl TaskReply {
    pub fn of(report: io::Result<TaskReport>) -> TaskReply {
        match report {
            Ok(report) => TaskReply::Done(report),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                TaskReply::Damaged(error.to_string())
            }
            Err(error) => TaskReply::Failed(error.raw_os_error().unwrap_or(nix::libc::EIO)),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        // Plain numbers always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> io::Result<TaskReport> {
        match serde_json::from_slice(bytes)? {
            TaskReply::Done(report) => Ok(report),
            TaskReply::Failed(errno) => Err(io::Error::from_raw_os_error(errno)),
            TaskReply::Damaged(how) => Err(io::Error::new(io::ErrorKind::InvalidData, how)),
        }
    }
}

impl FileTask {
    /// What only the process table tells. To be called with all the rights that there are, and
    /// before [`perform`](FileTask::perform). Blocks.
    pub fn sample_proc(&self) -> ProcSample {
        match self {
            FileTask::MeasureDirs { pids, .. } => ProcSample {
                files: open_files(pids),
                memory_bytes: 0,
            },
            FileTask::MemoryFiles(pids) => ProcSample {
                files: Vec::new(),
                memory_bytes: memory_file_bytes(pids),
            },
            FileTask::ProportionalMemory(pids) => ProcSample {
                files: Vec::new(),
                memory_bytes: proportional_memory_bytes(pids),
            },
            FileTask::EmptyDirs(_)
            | FileTask::RefillDir(..)
            | FileTask::PackDir { .. }
            | FileTask::UnpackDir { .. } => ProcSample::default(),
        }
    }

    /// Does it in the calling process, with the file that it is about, if it is about one. Blocks.
    pub fn perform(&self, sample: &ProcSample, file: Option<File>) -> io::Result<TaskReport> {
        let file = || file.ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EBADF));
        match self {
            FileTask::EmptyDirs(dirs) => dirs.iter().try_for_each(|dir| empty_dir(dir))?,
            FileTask::MeasureDirs { dirs, max, .. } => {
                return Ok(TaskReport {
                    usage: measure(dirs, &sample.files, *max),
                    ..TaskReport::default()
                });
            }
            FileTask::MemoryFiles(_) | FileTask::ProportionalMemory(_) => {
                return Ok(TaskReport {
                    memory_bytes: sample.memory_bytes,
                    ..TaskReport::default()
                });
            }
            FileTask::RefillDir(dir, files) => {
                empty_dir(dir)?;
                for (name, content) in files {
                    // What is there by now was put there by somebody else, and is not written to.
                    File::create_new(dir.join(name))?.write_all(content.as_bytes())?;
                }
            }
            FileTask::PackDir {
                dir,
                leave_out,
                max_bytes,
            } => pack(dir, leave_out, *max_bytes, file()?)?,
            FileTask::UnpackDir { dir, max_bytes } => unpack(file()?, dir, *max_bytes)?,
        }
        Ok(TaskReport::default())
    }
}

/// Removes everything in a folder that can be removed, and tells of the first thing that cannot.
fn empty_dir(dir: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Code can take our rights from folders of its own; the owner can give them back.
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
    fn a_folder_is_emptied_and_nothing_behind_a_link_is_touched() {
        let outside = tempfile::tempdir().expect("a dir");
        fs::write(outside.path().join("canary"), "").expect("written");
        let dir = tempfile::tempdir().expect("a dir");
        let deep = dir.path().join("a/b/c");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("x"), "").expect("written");
        fs::set_permissions(dir.path().join("a/b"), Permissions::from_mode(0o000)).expect("closed");
        std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).expect("linked");
        let task = FileTask::EmptyDirs(vec![dir.path().to_owned(), dir.path().join("none")]);
        task.perform(&task.sample_proc(), None).expect("emptied");
        assert_eq!(fs::read_dir(dir.path()).expect("there").count(), 0);
        assert!(outside.path().join("canary").exists());
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let failed = TaskReply::of(Err(io::Error::from_raw_os_error(13)));
        assert_eq!(
            TaskReply::decode(&failed.encode())
                .expect_err("refused")
                .raw_os_error(),
            Some(13)
        );
        assert!(TaskReply::decode(&TaskReply::of(Ok(TaskReport::default())).encode()).is_ok());
        assert!(TaskReply::decode(b"").is_err());
    }
}

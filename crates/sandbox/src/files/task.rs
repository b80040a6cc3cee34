//! Small things that are done under a session's own user id, by a shim that starts no program: so
//! that the server never touches what code of strangers has prepared for it. Only the process table
//! is looked at before, with all rights: a program can close itself to others of its user.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::archive::{pack, unpack};
use crate::files::disk::{DiskUsage, OpenFile, measure, open_files, open_memory_files};
use crate::files::remove::remove_tree;
use crate::proc::usage::shared_once;

/// What is to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Chore {
    /// Remove what is in these folders. The folders themselves stay.
    Empty(Vec<PathBuf>),
    /// Remove what is in a folder and put these files there, by name and content.
    Refill(PathBuf, Vec<(String, String)>),
    /// Measure what these folders hold, and what these processes hold open; see [`measure`].
    Measure {
        folders: Vec<PathBuf>,
        pids: Vec<i32>,
        most: DiskUsage,
    },
    /// Weigh these processes' files in memory; see [`open_memory_files`].
    WeighFiles(Vec<i32>),
    /// Weigh these processes, what they share once; see [`shared_once`].
    WeighOnce(Vec<i32>),
    /// Write what is in a folder to the file that comes along; see [`pack`].
    Pack {
        folder: PathBuf,
        leave_out: Vec<PathBuf>,
        most_bytes: u64,
    },
    /// Put into a folder what was packed into the file that comes along; see [`unpack`].
    Unpack { folder: PathBuf, most_bytes: u64 },
}

/// What the process table has told.
#[derive(Debug, Default)]
pub(crate) struct Look {
    files: Vec<OpenFile>,
    memory_bytes: u64,
}

/// What has come out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    pub usage: DiskUsage,
    pub memory_bytes: u64,
}

/// A report, or the system's reason why there is none, as it goes over the socket.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done(Report),
    Failed(i32),
    /// The system had nothing against it, but what was read is not what was once written.
    Damaged(String),
}

impl Answer {
    pub fn of(report: io::Result<Report>) -> Answer {
        match report {
            Ok(report) => Answer::Done(report),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Answer::Damaged(error.to_string())
            }
            Err(error) => Answer::Failed(error.raw_os_error().unwrap_or(nix::libc::EIO)),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        // Plain numbers always become JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub fn decode(bytes: &[u8]) -> io::Result<Report> {
        match serde_json::from_slice(bytes)? {
            Answer::Done(report) => Ok(report),
            Answer::Failed(errno) => Err(io::Error::from_raw_os_error(errno)),
            Answer::Damaged(how) => Err(io::Error::new(io::ErrorKind::InvalidData, how)),
        }
    }
}

impl Chore {
    /// What only the process table tells. To be called with all the rights that there are, and
    /// before [`perform`](Chore::perform). Blocks.
    pub fn look(&self) -> Look {
        match self {
            Chore::Measure { pids, .. } => Look {
                files: open_files(pids),
                memory_bytes: 0,
            },
            Chore::WeighFiles(pids) => Look {
                files: Vec::new(),
                memory_bytes: open_memory_files(pids),
            },
            Chore::WeighOnce(pids) => Look {
                files: Vec::new(),
                memory_bytes: shared_once(pids),
            },
            Chore::Empty(_) | Chore::Refill(..) | Chore::Pack { .. } | Chore::Unpack { .. } => {
                Look::default()
            }
        }
    }

    /// Does it in the calling process, with the file that it is about, if it is about one. Blocks.
    pub fn perform(&self, look: &Look, file: Option<File>) -> io::Result<Report> {
        let file = || file.ok_or_else(|| io::Error::from_raw_os_error(nix::libc::EBADF));
        match self {
            Chore::Empty(folders) => folders.iter().try_for_each(|folder| empty(folder))?,
            Chore::Measure { folders, most, .. } => {
                return Ok(Report {
                    usage: measure(folders, &look.files, *most),
                    ..Report::default()
                });
            }
            Chore::WeighFiles(_) | Chore::WeighOnce(_) => {
                return Ok(Report {
                    memory_bytes: look.memory_bytes,
                    ..Report::default()
                });
            }
            Chore::Refill(folder, files) => {
                empty(folder)?;
                for (name, content) in files {
                    // What is there by now was put there by somebody else, and is not written to.
                    File::create_new(folder.join(name))?.write_all(content.as_bytes())?;
                }
            }
            Chore::Pack {
                folder,
                leave_out,
                most_bytes,
            } => pack(folder, leave_out, *most_bytes, file()?)?,
            Chore::Unpack { folder, most_bytes } => unpack(file()?, folder, *most_bytes)?,
        }
        Ok(Report::default())
    }
}

/// Removes everything in a folder that can be removed, and tells of the first thing that cannot.
fn empty(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            // Code can take our rights from folders of its own; the owner can give them back.
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            fs::read_dir(folder)?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut outcome = Ok(());
    for entry in entries {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        let removed = if is_folder {
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
        let outside = tempfile::tempdir().expect("a folder");
        fs::write(outside.path().join("canary"), "").expect("written");
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b/c");
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("x"), "").expect("written");
        fs::set_permissions(folder.path().join("a/b"), Permissions::from_mode(0o000))
            .expect("closed");
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).expect("linked");
        let chore = Chore::Empty(vec![folder.path().to_owned(), folder.path().join("none")]);
        chore.perform(&chore.look(), None).expect("emptied");
        assert_eq!(fs::read_dir(folder.path()).expect("there").count(), 0);
        assert!(outside.path().join("canary").exists());
    }

    #[test]
    fn an_answer_survives_the_wire() {
        let failed = Answer::of(Err(io::Error::from_raw_os_error(13)));
        assert_eq!(
            Answer::decode(&failed.encode())
                .expect_err("refused")
                .raw_os_error(),
            Some(13)
        );
        assert!(Answer::decode(&Answer::of(Ok(Report::default())).encode()).is_ok());
        assert!(Answer::decode(b"").is_err());
    }
}

//! Writes a file in parts. It appears at its path when it is complete.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use hearth_budget::Reservation;
use hearth_sandbox::{DiskUsage, RelativePath};
use nix::errno::Errno;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::error::FileError;
use super::place::Place;
use super::requests::FileRequest;
use super::space::Space;
use crate::config::Limits;
use crate::sessions::disk::Disk;
use crate::sessions::registry::Registry;
use crate::sessions::resources::SessionResources;
use crate::sessions::session::Session;

/// The size of the parts in which a file is written.
const PART_BYTES: usize = 256 * 1024;

/// The memory of a part that arrives, and of one that is written.
const WRITING_BYTES: usize = 2 * PART_BYTES;

/// The space that an upload without a known size reserves at a time.
const SPACE_STEP: u64 = 1 << 20;

/// A file that arrives. Dropping it removes what has arrived, unless it is complete.
#[derive(Debug)]
pub(crate) struct Upload {
    session: Arc<Session>,
    part: Part,
    file: Arc<File>,
    /// Bytes that are not written yet.
    pending: Vec<u8>,
    received: u64,
    space: Space,
    disk: DiskCheck,
    _turn: OwnedSemaphorePermit,
    _buffers: Reservation,
}

/// The file of an upload that is not complete. Dropping it removes the file.
#[derive(Debug)]
struct Part {
    session: Arc<Session>,
    resources: Arc<SessionResources>,
    target: Target,
    is_placed: bool,
}

/// The place of an upload.
#[derive(Clone, Debug)]
struct Target {
    dir: PathBuf,
    path: RelativePath,
    /// The number in the name of the file until it is complete.
    number: u64,
}

/// The check for free space on the server's disk.
#[derive(Clone, Debug)]
struct DiskCheck {
    sessions_dir: PathBuf,
    limits: Limits,
}

impl DiskCheck {
    /// Fails if less space than the minimum would be free after `bytes`. Blocks for a moment.
    fn check(&self, bytes: u64) -> Result<(), FileError> {
        let disk = Disk::of(&self.sessions_dir).map_err(|error| FileError::of(&error))?;
        let rest = Disk {
            free_bytes: disk.free_bytes.saturating_sub(bytes),
            ..disk
        };
        if rest.is_full(&self.limits) {
            return Err(self.full(disk));
        }
        Ok(())
    }

    fn full(&self, disk: Disk) -> FileError {
        FileError::DiskFull {
            free_mb: disk.free_mb(),
            min_mb: self.limits.min_free_disk_mb,
        }
    }

    /// Writes a part, and checks the disk before it.
    fn write(&self, mut file: &File, part: &[u8]) -> Result<(), FileError> {
        self.check(part.len() as u64)?;
        file.write_all(part).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> FileError {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT) => {
                self.full(Disk::of(&self.sessions_dir).unwrap_or_default())
            }
            _ => FileError::of(error),
        }
    }
}

impl Registry {
    /// Begins to write a file of a session. `announced` is its size, if the client says so.
    ///
    /// The size of the session is measured first, and then counted while the file arrives. The
    /// watcher of the disk counts everything again.
    pub async fn begin_upload(
        &self,
        session: &Arc<Session>,
        path: RelativePath,
        announced: Option<u64>,
    ) -> Result<Upload, FileError> {
        let FileRequest { resources, turn } = FileRequest::begin(session)?;
        let (dir, path) = Place::of_file(path, &resources.sandbox.dir)?;
        let buffers = resources.budget.reserve(WRITING_BYTES)?;
        let limits = self.limits();
        let disk = DiskCheck {
            sessions_dir: self.sessions_dir().to_owned(),
            limits,
        };
        disk.check(announced.unwrap_or(0))?;
        let mut space = Space::new(&resources.files.uploads, &limits);
        let max = DiskUsage {
            bytes: limits.disk_mb << 20,
            files: limits.files,
        };
        let measuring = session.work(&resources, |resources| async move {
            resources.sandbox.measure(max, None).await
        });
        space.set_used(measuring.await?, path.names().count())?;
        space.grow(announced.unwrap_or(0))?;
        let number = getrandom::u64().map_err(|error| {
            FileError::Unavailable(format!("cannot get random numbers: {error}"))
        })?;
        let part = Part {
            session: Arc::clone(session),
            resources: Arc::clone(&resources),
            target: Target { dir, path, number },
            is_placed: false,
        };
        let creating = session.work(&resources, |resources| async move {
            let Target { dir, path, number } = part.target.clone();
            let files = resources.sandbox.code.files();
            // If the client is gone, dropping the part removes the file.
            Ok((files.create_part(dir, path, number).await?, part))
        });
        let (file, part) = creating.await?;
        Ok(Upload {
            session: Arc::clone(session),
            part,
            file: Arc::new(file),
            pending: Vec::new(),
            received: 0,
            space,
            disk,
            _turn: turn,
            _buffers: buffers,
        })
    }
}

impl Upload {
    /// Appends to the file.
    pub async fn write(&mut self, data: &[u8]) -> Result<(), FileError> {
        self.received += data.len() as u64;
        let missing = self.received.saturating_sub(self.space.reserved_bytes());
        if missing > 0 {
            self.space.grow(missing.max(SPACE_STEP)).or_else(|_| {
                // The last step can be larger than the space that is left.
                self.space.grow(missing)
            })?;
        }
        for part in data.chunks(PART_BYTES) {
            self.pending.extend_from_slice(part);
            if self.pending.len() >= PART_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), FileError> {
        let part = std::mem::take(&mut self.pending);
        let (file, disk) = (Arc::clone(&self.file), self.disk.clone());
        let writing = spawn_blocking(move || disk.write(&file, &part));
        let written = writing
            .await
            .map_err(|error| FileError::Unavailable(error.to_string()))?;
        // A transfer counts as activity.
        self.session.activity.touch();
        written
    }

    /// Moves the complete file to its path, and returns its size.
    pub async fn finish(mut self) -> Result<u64, FileError> {
        self.flush().await?;
        let Target { dir, path, number } = self.part.target.clone();
        let resources = &self.part.resources;
        let placing = self.session.work(resources, |resources| async move {
            let files = resources.sandbox.code.files();
            files.place_part(dir, path, number).await
        });
        placing.await?;
        self.part.is_placed = true;
        self.space.complete();
        Ok(self.received)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.is_placed {
            return;
        }
        // Otherwise the end of the session removes its directory.
        let Some(token) = self.session.file_task(&self.resources) else {
            return;
        };
        let Target { dir, path, number } = self.target.clone();
        let resources = Arc::clone(&self.resources);
        self.resources.tasks.spawn(async move {
            let files = resources.sandbox.code.files();
            let removed = files.remove_part(dir, path, number).await;
            if let Err(error) = removed {
                tracing::debug!(%error, "incomplete upload not removed");
            }
        });
        drop(token);
    }
}

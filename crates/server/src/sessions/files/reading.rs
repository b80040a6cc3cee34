//! Lists, removes and reads files.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;
use hearth_budget::Reservation;
use hearth_sandbox::{Listing, RelativePath};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::error::FileError;
use super::place::Place;
use super::requests::FileRequest;
use crate::sessions::session::Session;

/// The size of the parts in which a file is read.
const PART_BYTES: usize = 256 * 1024;

/// The memory of a part that is read, and of one that is sent.
const READING_BYTES: usize = 2 * PART_BYTES;

/// The maximum memory of a listing, as the worker sends it and as a response.
const LISTING_BYTES: usize = 8 << 20;

/// A file that is open for reading.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    file: Arc<File>,
    session: Arc<Session>,
    /// The size when it was opened.
    pub bytes: u64,
    /// A text that changes with the content.
    pub version: String,
    _turn: OwnedSemaphorePermit,
    _buffers: Reservation,
}

impl Session {
    /// Lists a directory below the working directory, or the working directory itself. The
    /// reservation accounts for the listing.
    pub async fn list_files(
        &self,
        path: Option<RelativePath>,
    ) -> Result<(Listing, Reservation), FileError> {
        let request = FileRequest::begin(self)?;
        let reserved = request.resources.budget.reserve(LISTING_BYTES)?;
        let Place { dir, path } = Place::of(path, &request.resources.sandbox.dir);
        let listing = self.work(&request.resources, |resources| async move {
            resources.sandbox.code.files().list_dir(dir, path).await
        });
        Ok((listing.await?, reserved))
    }

    /// Removes a file, a link itself, or an empty directory.
    pub async fn remove_file(&self, path: RelativePath) -> Result<(), FileError> {
        let request = FileRequest::begin(self)?;
        let (dir, path) = Place::of_file(path, &request.resources.sandbox.dir)?;
        let removal = self.work(&request.resources, |resources| async move {
            resources.sandbox.code.files().remove_file(dir, path).await
        });
        removal.await
    }

    /// Opens a regular file.
    pub async fn open_file(self: &Arc<Self>, path: RelativePath) -> Result<OpenedFile, FileError> {
        let request = FileRequest::begin(self)?;
        let buffers = request.resources.budget.reserve(READING_BYTES)?;
        let (dir, path) = Place::of_file(path, &request.resources.sandbox.dir)?;
        let opening = self.work(&request.resources, |resources| async move {
            resources.sandbox.code.files().open_file(dir, path).await
        });
        let file = opening.await?;
        let about = file.metadata().map_err(|error| FileError::of(&error))?;
        // Code can set the time of modification, but not this one.
        let (seconds, nanoseconds) = (about.ctime(), about.ctime_nsec());
        Ok(OpenedFile {
            bytes: about.len(),
            version: format!(
                "{:x}-{:x}-{seconds:x}.{nanoseconds:x}",
                about.ino(),
                about.len()
            ),
            file: Arc::new(file),
            session: Arc::clone(self),
            _turn: request.turn,
            _buffers: buffers,
        })
    }
}

impl OpenedFile {
    /// Reads the next part of a range and removes it from the range. Returns none at the end of the
    /// range. Fails with `UnexpectedEof` if the file has become shorter.
    pub async fn read(&self, range: &mut Range<u64>) -> Option<io::Result<Bytes>> {
        let left = range
            .end
            .checked_sub(range.start)
            .filter(|left| *left > 0)?;
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(PART_BYTES);
        let (file, offset) = (Arc::clone(&self.file), range.start);
        let reading = spawn_blocking(move || {
            let mut part = vec![0; length];
            let count = file.read_at(&mut part, offset)?;
            part.truncate(count);
            if part.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Bytes::from(part))
        });
        let part = reading.await.map_err(io::Error::other).flatten();
        match &part {
            Ok(part) => range.start += part.len() as u64,
            // Nothing follows an error.
            Err(_) => range.start = range.end,
        }
        // A transfer counts as activity.
        self.session.activity.touch();
        Some(part)
    }
}

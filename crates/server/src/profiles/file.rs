//! The file format of a profile: a head with the owner and cookies, then the packed directory of
//! the browser. Both parts have a checksum.
//!
//! The file starts with 16 magic bytes, the length of the head (four bytes, little-endian), the
//! SHA-256 of the head, and the head as JSON. The rest is written by
//! `hearth_sandbox::FileWorker::pack_dir`. A checkpoint has only the head.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The extension of checkpoints.
pub(super) const CHECKPOINT: &str = "checkpoint";

/// The extension of damaged files. The last one of each profile is kept.
pub(super) const DAMAGED: &str = "damaged";

use hearth_browser::CookieJar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::id::ProfileId;

/// The magic bytes, with the version of the format.
const MAGIC: &[u8; 16] = b"hearth profile 1";

/// The maximum size of a head. All cookies of a browser need less.
pub(super) const MAX_HEAD_BYTES: u32 = 64 * 1024 * 1024;

/// The number of bytes before the head: magic, length, checksum.
pub(super) const START_BYTES: usize = 16 + 4 + 32;

/// The part before the packed directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub team: String,
    pub name: String,
    /// Unique to one save of one profile. A checkpoint has the version of the save that it
    /// continues, or an empty one if there was none.
    pub version: String,
    pub saved_at_ms: i64,
    /// The version that this one continues, in object storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<String>,
    /// The cookies that the directory does not hold or, in a checkpoint, all cookies.
    pub cookies: CookieJar,
}

impl Head {
    /// Reads the head, and leaves `file` at the start of the packed directory. Fails with
    /// [`ErrorKind::InvalidData`] if the head does not match its checksum or is invalid.
    pub fn read(file: &mut impl Read) -> io::Result<Head> {
        let damaged = |_| io::Error::from(ErrorKind::InvalidData);
        let mut start = [0; START_BYTES];
        file.read_exact(&mut start)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ErrorKind::InvalidData.into(),
                _ => error,
            })?;
        let (magic, rest) = start.split_at(16);
        let (length, checksum) = rest.split_at(4);
        let length = u32::from_le_bytes(length.try_into().map_err(damaged)?);
        if magic != MAGIC || length > MAX_HEAD_BYTES {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut json = Vec::new();
        file.by_ref().take(length.into()).read_to_end(&mut json)?;
        if json.len() != length as usize || Sha256::digest(&json).as_slice() != checksum {
            return Err(ErrorKind::InvalidData.into());
        }
        serde_json::from_slice(&json).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    /// Returns the head if it belongs to `profile`, and otherwise an error of the kind of a damaged
    /// file.
    pub fn owned_by(self, profile: &ProfileId) -> io::Result<Head> {
        if self.team == *profile.team && self.name == profile.name {
            Ok(self)
        } else {
            Err(ErrorKind::InvalidData.into())
        }
    }

    /// Returns the bytes of a file that has only this head.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len())
            .ok()
            .filter(|length| *length <= MAX_HEAD_BYTES);
        let length = length.ok_or_else(|| io::Error::other("too many cookies"))?;
        Ok([
            MAGIC.as_slice(),
            &length.to_le_bytes(),
            &Sha256::digest(&json),
            &json,
        ]
        .concat())
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        file.write_all(&self.to_bytes()?)
    }
}

/// Runs file operations on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// A new version of a file, written beside it. Dropping a draft that was not committed removes it.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    file: File,
    is_done: bool,
}

/// Returns the path of the draft of `path`.
pub(super) fn draft_path(path: &Path) -> PathBuf {
    path.with_added_extension(DRAFT)
}

/// The extension of drafts.
pub(super) const DRAFT: &str = "new";

impl Draft {
    /// Creates a draft of `path`. Each path has one writer at a time.
    pub fn create(path: &Path, head: &Head) -> io::Result<Draft> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(draft_path(path))?;
        let mut draft = Draft {
            path: path.to_owned(),
            file,
            is_done: false,
        };
        head.write(&mut draft.file)?;
        Ok(draft)
    }

    /// Returns the file, positioned after the head.
    pub fn rest(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Replaces the file with the draft, atomically and durably, and returns its length. Until
    /// then, the old version is unchanged.
    pub fn commit_draft(mut self) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        fs::rename(draft_path(&self.path), &self.path)?;
        self.is_done = true;
        if let Err(error) = sync_parent(&self.path) {
            tracing::warn!(%error, "profile directory sync failed");
        }
        Ok(bytes)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(draft_path(&self.path));
        }
    }
}

/// Makes renames and removals in the directory of `path` survive a power failure.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    File::open(dir)?.sync_all()
}

/// Removes a file, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Opens a file, if it exists.
pub(super) fn open_if_exists(path: &Path) -> io::Result<Option<File>> {
    // Opening a FIFO at this path must not block.
    match File::options()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
    {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;

    fn head() -> Head {
        let cookie = r#"[{"name":"a","value":"b","domain":"c.example","path":"/","secure":true,"httpOnly":true}]"#;
        Head {
            team: "name:shop".into(),
            name: "a/..\0 \u{1f36a}".into(),
            version: "v".into(),
            saved_at_ms: 1_790_000_000_000,
            continues: None,
            cookies: serde_json::from_str(cookie).expect("a cookie"),
        }
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .expect("written");
        file
    }

    #[test]
    fn a_head_is_read_back_and_leaves_the_rest_unread() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("x");
        let draft = Draft::create(&path, &head()).expect("begun");
        draft
            .rest()
            .and_then(|mut rest| rest.write_all(b"the rest"))
            .expect("written");
        assert!(!path.exists());
        let bytes = draft.commit_draft().expect("there");
        let mut file = File::open(&path).expect("opened");
        assert_eq!(file.metadata().expect("metadata").len(), bytes);
        assert_eq!(Head::read(&mut file).expect("read"), head());
        let mut rest = String::new();
        file.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "the rest");
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_dropped_draft_is_removed() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        drop(Draft::create(&dir.path().join("x"), &head()).expect("begun"));
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
    }

    #[test]
    fn every_changed_or_missing_byte_is_detected() {
        let mut written = tempfile::tempfile().expect("a file");
        head().write(&mut written).expect("written");
        let mut bytes = Vec::new();
        written
            .seek(SeekFrom::Start(0))
            .and_then(|_| written.read_to_end(&mut bytes))
            .expect("read");
        for path in 0..bytes.len() {
            let mut other = bytes.clone();
            other[path] ^= 1;
            for bytes in [&other[..], &bytes[..path]] {
                let error = Head::read(&mut file(bytes)).expect_err("noticed");
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{path}: {error}");
            }
        }
    }
}

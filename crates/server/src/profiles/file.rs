//! A profile's file: whose it is and its cookies, with a checksum, then the packed folder, which
//! has its own.
//!
//! Sixteen bytes that say what it is, four with the length of the head (little-endian), its
//! SHA-256, the head as JSON, and from there on what `hearth_sandbox::FileWorker::pack_dir` writes. A
//! checkpoint is the same without a folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hearth_browser::CookieJar;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Says what it is, and in which version of this form.
const MAGIC: &[u8; 16] = b"hearth profile 1";

/// More than all cookies that a browser keeps take.
const MAX_HEAD_BYTES: u32 = 64 * 1024 * 1024;

/// What stands before the folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub team: String,
    pub name: String,
    /// A number that no other save of any profile has. A checkpoint has that of the save that it
    /// continues; none when there was none.
    pub version: String,
    pub saved_at_ms: i64,
    /// In a saved profile those that the folder does not hold; in a checkpoint all.
    pub cookies: CookieJar,
}

impl Head {
    /// Reads it, and leaves `file` where the folder begins. [`ErrorKind::InvalidData`] when it is
    /// not what was written.
    pub fn read(file: &mut File) -> io::Result<Head> {
        let damaged = |_| io::Error::from(ErrorKind::InvalidData);
        let mut start = [0; 16 + 4 + 32];
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
        file.take(length.into()).read_to_end(&mut json)?;
        if json.len() != length as usize || Sha256::digest(&json).as_slice() != checksum {
            return Err(ErrorKind::InvalidData.into());
        }
        serde_json::from_slice(&json).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    fn write(&self, file: &mut File) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        let length = u32::try_from(json.len())
            .ok()
            .filter(|length| *length <= MAX_HEAD_BYTES);
        let length = length.ok_or_else(|| io::Error::other("there are too many cookies"))?;
        let start = [
            MAGIC.as_slice(),
            &length.to_le_bytes(),
            &Sha256::digest(&json),
            &json,
        ]
        .concat();
        file.write_all(&start)
    }
}

/// A file that is being written beside the one that it is to replace. Unless it is put into place
/// it goes again.
#[derive(Debug)]
pub(super) struct Draft {
    place: PathBuf,
    file: File,
    is_done: bool,
}

/// What a draft of `place` is called.
pub(super) fn draft_of(place: &Path) -> PathBuf {
    place.with_added_extension(DRAFT)
}

/// The end of every draft's name.
pub(super) const DRAFT: &str = "new";

impl Draft {
    /// Begins one for `place`. Each place has one writer at a time.
    pub fn begin(place: &Path, head: &Head) -> io::Result<Draft> {
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(draft_of(place))?;
        let mut draft = Draft {
            place: place.to_owned(),
            file,
            is_done: false,
        };
        head.write(&mut draft.file)?;
        Ok(draft)
    }

    /// The file, to write behind the head.
    pub fn rest(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Puts it into its place, at once and for good, and tells its length. Until then what was
    /// there is as it was.
    pub fn put_into_place(mut self) -> io::Result<u64> {
        self.file.sync_all()?;
        let bytes = self.file.metadata()?.len();
        fs::rename(draft_of(&self.place), &self.place)?;
        self.is_done = true;
        if let Err(error) = sync_folder_of(&self.place) {
            tracing::warn!(%error, "a profile was saved, but may be as it was before after a power failure");
        }
        Ok(bytes)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_done {
            let _ = fs::remove_file(draft_of(&self.place));
        }
    }
}

/// Sees to it that what was renamed or removed beside `place` stays so, also without power.
pub(super) fn sync_folder_of(place: &Path) -> io::Result<()> {
    let folder = place.parent().ok_or(ErrorKind::InvalidInput)?;
    File::open(folder)?.sync_all()
}

/// Removes a file that may not be there.
pub(super) fn remove(place: &Path) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

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
    fn a_head_comes_back_and_leaves_the_rest_to_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("x");
        let draft = Draft::begin(&place, &head()).expect("begun");
        draft
            .rest()
            .and_then(|mut rest| rest.write_all(b"the rest"))
            .expect("written");
        assert!(!place.exists());
        let bytes = draft.put_into_place().expect("there");
        let mut file = File::open(&place).expect("opened");
        assert_eq!(file.metadata().expect("about it").len(), bytes);
        assert_eq!(Head::read(&mut file).expect("read"), head());
        let mut rest = String::new();
        file.read_to_string(&mut rest).expect("read");
        assert_eq!(rest, "the rest");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_draft_that_comes_to_nothing_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Draft::begin(&folder.path().join("x"), &head()).expect("begun"));
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 0);
    }

    #[test]
    fn any_other_byte_and_any_missing_one_is_noticed() {
        let mut written = tempfile::tempfile().expect("a file");
        head().write(&mut written).expect("written");
        let mut bytes = Vec::new();
        written
            .seek(SeekFrom::Start(0))
            .and_then(|_| written.read_to_end(&mut bytes))
            .expect("read");
        for place in 0..bytes.len() {
            let mut other = bytes.clone();
            other[place] ^= 1;
            for bytes in [&other[..], &bytes[..place]] {
                let error = Head::read(&mut file(bytes)).expect_err("noticed");
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{place}: {error}");
            }
        }
    }
}

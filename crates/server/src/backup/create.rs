//! Writing a backup.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::error::BackupError;
use super::files::{failed, sync_dir};
use super::format::{ABOUT, About, BUFFER_BYTES, FORMAT, PROFILES, SUMS, Summary, sum_line};
use crate::clock;
use crate::profiles::{backed_up_files, profiles_dir};
use crate::store::{FILE, Store};
use crate::token::hex;

/// The compression level. It is the fastest standard level, because profiles are compressed.
const LEVEL: i32 = 1;

/// Returns the name of a backup until it is complete.
fn partial_path(path: &Path) -> PathBuf {
    path.with_added_extension("partial")
}

/// Returns the path of the copy of the store while a backup is written.
fn store_path(path: &Path) -> PathBuf {
    path.with_added_extension("store")
}

/// Returns the path of SQLite's journal while it writes the copy. SQLite does not report that it
/// could not remove it.
fn journal_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push("-journal");
    path.into()
}

/// Removes the temporary files of a backup.
pub(crate) fn discard(path: &Path) {
    let store = store_path(path);
    for path in [partial_path(path), journal_path(&store), store] {
        let _ = fs::remove_file(path);
    }
}

/// Writes a backup of a data directory to a new file. A server may use the directory meanwhile.
///
/// The file appears when it is complete. Until then it has another name, which [`discard`] removes
/// if the caller drops the future.
pub(crate) async fn create(data_dir: &Path, path: &Path) -> Result<Summary, BackupError> {
    for path in [path.to_owned(), partial_path(path), store_path(path)] {
        if path.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(path));
        }
    }
    let partial = create_file(&partial_path(path))?;
    let written = write(data_dir, path, partial).await;
    if written.is_err() {
        discard(path);
    }
    written
}

async fn write(data_dir: &Path, path: &Path, partial: File) -> Result<Summary, BackupError> {
    let store = copy_store(data_dir, &store_path(path)).await?;
    let profiles = profiles_dir(data_dir);
    let path = path.to_owned();
    let packing = spawn_blocking(move || {
        let summary = pack(store, &profiles, partial, &path)?;
        let moved = fs::rename(partial_path(&path), &path);
        moved.map_err(failed("write", &path))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        sync_dir(parent).map_err(failed("write", &path))?;
        Ok(summary)
    });
    packing
        .await
        .unwrap_or_else(|error| Err(failed("write", data_dir)(io::Error::other(error))))
}

fn create_file(path: &Path) -> Result<File, BackupError> {
    let mut options = File::options();
    let options = options.read(true).write(true).create_new(true).mode(0o600);
    options.open(path).map_err(failed("write", path))
}

/// Copies the store to a file without a name, if there is a store.
async fn copy_store(data_dir: &Path, path: &Path) -> Result<Option<File>, BackupError> {
    if !data_dir.join(FILE).exists() {
        return Ok(None);
    }
    // SQLite accepts an empty file, and keeps its mode.
    let file = create_file(path)?;
    let copied = Store::copy(data_dir, path).await;
    fs::remove_file(path).map_err(failed("remove", path))?;
    let _ = fs::remove_file(journal_path(path));
    copied.map_err(BackupError::Copy)?;
    Ok(Some(file))
}

/// Writes all entries. Blocks.
fn pack(
    store: Option<File>,
    profiles: &Path,
    to: File,
    path: &Path,
) -> Result<Summary, BackupError> {
    let mut packer = Packer::new(to, path)?;
    if let Some(store) = store {
        packer.add_file(FILE, store, path)?;
    }
    let names = backed_up_files(profiles).map_err(failed("read", profiles))?;
    for name in names {
        let path = profiles.join(&name);
        match File::open(&path) {
            Ok(file) => packer.add_file(&format!("{PROFILES}/{name}"), file, &path)?,
            // It was deleted or replaced meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(failed("read", &path)(error)),
        }
        if !name.contains('.') {
            packer.summary.profiles += 1;
        }
    }
    packer.finish()
}

struct Packer<'a> {
    archive: tar::Builder<zstd::Encoder<'static, BufWriter<File>>>,
    path: &'a Path,
    mtime: u64,
    sums: String,
    summary: Summary,
}

impl<'a> Packer<'a> {
    fn new(to: File, path: &'a Path) -> Result<Packer<'a>, BackupError> {
        let bad = failed("write", path);
        let writer = BufWriter::with_capacity(BUFFER_BYTES, to);
        let mut encoder = zstd::Encoder::new(writer, LEVEL).map_err(&bad)?;
        encoder.include_checksum(true).map_err(&bad)?;
        let now = clock::now();
        let created_at = clock::format(now);
        let about = About {
            format: FORMAT,
            hearth: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: created_at.clone(),
        };
        let mut packer = Packer {
            archive: tar::Builder::new(encoder),
            path,
            mtime: u64::try_from(now.as_second()).unwrap_or(0),
            sums: String::new(),
            summary: Summary {
                created_at,
                ..Summary::default()
            },
        };
        let about = serde_json::to_vec(&about).map_err(|error| bad(error.into()))?;
        packer.add(ABOUT, about.len() as u64, about.as_slice(), path)?;
        Ok(packer)
    }

    /// Adds a file, which is not changed meanwhile but may be replaced.
    fn add_file(&mut self, name: &str, file: File, source: &Path) -> Result<(), BackupError> {
        let bytes = file.metadata().map_err(failed("read", source))?.len();
        self.add(name, bytes, file, source)?;
        self.summary.bytes += bytes;
        Ok(())
    }

    fn add(
        &mut self,
        name: &str,
        bytes: u64,
        content: impl Read,
        source: &Path,
    ) -> Result<(), BackupError> {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_size(bytes);
        header.set_mtime(self.mtime);
        let mut content = Hashing {
            inner: content.take(bytes),
            digest: Sha256::new(),
            read_bytes: 0,
        };
        let added = self.archive.append_data(&mut header, name, &mut content);
        added.map_err(failed("write", self.path))?;
        if content.read_bytes != bytes {
            return Err(BackupError::Changed(source.to_owned()));
        }
        self.sums += &sum_line(&hex(&content.digest.finalize()), name);
        Ok(())
    }

    fn finish(mut self) -> Result<Summary, BackupError> {
        let bad = failed("write", self.path);
        let sums = std::mem::take(&mut self.sums);
        self.add(SUMS, sums.len() as u64, sums.as_bytes(), self.path)?;
        let encoder = self.archive.into_inner().map_err(&bad)?;
        let mut writer = encoder.finish().map_err(&bad)?;
        writer.flush().map_err(&bad)?;
        writer.get_ref().sync_all().map_err(&bad)?;
        Ok(self.summary)
    }
}

/// A reader that calculates the checksum of what it reads.
struct Hashing<R> {
    inner: R,
    digest: Sha256,
    read_bytes: u64,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digest.update(&buffer[..length]);
        self.read_bytes += length as u64;
        Ok(length)
    }
}

//! Restoring a backup.
//!
//! The content is first unpacked into a directory beside the data, and checked. Then the old data
//! is moved to another directory, and the new one into its place. While that directory exists, no
//! server starts, and a restore can be repeated. A crash therefore loses neither.

use std::fmt::Display;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use super::error::BackupError;
use super::files::{failed, remove, sync_dir};
use super::format::{ABOUT, About, BUFFER_BYTES, FORMAT, PROFILES, SUMS, Summary, sum_line};
use crate::profiles::is_profile_file;
use crate::store::{FILE, Store};
use crate::token::hex;

/// The directory for the content of a backup until it is checked.
const STAGED: &str = "restore";

/// The directory for the old data while it is replaced.
const REPLACED: &str = "replaced";

/// The parts of the data directory that a backup replaces. SQLite's log belongs to the old store.
const REPLACED_PARTS: [&str; 4] = [FILE, "hearth.db-wal", "hearth.db-shm", PROFILES];

/// The maximum size of the description.
const MAX_ABOUT_BYTES: u64 = 64 * 1024;

/// Entries of a data directory without data: the lock, the files of sessions and of `doctor`, an
/// unfinished restore, and the directory of a file system for lost files.
const EMPTY_PARTS: [&str; 5] = ["lock", "s", "d", STAGED, "lost+found"];

/// Returns the directory with the old data while it is replaced.
pub(crate) fn replaced_dir(data_dir: &Path) -> PathBuf {
    data_dir.join(REPLACED)
}

/// Returns true if a crash interrupted a restore while it replaced the data.
pub(crate) fn is_interrupted(data_dir: &Path) -> bool {
    replaced_dir(data_dir).exists()
}

/// Replaces the data in a directory by that of a backup. The caller holds the lock of the
/// directory. An error while the backup is read or checked changes nothing.
pub(crate) async fn restore(
    from: File,
    path: &Path,
    data_dir: &Path,
    replaces: bool,
) -> Result<Summary, BackupError> {
    let is_empty = is_empty(data_dir).map_err(failed("read", data_dir))?;
    if !is_empty && !replaces {
        return Err(BackupError::NotEmpty(data_dir.to_owned()));
    }
    let staged = data_dir.join(STAGED);
    let checked = stage(from, path, &staged).await;
    let placed = checked.and_then(|summary| {
        replace(data_dir, &staged).map_err(failed("replace the data in", data_dir))?;
        Ok(summary)
    });
    if !is_interrupted(data_dir) {
        // An error leaves a directory without a meaning, which the next restore removes.
        let _ = remove(&staged);
    }
    placed
}

fn is_empty(data_dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(data_dir)? {
        let name = entry?.file_name();
        if !EMPTY_PARTS.iter().any(|part| name == *part) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Unpacks a backup into a new directory and checks it.
async fn stage(from: File, path: &Path, staged: &Path) -> Result<Summary, BackupError> {
    let bad = failed("write", staged);
    remove(staged).map_err(&bad)?;
    for dir in [staged, &staged.join(PROFILES)] {
        let created = DirBuilder::new().mode(0o700).create(dir);
        created.map_err(&bad)?;
    }
    let unpacker = Unpacker {
        path,
        staged,
        sums: String::new(),
    };
    let summary = unpacker.unpack(from)?;
    let usable = Store::check(staged).await;
    usable.map_err(|source| BackupError::Store {
        path: path.to_owned(),
        source,
    })?;
    sync_dir(&staged.join(PROFILES)).map_err(&bad)?;
    sync_dir(staged).map_err(&bad)?;
    Ok(summary)
}

struct Unpacker<'a> {
    path: &'a Path,
    staged: &'a Path,
    /// The list of checksums as it must be, except for the last entry.
    sums: String,
}

impl Unpacker<'_> {
    fn damaged(&self, reason: impl Display) -> BackupError {
        BackupError::Damaged {
            path: self.path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Unpacks all entries. Blocks.
    fn unpack(mut self, from: File) -> Result<Summary, BackupError> {
        let foreign = |_| BackupError::Foreign(self.path.to_owned());
        let reader = BufReader::with_capacity(BUFFER_BYTES, from);
        let decoder = zstd::Decoder::with_buffer(reader).map_err(foreign)?;
        let mut archive = tar::Archive::new(decoder);
        let mut entries = archive.entries().map_err(foreign)?.raw(true);
        let about = self.read_about(entries.next())?;
        let mut summary = Summary {
            created_at: about.created_at,
            ..Summary::default()
        };
        let mut is_complete = false;
        for entry in entries {
            let entry = entry.map_err(|error| self.damaged(error))?;
            if is_complete {
                return Err(self.damaged("something follows the checksums"));
            }
            let name = self.name_of(&entry)?;
            if name == SUMS {
                self.check_sums(entry)?;
                is_complete = true;
            } else {
                summary.bytes += self.unpack_file(&name, entry)?;
                let is_profile = name.starts_with(PROFILES) && !name.contains('.');
                summary.profiles += usize::from(is_profile);
            }
        }
        if !is_complete {
            return Err(self.damaged("the checksums are missing"));
        }
        // The end has the checksum of zstd.
        let rest = io::copy(&mut archive.into_inner(), &mut io::sink());
        rest.map_err(|error| self.damaged(error))?;
        Ok(summary)
    }

    fn read_about<R: Read>(
        &mut self,
        first: Option<io::Result<tar::Entry<'_, R>>>,
    ) -> Result<About, BackupError> {
        let foreign = || BackupError::Foreign(self.path.to_owned());
        let entry = first.and_then(Result::ok).ok_or_else(foreign)?;
        if entry.path_bytes().as_ref() != ABOUT.as_bytes() {
            return Err(foreign());
        }
        let mut json = Vec::new();
        let read = entry.take(MAX_ABOUT_BYTES).read_to_end(&mut json);
        read.map_err(|error| self.damaged(error))?;
        let about: About = serde_json::from_slice(&json).map_err(|error| self.damaged(error))?;
        if about.format > FORMAT {
            return Err(BackupError::Newer {
                path: self.path.to_owned(),
                version: about.hearth,
            });
        }
        self.sums += &sum_line(&hex(&Sha256::digest(&json)), ABOUT);
        Ok(about)
    }

    /// Returns the name of an entry that a backup may contain.
    fn name_of<R: Read>(&self, entry: &tar::Entry<'_, R>) -> Result<String, BackupError> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let is_known = match name.split_once('/') {
            None => [FILE, SUMS].contains(&name.as_str()),
            Some((dir, file)) => dir == PROFILES && is_profile_file(file),
        };
        if is_known && entry.header().entry_type().is_file() {
            Ok(name)
        } else {
            Err(self.damaged(format!("unexpected entry {name:?}")))
        }
    }

    /// Writes an entry to a new file, and returns its size.
    fn unpack_file<R: Read>(
        &mut self,
        name: &str,
        mut entry: tar::Entry<'_, R>,
    ) -> Result<u64, BackupError> {
        let path = self.staged.join(name);
        let bad = failed("write", &path);
        let mut options = File::options();
        let options = options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).map_err(&bad)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut bytes = 0;
        loop {
            let read = entry.read(&mut buffer);
            let length = read.map_err(|error| self.damaged(error))?;
            if length == 0 {
                break;
            }
            digest.update(&buffer[..length]);
            file.write_all(&buffer[..length]).map_err(&bad)?;
            bytes += length as u64;
        }
        if bytes != entry.size() {
            return Err(self.damaged(format!("{name} is incomplete")));
        }
        file.sync_all().map_err(&bad)?;
        self.sums += &sum_line(&hex(&digest.finalize()), name);
        Ok(bytes)
    }

    fn check_sums<R: Read>(&self, entry: tar::Entry<'_, R>) -> Result<(), BackupError> {
        let mut listed = Vec::new();
        let read = entry
            .take(self.sums.len() as u64 + 1)
            .read_to_end(&mut listed);
        read.map_err(|error| self.damaged(error))?;
        if listed == self.sums.as_bytes() {
            Ok(())
        } else {
            Err(self.damaged("a checksum differs"))
        }
    }
}

/// Moves the checked data into its place.
fn replace(data_dir: &Path, staged: &Path) -> io::Result<()> {
    give_to_owner(data_dir, staged)?;
    let replaced = replaced_dir(data_dir);
    if !replaced.exists() {
        DirBuilder::new().mode(0o700).create(&replaced)?;
        sync_dir(data_dir)?;
    }
    for part in REPLACED_PARTS {
        let (path, old) = (data_dir.join(part), replaced.join(part));
        if old.exists() {
            // It comes from a restore that was interrupted.
            remove(&path)?;
        } else if path.exists() {
            fs::rename(&path, &old)?;
        }
    }
    sync_dir(&replaced)?;
    for part in REPLACED_PARTS {
        let new = staged.join(part);
        if new.exists() {
            fs::rename(&new, data_dir.join(part))?;
        }
    }
    sync_dir(data_dir)?;
    // From here on the restore is complete.
    fs::rename(&replaced, staged.join(REPLACED))?;
    sync_dir(data_dir)
}

/// As root, gives the files to the owner of the data directory, as whom the server may run.
fn give_to_owner(data_dir: &Path, staged: &Path) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let owner = fs::metadata(data_dir)?;
    let give = |path: &Path| chown(path, Some(owner.uid()), Some(owner.gid()));
    give(&data_dir.join("lock"))?;
    for dir in [staged, &staged.join(PROFILES)] {
        for entry in fs::read_dir(dir)? {
            give(&entry?.path())?;
        }
    }
    Ok(())
}

//! Packs a directory into an archive and unpacks it: tar, compressed with zstd. The zstd checksum
//! at the end detects damage.
//!
//! Archives contain only regular files and directories, with their contents but without owners,
//! modes and extended attributes. Links, sockets and pipes are skipped.

use std::cell::Cell;
use std::error::Error;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use crate::files::dirs::{entries, is_kind, open, open_below};

/// The compression level. It is the fastest standard level, because the end of a session waits for
/// it.
const LEVEL: i32 = 1;

/// Maximum depth of directories. Browser profiles need about a dozen levels.
const MAX_DEPTH: usize = 64;

const BUFFER_BYTES: usize = 256 * 1024;

/// Maximum size of an entry's headers. They contain its path, which has at most [`MAX_DEPTH`] names
/// of 255 bytes. The tar library reads them into memory.
const MAX_HEADER_BYTES: u64 = 32 * 1024;

/// Writes the files of `dir` to `to`, without the relative paths in `leave_out`. Fails with `EFBIG`
/// if the files are larger than `max_bytes` together. Blocks.
pub(crate) fn pack(dir: &Path, leave_out: &[PathBuf], max_bytes: u64, to: File) -> io::Result<()> {
    let mut encoder = zstd::Encoder::new(BufWriter::with_capacity(BUFFER_BYTES, to), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut packer = Packer {
        archive: tar::Builder::new(encoder),
        leave_out,
        max_bytes,
        packed_bytes: 0,
    };
    packer.pack(&open(dir)?, &mut PathBuf::new(), 0)?;
    packer.archive.into_inner()?.finish()?.into_inner()?.flush()
}

struct Packer<'a, W: Write> {
    archive: tar::Builder<W>,
    leave_out: &'a [PathBuf],
    max_bytes: u64,
    packed_bytes: u64,
}

impl<W: Write> Packer<'_, W> {
    fn pack(&mut self, dir: &OwnedFd, path: &mut PathBuf, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(libc_error(libc::ELOOP));
        }
        for name in entries(dir)? {
            let name = name?;
            let stat = fstatat(dir, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            path.push(OsStr::from_bytes(name.to_bytes()));
            if !self.leave_out.contains(path) {
                if is_kind(&stat, SFlag::S_IFDIR) {
                    self.archive.append_data(
                        &mut header(tar::EntryType::Directory, 0o700, 0, &stat),
                        &path,
                        io::empty(),
                    )?;
                    self.pack(&open_below(dir, &name)?, path, depth + 1)?;
                } else if is_kind(&stat, SFlag::S_IFREG) {
                    self.pack_file(dir, &name, path, &stat)?;
                }
            }
            path.pop();
        }
        Ok(())
    }

    fn pack_file(
        &mut self,
        dir: &OwnedFd,
        name: &CStr,
        path: &Path,
        stat: &FileStat,
    ) -> io::Result<()> {
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        self.packed_bytes = self.packed_bytes.saturating_add(bytes);
        if self.packed_bytes > self.max_bytes {
            return Err(libc_error(libc::EFBIG));
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(dir, name, flags, Mode::empty())?);
        // Writes exactly the announced size, even if the file changes meanwhile.
        let content = file.take(bytes).chain(io::repeat(0)).take(bytes);
        self.archive.append_data(
            &mut header(tar::EntryType::Regular, 0o600, bytes, stat),
            path,
            content,
        )
    }
}

fn header(kind: tar::EntryType, mode: u32, bytes: u64, stat: &FileStat) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(bytes);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header
}

/// Unpacks an archive from [`pack`] into `dir`.
///
/// Fails with [`io::ErrorKind::InvalidData`] if the archive is damaged, and with `EFBIG` if the
/// files are larger than `max_bytes` together. Some of the files may exist after a failure. Blocks.
pub(crate) fn unpack(from: File, dir: &Path, max_bytes: u64) -> io::Result<()> {
    use io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
    let again = from.try_clone()?;
    let start = (&from).stream_position()?;
    let Err(error) = unpack_from(from, dir, max_bytes) else {
        return Ok(());
    };
    if !is_whole(again, start) {
        return Err(io::Error::new(InvalidData, error.to_string()));
    }
    Err(match (errno_of(&error), error.kind()) {
        (Some(errno), _) => io::Error::from_raw_os_error(errno),
        (None, InvalidData | InvalidInput | Other | UnexpectedEof) => {
            io::Error::new(InvalidData, error.to_string())
        }
        (None, _) => error,
    })
}

/// Returns true if the checksum of the archive at `start` is correct. Damage can cause any other
/// error before the end, such as a name that is too long or a file that is too large.
fn is_whole(mut file: File, start: u64) -> bool {
    let checked = file.seek(SeekFrom::Start(start)).and_then(|_| {
        let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, file))?
            .single_frame();
        io::copy(&mut decoder, &mut io::sink())
    });
    checked.is_ok()
}

fn unpack_from(from: File, dir: &Path, max_bytes: u64) -> io::Result<()> {
    let decoder =
        zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER_BYTES, from))?.single_frame();
    let allowed_bytes = Rc::new(Cell::new(MAX_HEADER_BYTES));
    let mut archive = tar::Archive::new(Bounded {
        inner: decoder,
        allowed_bytes: Rc::clone(&allowed_bytes),
    });
    let mut remaining_bytes = max_bytes;
    for entry in archive.entries()? {
        let mut entry = entry?;
        remaining_bytes = remaining_bytes
            .checked_sub(entry.size())
            .ok_or_else(|| libc_error(libc::EFBIG))?;
        let is_plain =
            entry.header().entry_type().is_dir() || entry.header().entry_type().is_file();
        allowed_bytes.set(entry.size().saturating_add(MAX_HEADER_BYTES));
        if !is_plain || is_too_deep(&entry)? || !entry.unpack_in(dir)? {
            return Err(io::Error::other("unexpected entry in the archive"));
        }
        // The rest of a directory's or file's last block precedes the next header.
        allowed_bytes.set(MAX_HEADER_BYTES);
    }
    // Reads to the end, where the checksum is.
    io::copy(&mut archive.into_inner().inner, &mut io::sink())?;
    Ok(())
}

/// Returns true if [`pack`] would reject the directories of an entry.
fn is_too_deep<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<bool> {
    let path = entry.path()?;
    let names = path
        .components()
        .filter(|component| matches!(component, Component::Normal(_)))
        .count();
    // In the oldest format, a directory has the type of a file and a name that ends with a slash.
    let is_file =
        entry.header().entry_type().is_file() && !path.as_os_str().as_bytes().ends_with(b"/");
    Ok(names.saturating_sub(usize::from(is_file)) > MAX_DEPTH)
}

/// A reader that fails after a number of bytes.
struct Bounded<R> {
    inner: R,
    /// Shared with the loop over the entries.
    allowed_bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let allowed = self.allowed_bytes.get();
        if allowed == 0 && !buffer.is_empty() {
            return Err(io::Error::other("an entry has too large headers"));
        }
        let length = usize::try_from(allowed)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..length])?;
        self.allowed_bytes.set(allowed - read as u64);
        Ok(read)
    }
}

/// Returns the `errno` of an error, including a wrapped one. Returns None if it did not come from
/// the system.
fn errno_of(error: &io::Error) -> Option<i32> {
    let mut reason: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = reason {
        if let Some(errno) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return Some(errno);
        }
        reason = error.source().or_else(|| {
            let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
            Some(inner as &(dyn Error + 'static))
        });
    }
    None
}

fn libc_error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use tempfile::{TempDir, tempdir, tempfile};

    use super::*;

    const ANY: u64 = u64::MAX;

    fn dir() -> TempDir {
        tempdir().expect("a dir")
    }

    fn filled() -> TempDir {
        let dir = dir();
        let deep = dir
            .path()
            .join("Default/IndexedDB")
            .join("x".repeat(150))
            .join("y".repeat(150));
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("z"), vec![7; 300_000]).expect("written");
        fs::write(dir.path().join("Default/empty"), "").expect("written");
        fs::create_dir_all(dir.path().join("Default/Cache/below")).expect("made");
        fs::write(dir.path().join("Default/Cache/below/c"), "c").expect("written");
        dir
    }

    fn packed(dir: &Path, leave_out: &[PathBuf], max_bytes: u64) -> io::Result<File> {
        let mut file = tempfile().expect("a file");
        pack(dir, leave_out, max_bytes, file.try_clone().expect("cloned"))?;
        file.seek(SeekFrom::Start(0)).expect("rewound");
        Ok(file)
    }

    /// Returns every path below a directory, with the sizes of files.
    fn listing(dir: &Path) -> Vec<(PathBuf, Option<u64>)> {
        let mut found = Vec::new();
        let mut waiting = vec![dir.to_owned()];
        while let Some(here) = waiting.pop() {
            for entry in fs::read_dir(here).expect("read") {
                let entry = entry.expect("an entry");
                let about = entry.metadata().expect("metadata");
                found.push((
                    entry.path().strip_prefix(dir).expect("below").to_owned(),
                    about.is_file().then_some(about.len()),
                ));
                if about.is_dir() {
                    waiting.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn a_directory_round_trips_without_left_out_paths() {
        let (from, to) = (filled(), dir());
        let archive = packed(from.path(), &["Default/Cache".into()], ANY).expect("packed");
        unpack(archive, to.path(), ANY).expect("unpacked");
        fs::remove_dir_all(from.path().join("Default/Cache")).expect("removed");
        assert_eq!(listing(to.path()), listing(from.path()));
    }

    #[test]
    fn links_are_skipped_and_closed_directories_are_opened() {
        let (from, to, outside) = (dir(), dir(), dir());
        fs::write(outside.path().join("secret"), "secret").expect("written");
        symlink(outside.path(), from.path().join("dir")).expect("linked");
        symlink(outside.path().join("secret"), from.path().join("file")).expect("linked");
        nix::unistd::mkfifo(&from.path().join("pipe"), Mode::S_IRWXU).expect("made");
        fs::create_dir(from.path().join("closed")).expect("made");
        fs::write(from.path().join("closed/x"), "x").expect("written");
        fs::set_permissions(
            from.path().join("closed"),
            fs::Permissions::from_mode(0o000),
        )
        .expect("closed");
        unpack(
            packed(from.path(), &[], ANY).expect("packed"),
            to.path(),
            ANY,
        )
        .expect("unpacked");
        assert_eq!(
            listing(to.path()),
            [("closed".into(), None), ("closed/x".into(), Some(1))]
        );
    }

    #[test]
    fn files_above_the_maximum_are_neither_packed_nor_unpacked_even_if_sparse() {
        let from = dir();
        File::create(from.path().join("holes"))
            .and_then(|file| file.set_len(1 << 40))
            .expect("made");
        let error = packed(from.path(), &[], 1 << 30).expect_err("too large");
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
        let archive = packed(filled().path(), &[], ANY).expect("packed");
        let error = unpack(archive, dir().path(), 300_000).expect_err("too large");
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
    }

    #[test]
    fn every_changed_or_missing_byte_is_detected() {
        let from = filled();
        let mut bytes = Vec::new();
        packed(from.path(), &[], ANY)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .expect("read");
        let unpacks = |bytes: &[u8]| {
            let mut file = tempfile().expect("a file");
            file.write_all(bytes)
                .and_then(|()| file.seek(SeekFrom::Start(0)))
                .expect("written");
            unpack(file, dir().path(), ANY)
        };
        unpacks(&bytes).expect("undamaged");
        for offset in 0..bytes.len() {
            let mut other = bytes.clone();
            other[offset] ^= 0x55;
            let error = unpacks(&other).expect_err("detected");
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidData,
                "byte {offset}: {error}"
            );
            let error = unpacks(&bytes[..offset]).expect_err("detected");
            assert_eq!(
                error.kind(),
                io::ErrorKind::InvalidData,
                "cut at {offset}: {error}"
            );
        }
    }

    #[test]
    fn damage_is_reported_as_damage_even_if_it_causes_another_error() {
        // A name that no file system accepts, and a size above the limit. Damage may produce
        // either.
        for (name, size, misleading) in [
            ("n".repeat(300), 0, libc::ENAMETOOLONG),
            ("holes".to_owned(), 5000, libc::EFBIG),
        ] {
            let stat = fstatat(open(dir().path()).expect("a dir"), c".", AtFlags::empty())
                .expect("metadata");
            let encoded = || {
                let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
                encoder.include_checksum(true)?;
                let mut archive = tar::Builder::new(encoder);
                let mut header = header(tar::EntryType::Regular, 0o600, size, &stat);
                archive.append_data(&mut header, &name, io::repeat(0).take(size))?;
                archive.into_inner()?.finish()
            };
            let mut bytes: Vec<u8> = encoded().expect("packed");
            let unpacks = |bytes: &[u8]| {
                let mut file = tempfile().expect("a file");
                file.write_all(bytes)
                    .and_then(|()| file.seek(SeekFrom::Start(0)))
                    .expect("written");
                unpack(file, dir().path(), 4000).expect_err("too large")
            };
            assert_eq!(unpacks(&bytes).raw_os_error(), Some(misleading));
            *bytes.last_mut().expect("a checksum") ^= 0x55;
            assert_eq!(unpacks(&bytes).kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn headers_that_do_not_fit_into_memory_are_damage() {
        // Zeros take no space in the archive, so a small one could contain a gigabyte of them.
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(MAX_HEADER_BYTES + 1);
        header.set_cksum();
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).expect("an encoder");
        let mut write = |bytes: &[u8]| encoder.write_all(bytes).expect("memory takes everything");
        write(header.as_bytes());
        write(&vec![
            0;
            usize::try_from(4 * MAX_HEADER_BYTES)
                .expect("it is small")
        ]);
        let bytes = encoder.finish().expect("memory takes everything");
        let mut file = tempfile().expect("a file");
        file.write_all(&bytes)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .expect("written");
        let error = unpack(file, dir().path(), ANY).expect_err("too large");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("too large headers"), "{error}");
    }

    #[test]
    fn a_full_disk_is_not_damage() {
        let full = File::options()
            .write(true)
            .open("/dev/full")
            .expect("opened");
        let error = pack(filled().path(), &[], ANY, full).expect_err("disk full");
        assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        let from = packed(filled().path(), &[], ANY).expect("packed");
        let missing = dir().path().join("gone");
        assert_eq!(
            unpack(from, &missing, ANY).expect_err("missing").kind(),
            io::ErrorKind::NotFound
        );
    }
}

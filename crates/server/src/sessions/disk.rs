//! The usage of a whole disk.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use crate::config::Limits;

/// The space and files of a disk at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Disk {
    pub used_bytes: u64,
    pub used_files: u64,
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl Disk {
    /// Reads the usage of the disk that holds `dir`.
    pub fn of(dir: &Path) -> io::Result<Disk> {
        let disk = statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        Ok(Disk {
            used_bytes: bytes(disk.blocks().saturating_sub(disk.blocks_free())),
            used_files: disk.files().saturating_sub(disk.files_free()),
            free_bytes: bytes(disk.blocks_available()),
            total_bytes: bytes(disk.blocks()),
        })
    }

    /// Returns true if less space is free than the limit requires.
    pub fn is_full(&self, limits: &Limits) -> bool {
        self.free_bytes < limits.min_free_disk_mb << 20
    }

    pub fn free_mb(&self) -> u64 {
        self.free_bytes >> 20
    }
}

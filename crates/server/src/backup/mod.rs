//! Backups of the data directory.
//!
//! A backup is a tar archive, compressed with zstd. Its first entry describes it, and its last one
//! lists the SHA-256 of the others in the format of `sha256sum`, so a backup that was cut or
//! changed is detected. It contains the store and the profiles, and no files of running sessions.
//! Both directions need the same memory for any size.
//!
//! [`create`] runs beside a server. [`restore`] requires the lock of the data directory, and
//! replaces nothing before it has checked everything.

mod create;
mod error;
mod files;
mod format;
mod restore;

use std::path::Path;

pub(crate) use self::create::{create, discard};
pub(crate) use self::error::BackupError;
pub(crate) use self::format::Summary;
pub(crate) use self::restore::{is_interrupted, replaced_dir, restore};
use crate::profiles::profiles_dir;
use crate::store::FILE;

/// Returns true if a directory contains the data of a server.
pub(crate) fn has_data(data_dir: &Path) -> bool {
    data_dir.join(FILE).exists() || profiles_dir(data_dir).exists()
}

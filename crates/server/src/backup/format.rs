//! The format of a backup.

use serde::{Deserialize, Serialize};

/// The name of the first entry.
pub(super) const ABOUT: &str = "hearth-backup.json";

/// The name of the last entry.
pub(super) const SUMS: &str = "SHA256SUMS";

/// The name of the directory of the profiles, in a backup as in the data directory.
pub(super) const PROFILES: &str = "profiles";

/// The version of the format.
pub(super) const FORMAT: u32 = 1;

pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// The description of a backup.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    pub format: u32,
    /// The version of Hearth that wrote it.
    pub hearth: String,
    pub created_at: String,
}

/// The content of a backup, for people.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub profiles: usize,
    /// The size of the files before compression.
    pub bytes: u64,
    /// The time of the backup.
    pub created_at: String,
}

/// Returns the line of an entry in the list of checksums.
pub(super) fn sum_line(checksum: &str, name: &str) -> String {
    format!("{checksum}  {name}\n")
}

//! How much a session may take. The numbers only; `watch` and `disk_watch` hold sessions against
//! them, the browser and `confine` what is theirs.

use hearth_browser::Bounds;

/// The limits of every session, and of the disk that they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of a session's programs together, in MiB, as far as no file is behind it.
    pub memory_mb: u64,
    /// Processes of a session. Each thread of its code counts; those of its browser do not.
    pub processes: u64,
    /// Of each of a session's programs.
    pub open_files: u64,
    /// What a session's files may take, in MiB.
    pub disk_mb: u64,
    /// How many files and folders a session may have.
    pub files: u64,
    /// What must stay free of the disk with the sessions' folders, in MiB.
    pub min_free_disk_mb: u64,
    /// What must stay available of the memory for a session to be created, in MiB.
    pub min_free_memory_mb: u64,
    /// How large a download may become, in MiB.
    pub max_download_mb: u64,
    /// How many tabs a browser may have.
    pub max_tabs: usize,
}

/// What the settings say when nobody says anything else.
pub(crate) const DEFAULT_LIMITS: Limits = Limits {
    memory_mb: 2048,
    processes: 512,
    open_files: 4096,
    disk_mb: 2048,
    files: 100_000,
    min_free_disk_mb: 512,
    min_free_memory_mb: 256,
    max_download_mb: 512,
    max_tabs: 100,
};

impl Limits {
    /// What the browser itself sees to.
    pub fn of_browser(&self) -> Bounds {
        Bounds {
            max_tabs: self.max_tabs,
            max_download_bytes: self.max_download_mb << 20,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Limits;

    /// Nothing is allowed; tests allow what they are about.
    pub(crate) const LIMITS: Limits = Limits {
        memory_mb: 0,
        processes: 0,
        open_files: 0,
        disk_mb: 0,
        files: 0,
        min_free_disk_mb: 0,
        min_free_memory_mb: 0,
        max_download_mb: 0,
        max_tabs: 0,
    };
}

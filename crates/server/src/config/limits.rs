//! Limits on the resources of a session. The watchers of `sessions/limits`, the browser and the
//! sandbox enforce them.

use std::sync::{Arc, PoisonError, RwLock};

use clap::Args;
use hearth_browser::BrowserLimits;

use super::number::{number, size};

/// The maximum of settings in MiB, which is one tebibyte.
const MAX_MB: u64 = 1 << 20;

/// The limits of each session, and of the memory and disk that all sessions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct Limits {
    /// Memory of a session (browser and code together), in MiB. Above the limit, the code that uses
    /// the most ends; if that is not enough, the session ends
    #[arg(long = "session-memory-mb", env = "HEARTH_SESSION_MEMORY_MB", value_name = "MIB",
          default_value = "2048", value_parser = number(256..=MAX_MB))]
    pub memory_mb: u64,

    /// Processes of a session. Each thread of its code counts as one; those of its browser do not
    /// count
    #[arg(long = "session-processes", env = "HEARTH_SESSION_PROCESSES", value_name = "NUMBER",
          default_value = "512", value_parser = number(64..=1 << 20))]
    pub processes: u64,

    /// Open files of each program of a session. Its browser may open four times as many
    #[arg(long = "session-open-files", env = "HEARTH_SESSION_OPEN_FILES", value_name = "NUMBER",
          default_value = "4096", value_parser = number(256..=1 << 20))]
    pub open_files: u64,

    /// Disk space of a session (files, downloads and browser profile), in MiB. A session that uses
    /// more ends
    #[arg(long = "session-disk-mb", env = "HEARTH_SESSION_DISK_MB", value_name = "MIB",
          default_value = "2048", value_parser = number(32..=MAX_MB))]
    pub disk_mb: u64,

    /// Files and directories of a session. A session that has more ends
    #[arg(long = "session-files", env = "HEARTH_SESSION_FILES", value_name = "NUMBER",
          default_value = "100000", value_parser = number(1000..=100_000_000))]
    pub files: u64,

    /// Free space to keep on the disk of the data directory, in MiB. Below it no session is
    /// created, and the session that uses the most disk ends. 0 turns the check off
    #[arg(long, env = "HEARTH_MIN_FREE_DISK_MB", value_name = "MIB",
          default_value = "512", value_parser = number(0..=MAX_MB))]
    pub min_free_disk_mb: u64,

    /// Available memory to keep, of the machine or of the container, in MiB. Below it no session is
    /// created. 0 turns the check off
    #[arg(long, env = "HEARTH_MIN_FREE_MEMORY_MB", value_name = "MIB",
          default_value = "256", value_parser = number(0..=MAX_MB))]
    pub min_free_memory_mb: u64,

    /// Size of a download, in MiB. A larger download is cancelled
    #[arg(long, env = "HEARTH_MAX_DOWNLOAD_MB", value_name = "MIB",
          default_value = "512", value_parser = number(1..=MAX_MB))]
    pub max_download_mb: u64,

    /// Memory of the server that one session may use for messages, output and responses that are
    /// not delivered yet, in MiB. It counts towards the memory of the session. What does not fit is
    /// dropped: output is truncated, and a connection that needs more is closed
    #[arg(long = "session-buffer-mb", env = "HEARTH_SESSION_BUFFER_MB", value_name = "MIB",
          default_value = "128", value_parser = number(16..=MAX_MB))]
    pub session_buffer_mb: u64,

    /// Memory of the server for such data of all sessions, and for request bodies, in MiB. A
    /// request that does not fit gets a 503
    #[arg(long, env = "HEARTH_BUFFER_MB", value_name = "MIB",
          default_value = "160", value_parser = number(32..=MAX_MB))]
    pub buffer_mb: u64,

    /// Open tabs of a session
    #[arg(long, env = "HEARTH_MAX_TABS", value_name = "NUMBER",
          default_value = "100", value_parser = size(1..=10_000))]
    pub max_tabs: usize,
}

impl Limits {
    /// Returns the limits that the browser enforces.
    pub fn of_browser(&self) -> BrowserLimits {
        BrowserLimits {
            max_tabs: self.max_tabs,
            max_download_bytes: self.max_download_mb << 20,
        }
    }
}

/// The limits that are in effect. A reload replaces them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct CurrentLimits(Arc<RwLock<Limits>>);

impl CurrentLimits {
    pub fn new(limits: Limits) -> CurrentLimits {
        CurrentLimits(Arc::new(RwLock::new(limits)))
    }

    pub fn get(&self) -> Limits {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, limits: Limits) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Limits;

    /// Limits that allow nothing. Each test raises the limits that it needs.
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
        session_buffer_mb: 0,
        buffer_mb: 0,
    };
}

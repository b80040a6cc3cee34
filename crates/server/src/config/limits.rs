//! How much a session may take: the settings about limits.

use clap::Args;

use super::{ConfigError, or_default, parse_number};
use crate::limits::Limits;

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitSettings {
    /// Memory of a session, its browser and its code together, in MiB; of more, what takes the most
    /// ends: a piece of code alone, or with its browser the session
    #[arg(
        long,
        env = "HEARTH_SESSION_MEMORY_MB",
        value_name = "MIB",
        default_value = "2048"
    )]
    session_memory_mb: String,

    /// Processes of a session; each thread of its code counts as one, those of its browser do not
    #[arg(
        long,
        env = "HEARTH_SESSION_PROCESSES",
        value_name = "NUMBER",
        default_value = "512"
    )]
    session_processes: String,

    /// Open files of each program of a session; its browser may have four times as many
    #[arg(
        long,
        env = "HEARTH_SESSION_OPEN_FILES",
        value_name = "NUMBER",
        default_value = "4096"
    )]
    session_open_files: String,

    /// Disk space of a session's files, downloads and browser profile, in MiB; a session that uses
    /// more ends
    #[arg(
        long,
        env = "HEARTH_SESSION_DISK_MB",
        value_name = "MIB",
        default_value = "2048"
    )]
    session_disk_mb: String,

    /// Files and folders of a session; one that has more ends
    #[arg(
        long,
        env = "HEARTH_SESSION_FILES",
        value_name = "NUMBER",
        default_value = "100000"
    )]
    session_files: String,

    /// What must stay free of the data folder's disk, in MiB: with less no session is created, and
    /// the one that uses the most ends; 0 turns it off
    #[arg(
        long,
        env = "HEARTH_MIN_FREE_DISK_MB",
        value_name = "MIB",
        default_value = "512"
    )]
    min_free_disk_mb: String,

    /// What must stay available of the memory, of the machine's or of the container's, in MiB: with
    /// less no session is created; 0 turns it off
    #[arg(
        long,
        env = "HEARTH_MIN_FREE_MEMORY_MB",
        value_name = "MIB",
        default_value = "256"
    )]
    min_free_memory_mb: String,

    /// Size of a download, in MiB; one that becomes larger is cancelled
    #[arg(
        long,
        env = "HEARTH_MAX_DOWNLOAD_MB",
        value_name = "MIB",
        default_value = "512"
    )]
    max_download_mb: String,

    /// Open tabs of a session
    #[arg(
        long,
        env = "HEARTH_MAX_TABS",
        value_name = "NUMBER",
        default_value = "100"
    )]
    max_tabs: String,
}

/// The most of anything that is counted in MiB: a tebibyte.
const MOST_MB: usize = 1 << 20;

/// All of them, or everything that is wrong.
pub(super) fn parse_limits(settings: &LimitSettings) -> Result<Limits, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let mut number = |name: &str, value: &str, default: &str, least: usize, most: usize| {
        parse_number(name, or_default(value, default), least, most).unwrap_or_else(|error| {
            errors.push(error);
            least
        })
    };
    let wide = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let limits = Limits {
        memory_mb: wide(number(
            "HEARTH_SESSION_MEMORY_MB",
            &settings.session_memory_mb,
            "2048",
            256,
            MOST_MB,
        )),
        processes: wide(number(
            "HEARTH_SESSION_PROCESSES",
            &settings.session_processes,
            "512",
            64,
            1 << 20,
        )),
        open_files: wide(number(
            "HEARTH_SESSION_OPEN_FILES",
            &settings.session_open_files,
            "4096",
            256,
            1 << 20,
        )),
        disk_mb: wide(number(
            "HEARTH_SESSION_DISK_MB",
            &settings.session_disk_mb,
            "2048",
            32,
            MOST_MB,
        )),
        files: wide(number(
            "HEARTH_SESSION_FILES",
            &settings.session_files,
            "100000",
            1000,
            100_000_000,
        )),
        min_free_disk_mb: wide(number(
            "HEARTH_MIN_FREE_DISK_MB",
            &settings.min_free_disk_mb,
            "512",
            0,
            MOST_MB,
        )),
        min_free_memory_mb: wide(number(
            "HEARTH_MIN_FREE_MEMORY_MB",
            &settings.min_free_memory_mb,
            "256",
            0,
            MOST_MB,
        )),
        max_download_mb: wide(number(
            "HEARTH_MAX_DOWNLOAD_MB",
            &settings.max_download_mb,
            "512",
            1,
            MOST_MB,
        )),
        max_tabs: number("HEARTH_MAX_TABS", &settings.max_tabs, "100", 1, 10_000),
    };
    if errors.is_empty() {
        Ok(limits)
    } else {
        Err(errors)
    }
}

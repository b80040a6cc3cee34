//! The messages for exceeded limits.

use std::fmt;

/// A limit that a session exceeded, with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Memory in MiB.
    MemoryMb(u64),
    /// Number of processes. Threads of the code count, too.
    Processes(u64),
    /// Disk space of the session's files, in MiB.
    DiskMb(u64),
    /// Number of files and directories.
    Files(u64),
    /// Disk space that must stay free for all sessions, in MiB.
    FreeDiskMb(u64),
}

impl fmt::Display for Limit {
    /// Formats the violation as a predicate, including the setting that raises the limit.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryMb(max) => write!(
                f,
                "used more than {max} MiB of memory (HEARTH_SESSION_MEMORY_MB)"
            ),
            Self::Processes(max) => write!(
                f,
                "had more than {max} processes (HEARTH_SESSION_PROCESSES)"
            ),
            Self::DiskMb(max) => write!(
                f,
                "used more than {max} MiB of disk space (HEARTH_SESSION_DISK_MB)"
            ),
            Self::Files(max) => write!(f, "had more than {max} files (HEARTH_SESSION_FILES)"),
            Self::FreeDiskMb(min) => {
                write!(
                    f,
                    "used the most space on a disk with less than {min} MiB free (HEARTH_MIN_FREE_DISK_MB)"
                )
            }
        }
    }
}

impl Limit {
    /// Returns the `error` of an execution that was killed so that its session could continue.
    pub fn execution_error(self) -> String {
        format!("Execution was killed: the session {self}, and this code had the largest share")
    }

    /// Returns the `error` of an execution that was interrupted by the end of its session.
    pub fn session_error(self) -> String {
        format!("The session ended while the code was running because it {self}")
    }

    /// Returns the reason why the session ended.
    pub fn sentence(self) -> String {
        format!("The session ended because it {self}.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sentence_names_the_limit_and_its_setting() {
        for (limit, number, setting) in [
            (Limit::MemoryMb(11), "11 MiB", "HEARTH_SESSION_MEMORY_MB"),
            (
                Limit::Processes(12),
                "12 processes",
                "HEARTH_SESSION_PROCESSES",
            ),
            (Limit::DiskMb(13), "13 MiB", "HEARTH_SESSION_DISK_MB"),
            (Limit::Files(14), "14 files", "HEARTH_SESSION_FILES"),
            (Limit::FreeDiskMb(15), "15 MiB", "HEARTH_MIN_FREE_DISK_MB"),
        ] {
            for sentence in [
                limit.sentence(),
                limit.session_error(),
                limit.execution_error(),
            ] {
                assert!(
                    sentence.contains(number) && sentence.contains(setting),
                    "{sentence}"
                );
            }
        }
    }
}

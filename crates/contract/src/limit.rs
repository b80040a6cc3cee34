//! The words for what goes past a limit.

use std::fmt;

/// A limit that a session has gone past, with what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Of memory, in MiB.
    MemoryMb(u64),
    /// Of processes; code's threads count too.
    Processes(u64),
    /// Of the disk space that its files take, in MiB.
    DiskMb(u64),
    /// Of the number of its files and folders.
    Files(u64),
    /// Of the disk space that must stay free for everybody, in MiB.
    FreeDiskMb(u64),
}

impl fmt::Display for Limit {
    /// What it did, as the rest of a sentence, with the setting that allows more.
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
                    "used the most of a disk with less than {min} MiB left (HEARTH_MIN_FREE_DISK_MB)"
                )
            }
        }
    }
}

impl Limit {
    /// The `error` of an execution that is ended so that its session can go on.
    pub fn execution_error(self) -> String {
        format!("Execution was ended: the session {self}, and this code the most of it")
    }

    /// The `error` of an execution that was cut off by the end of its session.
    pub fn session_error(self) -> String {
        format!("The session was ended while the code was running: it {self}")
    }

    /// What ended a session, for people.
    pub fn sentence(self) -> String {
        format!("The session was ended: it {self}.")
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

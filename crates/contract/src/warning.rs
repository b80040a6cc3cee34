//! What a caller should know of a profile although their request has succeeded.

use std::fmt;

/// What became of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileWarning {
    /// It was not as it had been written. The session starts from an empty one.
    Damaged,
    /// The session's changes are lost. What the profile held before is still there.
    NotSaved(NotSaved),
}

/// Why a session's changes are not in its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSaved {
    /// The server's disk is full.
    DiskFull,
    /// There is more than that many MiB of it.
    TooLarge(u64),
    /// The browser had to be killed, and may not have written all that it held.
    BrowserKilled,
    /// For this reason.
    Because(String),
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSaved::DiskFull => f.write_str("the server's disk is full"),
            NotSaved::TooLarge(most_mb) => {
                write!(
                    f,
                    "it has grown larger than {most_mb} MiB, which a session may take of the disk (HEARTH_SESSION_DISK_MB)"
                )
            }
            NotSaved::BrowserKilled => f.write_str("the browser did not close and had to be killed"),
            NotSaved::Because(reason) => f.write_str(reason),
        }
    }
}

impl ProfileWarning {
    /// The same, for the caller.
    pub fn sentence(&self) -> String {
        match self {
            ProfileWarning::Damaged => {
                "The profile is damaged. It was set aside on the server, and the session starts from an empty one."
                    .to_owned()
            }
            ProfileWarning::NotSaved(reason) => {
                format!(
                    "The changes of this session were not saved to its profile, which is as it was before: {reason}."
                )
            }
        }
    }
}

//! What a caller should know of a profile although their request has succeeded.

use std::fmt;

/// What became of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileWarning {
    /// It was not as it had been written. The session starts from an empty one.
    Damaged,
    /// It is known to have been saved, and is not there. The session starts from an empty one.
    Missing,
    /// The session's changes are lost.
    NotSaved {
        /// Why.
        reason: NotSaved,
        /// Whether its cookies were written down while it ran. Those are kept; everything else is
        /// as it was before.
        has_cookies: bool,
    },
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
    /// The browser ended by itself, and may not have written all that it held.
    BrowserCrashed,
    /// The session went past a limit.
    Limit,
    /// For this reason.
    Other(String),
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSaved::DiskFull => f.write_str("the server's disk is full"),
            NotSaved::TooLarge(max_mb) => {
                write!(
                    f,
                    "it has grown larger than {max_mb} MiB, which a session may take of the disk (HEARTH_SESSION_DISK_MB)"
                )
            }
            NotSaved::BrowserKilled => {
                f.write_str("the browser did not close and had to be killed")
            }
            NotSaved::BrowserCrashed => f.write_str("the browser ended unexpectedly"),
            NotSaved::Limit => f.write_str("the session was ended because it went past a limit"),
            NotSaved::Other(reason) => f.write_str(reason),
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
            ProfileWarning::Missing => {
                "The profile was saved before, but is not on the server any more. The session starts from an empty one."
                    .to_owned()
            }
            ProfileWarning::NotSaved { reason, has_cookies } => {
                let kept =
                    if *has_cookies { ", but for cookies that were written down while the session ran" } else { "" };
                format!(
                    "The changes of this session were not saved to its profile: {reason}. The profile is as it was before{kept}."
                )
            }
        }
    }
}

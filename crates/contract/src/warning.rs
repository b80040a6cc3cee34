//! Warnings in successful responses.

use std::fmt;

/// A warning about a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileWarning {
    /// The profile is damaged. The session starts with an empty profile.
    Damaged,
    /// The profile was saved but its file is missing. The session starts with an empty profile.
    Missing,
    /// The object storage with profiles does not answer. The server keeps the profile and tries
    /// again.
    NotSavedYet,
    /// The session's changes were not saved.
    NotSaved {
        /// The reason.
        reason: NotSaved,
        /// Set if cookies were saved while the session ran. They are kept, and the rest of the
        /// profile is unchanged.
        has_cookies: bool,
    },
}

/// The reason why a session's changes were not saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotSaved {
    /// The server's disk is full.
    DiskFull,
    /// The profile exceeds this size in MiB.
    TooLarge(u64),
    /// The browser had to be killed and may not have written all its data.
    BrowserKilled,
    /// The browser crashed and may not have written all its data.
    BrowserCrashed,
    /// The session exceeded a limit.
    Limit,
    /// The cluster considered the session's node lost, and let other sessions save to the profile.
    LeaseLost,
    /// Another reason.
    Other(String),
}

/// A warning about a field of a request that has less effect than asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldWarning {
    /// `blockAds` is true, but the server does not block.
    AdsNotBlocked,
    /// The server has no proxy in the country of `location`.
    AddressUnchanged,
}

impl FieldWarning {
    /// Returns the warning as a sentence for the caller.
    pub fn sentence(self) -> &'static str {
        match self {
            FieldWarning::AdsNotBlocked => {
                "The server does not block advertisements (HEARTH_BLOCK_ADS)."
            }
            FieldWarning::AddressUnchanged => {
                "The server has no proxy in this country (HEARTH_EGRESS_PROXIES), so only the time zone and the languages are changed, not the IP address."
            }
        }
    }
}

impl fmt::Display for NotSaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSaved::DiskFull => f.write_str("the server's disk is full"),
            NotSaved::TooLarge(max_mb) => {
                write!(
                    f,
                    "it exceeds the disk limit of a session, {max_mb} MiB (HEARTH_SESSION_DISK_MB)"
                )
            }
            NotSaved::BrowserKilled => {
                f.write_str("the browser did not close and had to be killed")
            }
            NotSaved::BrowserCrashed => f.write_str("the browser ended unexpectedly"),
            NotSaved::Limit => f.write_str("the session exceeded a limit"),
            NotSaved::LeaseLost => f.write_str("the cluster considered the session's server lost"),
            NotSaved::Other(reason) => f.write_str(reason),
        }
    }
}

impl ProfileWarning {
    /// Returns the warning as a sentence for the caller.
    pub fn sentence(&self) -> String {
        match self {
            ProfileWarning::Damaged => {
                "The profile is damaged. The server kept the damaged file, and the session starts with an empty profile."
                    .to_owned()
            }
            ProfileWarning::Missing => {
                "The profile was saved earlier but is missing on the server. The session starts with an empty profile."
                    .to_owned()
            }
            ProfileWarning::NotSavedYet => {
                "The profile is not saved yet, because the object storage does not answer. The server tries again for 5 minutes. Until then, no other session can save to the profile."
                    .to_owned()
            }
            ProfileWarning::NotSaved { reason, has_cookies } => {
                let kept =
                    if *has_cookies { ", except for cookies that were saved while the session ran" } else { "" };
                format!(
                    "The changes of this session were not saved to its profile: {reason}. The profile is unchanged{kept}."
                )
            }
        }
    }
}

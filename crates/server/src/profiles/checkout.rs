//! The state that a session gets from a profile, and the reasons why it cannot save to one.

use std::io;

use hearth_browser::CookieJar;
use hearth_contract::ProfileWarning;
use thiserror::Error;

/// The state that a session starts with.
#[derive(Debug, Default)]
pub(crate) struct CheckedOut {
    /// Cookies to set in the browser.
    pub cookies: CookieJar,
    /// True if the cookies replace those of the browser's directory.
    pub replaces_all: bool,
    /// True if files were unpacked.
    pub has_files: bool,
    /// Set if the saved profile is damaged or missing. If it is damaged, the caller must remove
    /// unpacked files.
    pub warning: Option<ProfileWarning>,
}

/// A reason why the changes of a session are not saved.
#[derive(Debug, Error)]
pub(crate) enum CommitError {
    /// A file cannot be packed or written. The old version is unchanged.
    #[error(transparent)]
    File(#[from] io::Error),
    /// The object storage or the store does not answer. The packed profile waits on this machine.
    #[error("the profile waits until the object storage answers")]
    Waiting,
    /// The lease has ended, because its node was considered lost.
    #[error("the session does not have the lease of the profile any more")]
    LeaseLost,
}

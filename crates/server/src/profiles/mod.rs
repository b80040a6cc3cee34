//! Browser profiles, which outlive sessions. Each profile is one file in the data directory.
//!
//! A session *checks out* a profile: it gets a copy of the last saved version and a
//! [`ProfileLease`]. When a session that saves ends cleanly, it *commits*: the browser's directory
//! is packed into a draft beside the file, and the complete draft replaces the file. Sessions that
//! read the old version at that moment keep it open. A profile has one saver at a time. The lease
//! exists only in memory, so a crashed server leaves no profile locked.
//!
//! While the saver runs, its cookies are periodically written beside the file as a *checkpoint*. A
//! crash therefore loses minutes of changes, but not the login. A commit makes the checkpoint void.
//!
//! Profiles are packed and unpacked under the session's user id (`hearth_sandbox`), and the server
//! never reads files that a browser wrote. Names never become part of a path: a file is named after
//! the SHA-256 of team and name. The store has a list of profiles. If the list and the files
//! differ, the files take precedence (`reconcile`).

mod backed_up;
mod catalog;
mod file;
mod id;
mod lease;
mod reconcile;

pub(crate) use self::backed_up::{backed_up_files, is_profile_file};
pub(crate) use self::catalog::{ProfileError, Profiles, profiles_dir};
pub(crate) use self::id::ProfileId;
pub(crate) use self::lease::{CheckedOut, ProfileLease};

#[cfg(test)]
mod tests;

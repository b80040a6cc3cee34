//! Browser profiles, which outlive sessions.
//!
//! A session *checks out* a profile: it gets a copy of the last saved version and a
//! [`ProfileLease`]. When a session that saves ends cleanly, it *commits* a new version. A profile
//! has one saver at a time, and any number of readers.
//!
//! The profiles of a single server are `files` on its disk. Those of a cluster are `objects` in a
//! bucket, or in a directory that all nodes share. Both have the same format (`file`).
//!
//! Profiles are packed and unpacked under the session's user id (`hearth_sandbox`), and the server
//! never reads files that a browser wrote. Names never become part of a path: a file or an object
//! is named after the SHA-256 of team and name.

mod catalog;
mod checkout;
mod error;
mod file;
mod files;
mod id;
mod lease;
mod objects;

pub(crate) use self::catalog::{ClusterProfiles, Profiles, profiles_dir};
pub(crate) use self::checkout::{CheckedOut, CommitError};
pub(crate) use self::error::{OpenError, ProfileError};
pub(crate) use self::files::{backed_up_files, is_profile_file};
pub(crate) use self::id::ProfileId;
pub(crate) use self::lease::ProfileLease;
pub(crate) use self::objects::rebuild_records;

//! Profiles in files of this machine. Each profile is one file in the data directory.
//!
//! When a session that saves ends cleanly, it *commits*: the browser's directory is packed into a
//! draft beside the file, and the complete draft replaces the file. Sessions that read the old
//! version at that moment keep it open. A profile has one saver at a time. The lease exists only in
//! memory, so a crashed server leaves no profile locked.
//!
//! While the saver runs, its cookies are periodically written beside the file as a *checkpoint*. A
//! crash therefore loses minutes of changes, but not the login. A commit makes the checkpoint void.
//!
//! The store has a list of profiles. If the list and the files differ, the files take precedence
//! (`reconcile`).

mod backed_up;
mod catalog;
mod lease;
mod reconcile;

pub(crate) use self::backed_up::{backed_up_files, is_profile_file};
pub(super) use self::catalog::ProfileFiles;
pub(super) use self::lease::FileLease;

#[cfg(test)]
mod tests;

//! The files in the working directory of a session, for clients.
//!
//! Session code controls the directory, so the server opens no path in it. A worker that runs as
//! the session's user opens the files and passes their descriptors, which the server reads and
//! writes.
//!
//! - `reading` lists, removes and reads files. `upload` writes one.
//! - `place` is where a path leads to.
//! - `turns` limits the requests of one session, and `requests` runs the tasks of the worker.
//! - `space` counts what uploads add to the disk usage of the session.

mod error;
pub(super) mod place;
mod reading;
mod requests;
mod space;
pub(super) mod turns;
mod upload;

pub(crate) use self::error::FileError;
pub(crate) use self::reading::OpenedFile;
pub(crate) use self::upload::Upload;

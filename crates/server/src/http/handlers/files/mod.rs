//! `/v2/browser/{id}/files`: the files in the working directory of a session.

pub(crate) mod list;
mod path;
pub(crate) mod read;
pub(crate) mod remove;
pub(crate) mod write;

//! The workbench: the page at `/` for people who use sessions, and the log of a session's page that
//! it shows. Its other data comes from the API and from `http/handlers/workbench`.
//!
//! `codemirror` contains the code editor, unchanged from its package. `tests/it/tidy` checks its
//! files.

pub(crate) mod page;
mod page_log;

pub(crate) use self::page_log::{PageLog, PageLogReader};

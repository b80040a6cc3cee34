//! The workbench and the routes behind it, which are not a part of the API.

mod access;
pub(crate) mod executions;
pub(crate) mod lines;
pub(crate) mod page;

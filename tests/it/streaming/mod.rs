//! The output of code as server-sent events, while the code runs.

mod ends;
pub mod events;
mod output;
mod requests;

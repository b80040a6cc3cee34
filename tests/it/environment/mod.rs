//! The environment of code in a session: its user, variables, programs and libraries.
//! docs/environment.md lists them.

mod agent;
mod compile_cache;
mod launches;
mod libraries;
mod listed;
mod packages;
mod users;
mod video;

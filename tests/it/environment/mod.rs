//! What code finds in a session: the name of its user, variables, programs and libraries.
//! docs/environment.md lists them.

mod agent;
mod libraries;
mod listed;
mod packages;
mod users;
mod video;

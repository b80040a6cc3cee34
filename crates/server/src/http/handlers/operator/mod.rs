//! The operator page and its API. The operator key grants access to all sessions, an API key to the
//! sessions of its team.

mod access;
mod ended;
mod nodes;
pub(crate) mod page;
pub(crate) mod session;
pub(crate) mod state;

pub(super) use self::access::find_session;

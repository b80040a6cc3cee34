//! One endpoint a file, or two of one thing. A handler reads a request, asks `sessions`, and shapes
//! the answer; it decides nothing.

pub(crate) mod cdp;
pub(crate) mod create_session;
pub(crate) mod delete_session;
pub(crate) mod execute;
pub(crate) mod health;
pub(crate) mod list_sessions;
pub(crate) mod live;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod operator;
pub(crate) mod probes;
pub(crate) mod profiles;
pub(crate) mod show_session;

//! Middleware that wraps every public route.

pub(crate) mod cors;
pub(crate) mod host_guard;
pub(crate) mod log_limit;
pub(crate) mod request_log;

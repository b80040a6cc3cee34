//! Layers around every route.

pub(crate) mod request_log;

//! The operator page at `/operator`. Its API is in `http/handlers/operator`.

pub(crate) mod page;

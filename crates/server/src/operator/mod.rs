//! The operator page at `/`. Its API is in `http/handlers/operator`.

pub(crate) mod page;

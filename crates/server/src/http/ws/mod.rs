//! WebSocket endpoints: one file per protocol.

pub(crate) mod cdp;
pub(crate) mod live_view;

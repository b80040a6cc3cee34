//! WebSockets, one file per protocol.

pub(crate) mod cdp;
mod heartbeat;
pub(crate) mod live_view;

//! WebSocket protocols, one file each.

pub(crate) mod cdp;
mod heartbeat;
pub(crate) mod live_view;
mod split_frames;
pub(crate) mod upgrade;

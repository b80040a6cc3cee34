//! The live view: its page, and the WebSocket that the page opens.

mod access;
pub(crate) mod page;
pub(crate) mod socket;

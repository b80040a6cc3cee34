//! Identifies a frame for its acknowledgement.

/// The ticket for the acknowledgement of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTicket(pub(super) i64);

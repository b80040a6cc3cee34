//! The debugging pipe and the envelopes of its messages.

pub(crate) mod envelope;
pub(crate) mod pipe;

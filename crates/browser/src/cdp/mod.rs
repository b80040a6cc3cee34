//! The Chrome DevTools Protocol: the debugging pipe and message envelopes.

pub(crate) mod envelope;
pub(crate) mod pipe;

#[cfg(test)]
mod fuzz;

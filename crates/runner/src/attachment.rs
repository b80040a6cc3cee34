//! The connection of a kernel to its browser.

/// The browser that a kernel connects to.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The WebSocket address, including its token.
    pub endpoint: String,
    /// Set if the kernel also prepares its first run. See
    /// [`Kernel::warmed_up`](crate::Kernel::warmed_up).
    pub warm_up: bool,
}

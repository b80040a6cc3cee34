//! The access rights of viewers.

/// The access that a live view link grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewerAccess {
    /// The viewer can see the current tab.
    Watch,
    /// The viewer can also send input, and open, close and switch tabs.
    Control,
}

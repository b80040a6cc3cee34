//! The access of a viewer.

/// The access that a live view link grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViewerAccess {
    /// See the current tab.
    Watch,
    /// Also send input, and open, close and switch tabs.
    Control,
}

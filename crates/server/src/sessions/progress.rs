//! The progress of a session's end.

use hearth_contract::ProfileWarning;

use crate::ending::Ending;

/// The steps of a session's end that are complete.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Set when the session ends.
    pub ending: Option<Ending>,
    /// Data of the profile that was lost at the end.
    pub warning: Option<ProfileWarning>,
    /// True once the store has recorded the end, or has failed to.
    pub recorded: bool,
    /// True once every process and file of the session is gone.
    pub cleaned: bool,
}

//! The query of a request for the caller's sessions.

use crate::issue::Issue;

/// Which sessions a list is limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// `active`: sessions that code can run in.
    Active,
    /// `destroyed`: sessions that have ended.
    Destroyed,
}

/// A request for the caller's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRequest {
    /// The filter; all sessions without one.
    pub status: Option<StatusFilter>,
}

impl ListRequest {
    /// Reads the decoded pairs of a query. Other names than `status` are ignored; `status` given
    /// twice is as wrong as any word that is no status.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<Issue>> {
        let mut values = pairs
            .filter(|(name, _)| *name == "status")
            .map(|(_, value)| value);
        let status = match (values.next(), values.next()) {
            (None, _) => None,
            (Some("active"), None) => Some(StatusFilter::Active),
            (Some("destroyed"), None) => Some(StatusFilter::Destroyed),
            // The reference server checks the value by itself, so its path is empty.
            _ => return Err(vec![Issue::not_an_option(&[], &["active", "destroyed"])]),
        };
        Ok(Self { status })
    }
}

//! The query of a request that lists the caller's sessions.

use crate::issue::Issue;

/// A filter for the sessions in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusFilter {
    /// `active`: sessions that can run code.
    Active,
    /// `destroyed`: sessions that have ended.
    Destroyed,
    /// `error`: none, because a session that fails ends.
    Error,
}

/// A validated request that lists the caller's sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListRequest {
    /// The filter. `None` lists all sessions.
    pub status: Option<StatusFilter>,
}

impl ListRequest {
    /// Parses the decoded pairs of a query. Ignores names other than `status`. A repeated `status`
    /// is as invalid as an unknown one.
    pub fn parse<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<Issue>> {
        let mut values = pairs
            .filter(|(name, _)| *name == "status")
            .map(|(_, value)| value);
        let status = match (values.next(), values.next()) {
            (None, _) => None,
            (Some("active"), None) => Some(StatusFilter::Active),
            (Some("destroyed"), None) => Some(StatusFilter::Destroyed),
            (Some("error"), None) => Some(StatusFilter::Error),
            // The reference server validates the value alone, so its path is empty.
            _ => {
                let issue = Issue::not_an_option(&[], &["active", "destroyed", "error"]);
                return Err(vec![issue.named(&["status"])]);
            }
        };
        Ok(Self { status })
    }
}

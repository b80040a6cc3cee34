//! The body of a request that creates a session.

use serde::{Deserialize, Serialize};

use crate::body::{Body, Field};
use crate::field::IssueCollector;
use crate::issue::Issue;

/// A validated request for a new session, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Seconds from creation to expiry, 30..=3600. Defaults to 600.
    pub ttl_seconds: u32,
    /// Idle seconds until the session ends, 10..=3600. Defaults to 300.
    pub activity_ttl_seconds: u32,
    /// Enables the live view. Defaults to true.
    pub stream_web_view: bool,
    /// Permits recording of the session. Defaults to true.
    pub record_session: bool,
    /// The profile from which the session starts.
    pub profile: Option<Profile>,
}

/// The profile part of a [`CreateRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// 1..=128 characters (Unicode code points).
    pub name: String,
    /// Saves the session's changes to the profile. Defaults to true.
    pub save_changes: bool,
}

impl CreateRequest {
    /// Validates a body.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let request = Self {
            ttl_seconds: issues.integer(&["ttl"], fields.get("ttl"), 30..=3600, 600),
            activity_ttl_seconds: issues.integer(
                &["activityTtl"],
                fields.get("activityTtl"),
                10..=3600,
                300,
            ),
            stream_web_view: issues.boolean(&["streamWebView"], fields.get("streamWebView"), true),
            record_session: issues.boolean(&["recordSession"], fields.get("recordSession"), true),
            profile: Profile::parse(&mut issues, fields.get("profile")),
        };
        issues.into_result(request)
    }
}

impl Profile {
    pub(crate) fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Option<Self> {
        let fields = issues.object(&["profile"], value?)?;
        let name = issues.string(&["profile", "name"], fields.get("name"), 1..=128);
        let save_changes =
            issues.boolean(&["profile", "saveChanges"], fields.get("saveChanges"), true);
        Some(Self {
            name: name?,
            save_changes,
        })
    }
}

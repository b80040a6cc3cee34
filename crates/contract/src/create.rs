//! The body of a request for a new session.

use serde_json::Value;

use crate::field::IssueCollector;
use crate::issue::Issue;

/// A request for a new session, validated and with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Seconds from creation to expiry, 30..=3600; 600 unless given.
    pub ttl_seconds: u32,
    /// Idle seconds to expiry, 10..=3600; 300 unless given.
    pub activity_ttl_seconds: u32,
    /// Whether the session may be watched live; yes unless given.
    pub stream_web_view: bool,
    /// Whether the session may be recorded; yes unless given.
    pub record_session: bool,
    /// The profile that the session starts from.
    pub profile: Option<Profile>,
}

/// The profile part of a [`CreateRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// 1..=128 characters (Unicode code points).
    pub name: String,
    /// Whether the session's changes go back into the profile; yes unless given.
    pub save_changes: bool,
}

impl CreateRequest {
    /// Reads a body. A missing body is `{}` here: the caller of this function decides what counts
    /// as missing.
    pub fn parse(body: &Value) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body) else {
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
    fn parse(issues: &mut IssueCollector, value: Option<&Value>) -> Option<Self> {
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

//! The body of a request that creates a session.

use serde::{Deserialize, Serialize};

use crate::body::{Body, Field};
use crate::field::IssueCollector;
use crate::issue::{Bound, Issue};
use crate::location::Location;

/// The maximum size of a profile's name in UTF-8.
const MAX_PROFILE_NAME_BYTES: usize = 128;

/// A validated request for a new session, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateRequest {
    /// Seconds from creation to expiry, 30..=3600. Defaults to 600.
    pub ttl_seconds: u32,
    /// Idle seconds until the session ends, 10..=3600. Defaults to 300.
    pub activity_ttl_seconds: u32,
    /// Enables the live view. Defaults to true.
    pub stream_web_view: bool,
    /// Requests a recording of the session. Defaults to false.
    pub record_session: bool,
    /// Keeps nothing of what the session does. Excludes a recording and a profile.
    pub zero_data_retention: bool,
    /// Blocks hosts of advertisements and trackers. `None` is the server's default.
    pub block_ads: Option<bool>,
    /// The profile from which the session starts.
    pub profile: Option<Profile>,
    /// The country that the session appears to be in.
    pub location: Option<Location>,
}

/// The profile part of a [`CreateRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// 1..=128 bytes of UTF-8.
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
            record_session: issues.boolean(&["recordSession"], fields.get("recordSession"), false),
            zero_data_retention: issues.boolean(
                &["zeroDataRetention"],
                fields.get("zeroDataRetention"),
                false,
            ),
            block_ads: issues.optional_boolean(&["blockAds"], fields.get("blockAds")),
            profile: Profile::parse(&mut issues, fields.get("profile")),
            location: Location::parse(&mut issues, fields.get("location")),
        };
        let is_kept = request.record_session || request.profile.is_some();
        if request.zero_data_retention && is_kept && !issues.is_aborted() {
            issues.push(Issue::custom(
                &[],
                "Recordings and saved profiles are not supported with Zero Data Retention.",
            ));
        }
        issues.into_result(request)
    }
}

impl Profile {
    pub(crate) fn parse(issues: &mut IssueCollector, value: Option<&Field>) -> Option<Self> {
        let fields = issues.object(&["profile"], value?)?;
        let name = parse_profile_name(issues, fields.get("name"));
        let save_changes =
            issues.boolean(&["profile", "saveChanges"], fields.get("saveChanges"), true);
        Some(Self {
            name: name?,
            save_changes,
        })
    }
}

fn parse_profile_name(issues: &mut IssueCollector, value: Option<&Field>) -> Option<String> {
    const PATH: &[&str] = &["profile", "name"];
    let name = issues.text(PATH, value)?;
    match name.len() {
        0 => issues.push(Issue::string_length(PATH, Bound::TooSmall(1))),
        1..=MAX_PROFILE_NAME_BYTES => return Some(name.to_owned()),
        _ => issues.push(Issue::custom(
            PATH,
            "Profile name must be between 1 and 128 UTF-8 bytes.",
        )),
    }
    None
}

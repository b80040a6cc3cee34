//! The part of a scrape that a later session needs to continue where it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::body::{Body, Field};
use crate::create::Profile;
use crate::field::IssueCollector;
use crate::location::Location;
use crate::scrape::request::{MAX_WAIT_FOR_MS, ScrapeRequest, headers, parse_url};
use crate::scrape_fields::MAX_HEADERS;

/// The part of a scrape that is repeated in a new session. It contains secrets of the client:
/// headers and typed texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent options of the request"
)]
pub struct ScrapeContext {
    /// The address, with its scheme.
    pub url: String,
    /// Milliseconds to wait after the page has loaded, 0..=60000.
    pub wait_for_ms: u32,
    /// The steps in the page.
    pub actions: Vec<Action>,
    /// The headers of requests to the origin of the page.
    pub headers: BTreeMap<String, String>,
    /// Emulates a mobile device.
    pub mobile: bool,
    /// The profile that the scrape read.
    pub profile: Option<Profile>,
    /// Denies hosts of advertisements and trackers.
    pub block_ads: bool,
    /// The country, in lower case.
    pub country: Option<String>,
    /// Keeps nothing of the scrape. Such a context is never stored.
    pub zero_data_retention: bool,
    /// Accepts every certificate.
    pub skip_tls_verification: bool,
}

impl ScrapeContext {
    /// Returns the context of a scrape.
    pub fn of(request: &ScrapeRequest) -> Self {
        Self {
            url: request.url.clone(),
            wait_for_ms: request.wait_for_ms,
            actions: request.actions.clone(),
            headers: request.headers.clone(),
            mobile: request.mobile,
            profile: request.profile.clone(),
            block_ads: request.block_ads.unwrap_or(true),
            country: request
                .location
                .as_ref()
                .map(|location| location.country.clone()),
            zero_data_retention: request.zero_data_retention,
            skip_tls_verification: request.skip_tls_verification,
        }
    }

    /// Returns the context of a request that another server has accepted, or `None` if it has no
    /// usable address. Other fields that are malformed are left out.
    pub fn from_accepted(request: &Body) -> Option<Self> {
        let Field::Object(fields) = request.root() else {
            return None;
        };
        let flag = |name: &'static str, default| match fields.get(name) {
            Some(Field::Bool(given)) => *given,
            _ => default,
        };
        let country = match fields.get("location") {
            Some(Field::Object(location)) => match location.get("country") {
                Some(Field::String(country)) => Location::country(country),
                _ => None,
            },
            _ => None,
        };
        Some(Self {
            url: lenient(|issues| parse_url(issues, &["url"], fields.get("url")))??,
            wait_for_ms: lenient(|issues| {
                issues.integer(&["waitFor"], fields.get("waitFor"), 0..=MAX_WAIT_FOR_MS, 0)
            })
            .unwrap_or_default(),
            actions: Action::clean(fields.get("actions")),
            headers: lenient(|issues| headers(issues, fields.get("headers")))
                .unwrap_or_default()
                .into_iter()
                .take(MAX_HEADERS)
                .collect(),
            mobile: flag("mobile", false),
            profile: lenient(|issues| Profile::parse(issues, fields.get("profile"))).flatten(),
            block_ads: flag("blockAds", true),
            country,
            zero_data_retention: flag("zeroDataRetention", false),
            skip_tls_verification: flag("skipTlsVerification", false),
        })
    }
}

/// Returns the value of `parse`, unless it reports an issue. Every field has its own collector, so
/// that an issue in one does not affect the others.
fn lenient<T>(parse: impl FnOnce(&mut IssueCollector) -> T) -> Option<T> {
    let mut issues = IssueCollector::default();
    let value = parse(&mut issues);
    issues.into_issues().is_empty().then_some(value)
}

//! The body of a request to scrape a page.

use std::collections::BTreeMap;

use url::Url;

use crate::action::{Action, MAX_SELECTOR_CHARS, MAX_WAIT_MS, TOO_LONG, total_wait_ms};
use crate::body::{Body, Field};
use crate::create::Profile;
use crate::field::{IssueCollector, type_name};
use crate::issue::{Issue, Part, Path};
use crate::location::Location;
use crate::scrape::format::Format;
use crate::scrape_fields::{MAX_HEADERS, MAX_SELECTORS};

/// The maximum of `waitFor`.
pub(crate) const MAX_WAIT_FOR_MS: u32 = 60_000;

const MAX_URL_CHARS: usize = 20_000;
const MAX_HEADER_CHARS: usize = 10_000;
const MAX_TIMEOUT_MS: u32 = 300_000;
const DEFAULT_TIMEOUT_MS: u32 = 60_000;

/// A validated request to scrape a page, with defaults applied.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are independent options of the request"
)]
pub struct ScrapeRequest {
    /// The address, with its scheme: `http` or `https`.
    pub url: String,
    /// The address as the client wrote it.
    pub source_url: String,
    /// The representations that the client wants, without repetitions.
    pub formats: Vec<Format>,
    /// Leaves out navigation, headers, footers and similar parts.
    pub only_main_content: bool,
    /// CSS selectors of the elements that are kept. None keeps all.
    pub include_tags: Vec<String>,
    /// CSS selectors of the elements that are left out.
    pub exclude_tags: Vec<String>,
    /// The headers of requests to the origin of the page.
    pub headers: BTreeMap<String, String>,
    /// Milliseconds to wait after the page has loaded, 0..=60000.
    pub wait_for_ms: u32,
    /// Milliseconds until the scrape fails, 1000..=300000.
    pub timeout_ms: u32,
    /// Emulates a mobile device.
    pub mobile: bool,
    /// The steps in the page before it is read.
    pub actions: Vec<Action>,
    /// The profile that the scrape reads.
    pub profile: Option<Profile>,
    /// Blocks hosts of advertisements and trackers. `None` is the server's default.
    pub block_ads: Option<bool>,
    /// The country that the browser appears to be in.
    pub location: Option<Location>,
    /// Keeps nothing of the scrape.
    pub zero_data_retention: bool,
    /// Accepts every certificate.
    pub skip_tls_verification: bool,
    /// The name of the client's program.
    pub origin: Option<String>,
}

impl ScrapeRequest {
    /// Validates a body. Unknown fields are ignored.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let url = parse_url(&mut issues, &["url"], fields.get("url"));
        let source_url = match fields.get("url") {
            Some(Field::String(url)) => url.clone(),
            _ => String::new(),
        };
        let formats = Format::parse_all(&mut issues, fields.get("formats"));
        let headers = headers(&mut issues, fields.get("headers"));
        let mut selectors = |path: Path| {
            issues.strings(path, fields.get(path[0]), MAX_SELECTORS, MAX_SELECTOR_CHARS)
        };
        let include_tags = selectors(&["includeTags"]);
        let exclude_tags = selectors(&["excludeTags"]);
        let timeout = fields.get("timeout");
        let request = Self {
            url: url.unwrap_or_default(),
            source_url,
            formats,
            headers,
            include_tags,
            exclude_tags,
            only_main_content: issues.boolean(
                &["onlyMainContent"],
                fields.get("onlyMainContent"),
                true,
            ),
            timeout_ms: issues.milliseconds(
                &["timeout"],
                timeout,
                1000..=MAX_TIMEOUT_MS,
                DEFAULT_TIMEOUT_MS,
            ),
            wait_for_ms: issues.milliseconds(
                &["waitFor"],
                fields.get("waitFor"),
                0..=MAX_WAIT_FOR_MS,
                0,
            ),
            mobile: issues.boolean(&["mobile"], fields.get("mobile"), false),
            actions: Action::parse_all(&mut issues, fields.get("actions")),
            profile: Profile::parse(&mut issues, fields.get("profile")),
            block_ads: issues.optional_boolean(&["blockAds"], fields.get("blockAds")),
            location: Location::parse_lenient(&mut issues, fields.get("location")),
            zero_data_retention: issues.boolean(
                &["zeroDataRetention"],
                fields.get("zeroDataRetention"),
                false,
            ),
            skip_tls_verification: issues.boolean(
                &["skipTlsVerification"],
                fields.get("skipTlsVerification"),
                false,
            ),
            origin: match fields.get("origin") {
                Some(Field::String(origin)) => Some(origin.clone()),
                _ => None,
            },
        };
        reject_promises(&mut issues, fields.get("lockdown"), fields.get("redactPII"));
        issues.check_string(&["origin"], fields.get("origin"));
        if !issues.is_aborted() {
            request.check_together(&mut issues, timeout.is_some());
        }
        issues.into_result(request)
    }

    /// Returns the bytes of the texts that the client chose.
    pub fn text_bytes(&self) -> usize {
        let headers = self.headers.iter();
        let selectors = self.include_tags.iter().chain(&self.exclude_tags);
        let selectors = selectors.map(|selector| selector.len() + size_of::<String>());
        let actions = self.actions.iter().map(Action::text_bytes);
        let headers = headers.map(|(name, value)| name.len() + value.len());
        let texts: usize = selectors.chain(actions).chain(headers).sum();
        texts + self.url.len() + self.source_url.len()
    }

    /// Checks the rules that involve several fields.
    fn check_together(&self, issues: &mut IssueCollector, has_timeout: bool) {
        if self.zero_data_retention && self.profile.is_some() {
            issues.push(Issue::custom(
                &[],
                "Recordings and saved profiles are not supported with Zero Data Retention.",
            ));
        }
        let waits = total_wait_ms(&self.actions);
        // A longer wait of the actions alone is an issue of the actions.
        if waits > 0 && waits <= MAX_WAIT_MS && waits + u64::from(self.wait_for_ms) > MAX_WAIT_MS {
            issues.push(Issue::custom(&[], TOO_LONG));
        }
        if has_timeout && self.wait_for_ms > self.timeout_ms / 2 {
            issues.push(Issue::custom(
                &["waitFor"],
                "waitFor must not exceed half of timeout",
            ));
        }
    }
}

/// Rejects options that promise a protection which this server does not have.
fn reject_promises(issues: &mut IssueCollector, lockdown: Option<&Field>, redact: Option<&Field>) {
    if matches!(lockdown, Some(Field::Bool(true))) {
        issues.push(Issue::custom(
            &["lockdown"],
            "This server has no cache, so it cannot answer from it alone. Remove lockdown.",
        ));
    }
    if !matches!(redact, None | Some(Field::Bool(false) | Field::Null)) {
        issues.push(Issue::custom(
            &["redactPII"],
            "This server does not redact personal data. Remove redactPII.",
        ));
    }
}

/// Parses an address. One without a scheme gets `http`.
pub(crate) fn parse_url(
    issues: &mut IssueCollector,
    path: Path,
    value: Option<&Field>,
) -> Option<String> {
    let given = issues.string(path, value, 0..=MAX_URL_CHARS)?;
    let has_scheme = given.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    });
    let url = if has_scheme {
        given
    } else {
        format!("http://{given}")
    };
    let parsed = Url::parse(&url).ok();
    let Some(parsed) = parsed else {
        issues.push(Issue::invalid_url(path));
        return None;
    };
    if !["http", "https"].contains(&parsed.scheme()) {
        issues.push(Issue::unsupported_protocol(path));
        return None;
    }
    Some(url)
}

/// Parses the field `headers`: an object of strings.
pub(crate) fn headers(
    issues: &mut IssueCollector,
    value: Option<&Field>,
) -> BTreeMap<String, String> {
    const PATH: Path = &["headers"];
    let mut headers = BTreeMap::new();
    let entries = match value {
        None => return headers,
        Some(Field::Entries(entries)) => entries,
        Some(other) => {
            issues.push(Issue::wrong_type(PATH, "record", type_name(Some(other))));
            return headers;
        }
    };
    if entries.len() > MAX_HEADERS {
        let message = format!("Number of headers cannot exceed {MAX_HEADERS}");
        issues.push(Issue::custom(PATH, message));
        return headers;
    }
    for (name, value) in entries {
        let part = || Part::Name(name.clone());
        match value {
            Field::String(value) if !is_header(name, value) => {
                let message = "Invalid name or value of a header";
                issues.push(Issue::custom(PATH, message).at(part()));
            }
            Field::String(value) => {
                headers.insert(name.clone(), value.clone());
            }
            other => {
                let issue = Issue::wrong_type(PATH, "string", type_name(Some(other)));
                issues.push(issue.at(part()));
            }
        }
    }
    headers
}

/// Returns true if this can be sent as a header: a token, and a text without line breaks.
fn is_header(name: &str, value: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_token)
        && name.len() + value.len() <= MAX_HEADER_CHARS
        && !value.chars().any(|char| char.is_control() && char != '\t')
}

//! The body of a request that runs code in a session.

use std::fmt;
use std::time::Duration;

use crate::body::{Body, Field};
use crate::field::IssueCollector;
use crate::issue::Issue;

/// The language of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `python`: the session's long-lived python kernel.
    Python,
    /// `node`: the session's long-lived node kernel. The default.
    Node,
    /// `bash`: a fresh shell.
    Bash,
}

/// The timeout in seconds of a request without one.
const DEFAULT_SECONDS: u32 = 30;

impl Language {
    const WIRE_NAMES: &'static [&'static str] = &["python", "node", "bash"];

    /// Returns the name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Bash => "bash",
        }
    }

    fn from_wire(name: &str) -> Option<Self> {
        [Self::Python, Self::Node, Self::Bash]
            .into_iter()
            .find(|language| language.as_str() == name)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A validated request to run code, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteRequest {
    /// The source, 1..=100000 characters (Unicode code points).
    pub code: String,
    /// The language of the source. Defaults to node.
    pub language: Language,
    /// The time until the deadline, including the wait for a busy session.
    pub timeout: Duration,
}

impl ExecuteRequest {
    /// The timeout of a request without one.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(DEFAULT_SECONDS as u64);

    /// Validates a body. The timeout is a whole number of seconds, 1..=300.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let code = issues.string(&["code"], fields.get("code"), 1..=100_000);
        let language = parse_language(&mut issues, fields.get("language"));
        let timeout_seconds = issues.integer(
            &["timeout"],
            fields.get("timeout"),
            1..=300,
            DEFAULT_SECONDS,
        );
        issues.check_string(&["origin"], fields.get("origin"));
        // Missing code is an issue, so this function never returns an empty source.
        issues.into_result(Self {
            code: code.unwrap_or_default(),
            language,
            timeout: Duration::from_secs(timeout_seconds.into()),
        })
    }
}

pub(crate) fn parse_language(issues: &mut IssueCollector, value: Option<&Field>) -> Language {
    let Some(value) = value else {
        return Language::Node;
    };
    let known = match value {
        Field::String(name) => Language::from_wire(name),
        _ => None,
    };
    known.unwrap_or_else(|| {
        issues.push(Issue::not_an_option(&["language"], Language::WIRE_NAMES));
        Language::Node
    })
}

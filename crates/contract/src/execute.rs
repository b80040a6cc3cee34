//! The body of a request to run code in a session.

use std::fmt;

use serde_json::Value;

use crate::field::IssueCollector;
use crate::issue::Issue;

/// What the source of an execution is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// `python`: the session's long-lived python kernel.
    Python,
    /// `node`: the session's long-lived node kernel; the default.
    Node,
    /// `bash`: a fresh shell.
    Bash,
}

impl Language {
    const WIRE_NAMES: &'static [&'static str] = &["python", "node", "bash"];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Bash => "bash",
        }
    }

    fn from_wire(word: &str) -> Option<Self> {
        [Self::Python, Self::Node, Self::Bash]
            .into_iter()
            .find(|language| language.as_str() == word)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A request to run code, validated and with its defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteRequest {
    /// The source, 1..=100000 characters (Unicode code points).
    pub code: String,
    /// What the source is written in; node unless given.
    pub language: Language,
    /// Seconds to the deadline, waiting for a busy session included, 1..=300; 30 unless given.
    pub timeout_seconds: u32,
}

impl ExecuteRequest {
    /// Reads a body. A missing body is `{}` here: the caller of this function decides what counts
    /// as missing.
    pub fn parse(body: &Value) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body) else {
            return issues.into_err();
        };
        let code = issues.string(&["code"], fields.get("code"), 1..=100_000);
        let language = parse_language(&mut issues, fields.get("language"));
        let timeout_seconds = issues.integer(&["timeout"], fields.get("timeout"), 1..=300, 30);
        issues.check_string(&["origin"], fields.get("origin"));
        // Without code there is an issue, so the empty source never gets out.
        issues.into_result(Self {
            code: code.unwrap_or_default(),
            language,
            timeout_seconds,
        })
    }
}

fn parse_language(issues: &mut IssueCollector, value: Option<&Value>) -> Language {
    let Some(value) = value else {
        return Language::Node;
    };
    value
        .as_str()
        .and_then(Language::from_wire)
        .unwrap_or_else(|| {
            issues.push(Issue::not_an_option(&["language"], Language::WIRE_NAMES));
            Language::Node
        })
}

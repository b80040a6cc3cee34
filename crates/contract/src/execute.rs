//! The body of a request to run code in a session.

use std::fmt;

use serde_json::Value;

use crate::field::Findings;
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
    const WORDS: &'static [&'static str] = &["python", "node", "bash"];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
            Self::Bash => "bash",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
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
        let mut findings = Findings::default();
        let Some(fields) = findings.object(&[], body) else {
            return findings.into_err();
        };
        let code = findings.string(&["code"], fields.get("code"), 1..=100_000);
        let language = parse_language(&mut findings, fields.get("language"));
        let timeout_seconds = findings.integer(&["timeout"], fields.get("timeout"), 1..=300, 30);
        findings.unused_string(&["origin"], fields.get("origin"));
        // Without code there is a finding, so the empty source never gets out.
        findings.into_result(Self {
            code: code.unwrap_or_default(),
            language,
            timeout_seconds,
        })
    }
}

fn parse_language(findings: &mut Findings, value: Option<&Value>) -> Language {
    let Some(value) = value else {
        return Language::Node;
    };
    value
        .as_str()
        .and_then(Language::from_word)
        .unwrap_or_else(|| {
            findings.push(Issue::not_an_option(&["language"], Language::WORDS));
            Language::Node
        })
}

//! Running code in the session of a scrape: the body of the request, and the response.

use std::time::Duration;

use serde::Serialize;

use crate::body::{Body, Field};
use crate::execute::{ExecuteRequest, parse_language};
use crate::execute_response::{ExecuteResponse, JsonPieces};
use crate::field::IssueCollector;
use crate::issue::Issue;

/// A validated request to the session of a scrape, with defaults applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScrapeInteractRequest {
    /// The task for the session.
    pub task: InteractTask,
    /// The time until the deadline, 1 s to 300 s, including the time to open the page.
    pub timeout: Option<Duration>,
    /// A session to use instead of opening the page. Not validated, because an unknown one is
    /// ignored.
    pub existing_session_id: Option<String>,
    /// The page to open if nothing is known about the scrape.
    pub url: Option<String>,
    /// Requires a session of which nothing is kept. Defaults to false.
    pub zero_data_retention: bool,
}

/// The task of a [`ScrapeInteractRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InteractTask {
    /// Code to run. Its timeout is the one of the request, or the default.
    Code(ExecuteRequest),
    /// A description of the task, 1..=10000 characters (Unicode code points).
    Prompt(String),
}

impl ScrapeInteractRequest {
    /// Validates a body. If it has both code and a prompt, the prompt is ignored.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let code = issues.optional_string(&["code"], fields.get("code"), 1..=100_000);
        let prompt = issues.optional_string(&["prompt"], fields.get("prompt"), 1..=10_000);
        let language = parse_language(&mut issues, fields.get("language"));
        let timeout = issues.seconds(&["timeout"], fields.get("timeout"), 1..=300);
        issues.check_string(&["origin"], fields.get("origin"));
        issues.check_string(&["integration"], fields.get("integration"));
        let existing_session_id =
            issues.any_string(&["existingSessionId"], fields.get("existingSessionId"));
        let url = issues.http_url(&["url"], fields.get("url"));
        let zero_data_retention = issues.boolean(
            &["zeroDataRetention"],
            fields.get("zeroDataRetention"),
            false,
        );
        let is_empty = |name| fields.get(name).is_none_or(Field::is_empty);
        if !issues.is_aborted() && is_empty("code") && is_empty("prompt") {
            issues.push(Issue::custom(
                &[],
                "Either 'code' or 'prompt' must be provided.",
            ));
        }
        let task = match (code, prompt) {
            (None, Some(prompt)) => InteractTask::Prompt(prompt),
            // If both are missing, that is an issue.
            (code, _) => InteractTask::Code(ExecuteRequest {
                code: code.unwrap_or_default(),
                language,
                timeout: timeout.unwrap_or(ExecuteRequest::DEFAULT_TIMEOUT),
            }),
        };
        issues.into_result(Self {
            task,
            timeout,
            existing_session_id,
            url,
            zero_data_retention,
        })
    }
}

/// The session in which code ran, for the response.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys of the wire; their meaning is in the API reference"
)]
pub struct InteractSession {
    pub session_id: String,
    pub cdp_url: String,
    pub live_view_url: String,
    pub interactive_live_view_url: String,
}

/// The keys of a response before those of the execution.
#[derive(Serialize)]
struct Start<'a> {
    /// Unlike the response to an execute request, this one reports a failure of the code.
    success: bool,
    #[serde(flatten)]
    session: &'a InteractSession,
}

impl InteractSession {
    /// Returns the response to code that ran in this session, as pieces of JSON. Each has at most
    /// 100 KB.
    #[expect(clippy::missing_panics_doc, reason = "a flat structure is always JSON")]
    pub fn into_json(self, response: ExecuteResponse) -> JsonPieces {
        let start = Start {
            success: response.error().is_none(),
            session: &self,
        };
        let mut start = serde_json::to_string(&start).expect("a flat structure is always JSON");
        start.pop();
        response.into_pieces(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute_response::ExecuteResult;

    fn text(exit_code: i32) -> String {
        let session = InteractSession {
            session_id: "i".to_owned(),
            cdp_url: "ws://\"".to_owned(),
            live_view_url: String::new(),
            interactive_live_view_url: String::new(),
        };
        let response = ExecuteResponse::from_parts(ExecuteResult {
            stdout: "1\n".to_owned(),
            exit_code,
            ..ExecuteResult::default()
        });
        let bytes: Vec<u8> = session.into_json(response).flatten().collect();
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    #[test]
    fn a_response_names_the_session_before_the_output() {
        assert_eq!(
            text(0),
            r#"{"success":true,"sessionId":"i","cdpUrl":"ws://\"","liveViewUrl":"","interactiveLiveViewUrl":"","stdout":"1\n","result":"1","stderr":"","exitCode":0,"killed":false}"#
        );
    }

    #[test]
    fn a_failure_of_the_code_is_no_success_and_has_an_error() {
        let failed = text(3);
        assert!(failed.starts_with(r#"{"success":false,"#), "{failed}");
        assert!(failed.ends_with(r#","exitCode":3,"killed":false,"error":"Execution failed"}"#));
    }
}

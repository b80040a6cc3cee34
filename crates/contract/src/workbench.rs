//! The history of executions, which the workbench shows.

use std::borrow::Cow;

use serde::Serialize;

use crate::execute::ExecuteRequest;
use crate::execute_response::ExecuteResponse;

/// The maximum size of the code of an execution in the history, in bytes.
const MAX_CODE_BYTES: usize = 64 * 1024;

/// The maximum size of each other text of an execution in the history, in bytes.
const MAX_TEXT_BYTES: usize = 32 * 1024;

/// An execution that has ended. Of long texts it has the beginning and the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PastExecution<'a> {
    /// The number of the execution in its session, from 1.
    pub number: u64,
    /// The language of the code.
    pub language: &'static str,
    /// The time at which the code started.
    pub started_at: String,
    /// The duration in milliseconds, without the wait for a turn.
    pub duration_ms: u64,
    /// The code.
    pub code: Cow<'a, str>,
    /// Standard output.
    pub stdout: Cow<'a, str>,
    /// Standard error.
    pub stderr: Cow<'a, str>,
    /// The value of the last expression, if the code has one.
    pub result: Option<Cow<'a, str>>,
    /// The reason for the failure, if the code failed.
    pub error: Option<Cow<'a, str>>,
    /// The exit code.
    pub exit_code: i32,
    /// Set if the code was killed at its deadline.
    pub killed: bool,
    /// Set if a text lost its middle here.
    pub is_cut: bool,
}

impl<'a> PastExecution<'a> {
    /// Describes an execution. Times arrive as text, in whole milliseconds.
    pub fn new(
        number: u64,
        request: &'a ExecuteRequest,
        response: &'a ExecuteResponse,
        started_at: String,
        duration_ms: u64,
    ) -> Self {
        let mut is_cut = false;
        let mut shorten = |text: &'a str, max: usize| {
            let short = cut(text, max);
            is_cut |= matches!(short, Cow::Owned(_));
            short
        };
        Self {
            number,
            language: request.language.as_str(),
            started_at,
            duration_ms,
            code: shorten(request.code.as_str(), MAX_CODE_BYTES),
            stdout: shorten(response.stdout(), MAX_TEXT_BYTES),
            stderr: shorten(response.stderr(), MAX_TEXT_BYTES),
            result: response.value().map(|text| shorten(text, MAX_TEXT_BYTES)),
            error: response.error().map(|text| shorten(text, MAX_TEXT_BYTES)),
            exit_code: response.exit_code(),
            killed: response.is_killed(),
            is_cut,
        }
    }

    /// Returns the execution as JSON.
    #[expect(
        clippy::missing_panics_doc,
        reason = "texts and numbers are always JSON"
    )]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("it is JSON")
    }
}

/// Removes the middle of a text that is longer than `max` bytes.
fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let head = &text[..text.floor_char_boundary(max / 2)];
    let tail = &text[text.ceil_char_boundary(text.len() - max / 2)..];
    let left_out = text.len() - head.len() - tail.len();
    Cow::Owned(format!("{head}\n… {left_out} bytes left out …\n{tail}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::execute::Language;
    use crate::execute_response::ExecuteResult;

    fn request(code: &str) -> ExecuteRequest {
        ExecuteRequest {
            code: code.to_owned(),
            language: Language::Node,
            timeout: Duration::from_secs(1),
        }
    }

    fn described(code: &str, stdout: &str, value: Option<&str>) -> serde_json::Value {
        let (request, response) = (
            request(code),
            ExecuteResponse::from_parts(ExecuteResult {
                stdout: stdout.to_owned(),
                value: value.map(str::to_owned),
                ..ExecuteResult::default()
            }),
        );
        let past = PastExecution::new(7, &request, &response, "then".to_owned(), 12);
        serde_json::from_slice(&past.to_json()).expect("it is JSON")
    }

    #[test]
    fn an_execution_has_its_code_and_output() {
        assert_eq!(
            described("1 + 1", "printed\n", Some("2")),
            serde_json::json!({
                "number": 7, "language": "node", "startedAt": "then", "durationMs": 12, "code": "1 + 1",
                "stdout": "printed\n", "stderr": "", "result": "2", "error": null, "exitCode": 0,
                "killed": false, "isCut": false,
            })
        );
        assert_eq!(described("", "", None)["result"], serde_json::Value::Null);
    }

    #[test]
    fn long_texts_lose_their_middle_between_characters() {
        let long = format!("begin{}end", "€".repeat(MAX_TEXT_BYTES));
        let past = described("code", &long, None);
        let text = past["stdout"].as_str().expect("text");
        assert!(
            text.starts_with("begin€") && text.ends_with("€end"),
            "{}",
            text.len()
        );
        assert!(text.contains(" bytes left out …"));
        assert!(text.len() < MAX_TEXT_BYTES + 100, "{}", text.len());
        assert_eq!(past["isCut"], true);
        let exact = "x".repeat(MAX_TEXT_BYTES);
        assert_eq!(described("code", &exact, None)["isCut"], false);
    }
}

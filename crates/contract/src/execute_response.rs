//! The response to an execute request.
//!
//! Output can be large, so it is kept once, and escaped for JSON piece by piece while it is sent.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

/// The maximum size of a piece of text before it is escaped. JSON needs at most six bytes for one.
pub(crate) const PIECE_BYTES: usize = 16 * 1024;

/// The result of an execution that was started. The request succeeds even if the code failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecuteResponse {
    stdout: String,
    stderr: String,
    /// `None` if the result is a part of stdout.
    value: Option<String>,
    exit_code: i32,
    killed: bool,
    truncated: bool,
    error: Option<ErrorText>,
    files: Vec<DownloadedFile>,
}

/// A file that the browser downloaded during an execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadedFile {
    /// The path below the working directory.
    pub path: String,
    /// The name that the site suggested, or an empty text.
    pub name: String,
    /// The size in bytes.
    pub size_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum ErrorText {
    Text(Cow<'static, str>),
    /// A part of stderr.
    Stderr(Range<usize>),
}

/// The results of an execution, from which an [`ExecuteResponse`] is built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecuteResult {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The value of the last expression, if it has one.
    pub value: Option<String>,
    /// The exit code, which is 137 if the code was killed.
    pub exit_code: i32,
    /// Set if the code was killed at its deadline.
    pub killed: bool,
    /// Set if output or value were truncated.
    pub truncated: bool,
    /// The reason for the failure, if it is known. Ignored if the code did not fail.
    pub error: Option<String>,
}

impl ExecuteResponse {
    pub(crate) fn stdout(&self) -> &str {
        &self.stdout
    }

    pub(crate) fn stderr(&self) -> &str {
        &self.stderr
    }

    /// Returns the value of the last expression, if it has one.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Returns the exit code, which is 137 if the code was killed.
    pub fn exit_code(&self) -> i32 {
        self.exit_code
    }

    /// Returns true if the code was killed at its timeout.
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Builds a response from the results of an execution.
    ///
    /// The `result` is the value, or stdout without its last newline if there is no value. A
    /// failure without a known error reports stderr or a fixed text.
    pub fn from_parts(parts: ExecuteResult) -> Self {
        let ExecuteResult {
            stdout,
            stderr,
            value,
            exit_code,
            killed,
            truncated,
            error,
        } = parts;
        let failed = exit_code != 0 || killed;
        let error = failed.then(|| match error {
            Some(error) => ErrorText::Text(error.into()),
            None => fallback_error(&stderr),
        });
        Self {
            stdout,
            stderr,
            value,
            exit_code,
            killed,
            truncated,
            error,
            files: Vec::new(),
        }
    }

    /// Adds the files that were downloaded meanwhile. They have at most 80 KB together.
    #[must_use]
    pub fn with_files(self, files: Vec<DownloadedFile>) -> Self {
        Self { files, ..self }
    }

    /// Returns the value of the last expression, or stdout without its last newline.
    pub fn result(&self) -> &str {
        let stdout = || self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        self.value.as_deref().unwrap_or_else(stdout)
    }

    /// Returns the reason for the failure, if the code failed.
    pub fn error(&self) -> Option<&str> {
        self.error.as_ref().map(|error| match error {
            ErrorText::Text(text) => text.as_ref(),
            ErrorText::Stderr(range) => &self.stderr[range.clone()],
        })
    }

    /// Returns the response as pieces of JSON. Each has at most 100 KB.
    pub fn into_json(self) -> JsonPieces {
        self.into_pieces("{\"success\":true".to_owned())
    }

    /// Returns the response as pieces of JSON that begin with `start`, which is an object without
    /// its last brace.
    pub(crate) fn into_pieces(self, start: String) -> JsonPieces {
        JsonPieces {
            response: self,
            start,
            next: Some((Part::Stdout, 0)),
        }
    }

    /// Returns the `error` of an execution that was killed at its timeout.
    pub fn timeout_error(timeout: Duration) -> String {
        let unit = if timeout == Duration::from_secs(1) {
            "second"
        } else {
            "seconds"
        };
        let seconds = timeout.as_secs_f64();
        format!("Execution was killed: it reached its timeout of {seconds} {unit}")
    }

    /// Returns the `error` of an execution whose timeout passed before the interpreter was ready.
    pub fn early_timeout_error(timeout: Duration) -> String {
        let sentence = Self::timeout_error(timeout);
        format!(
            "{sentence} before the code had begun (the interpreter was still connecting to the browser)"
        )
    }

    /// Returns the `error` of an execution whose process exited successfully, although the code had
    /// not ended.
    pub fn unfinished_error() -> String {
        "The process exited before the code had ended. Its variables are lost".to_owned()
    }

    /// Returns the `error` of an execution whose process disappeared or broke its connection to the
    /// server.
    pub fn lost_error() -> String {
        "The process that ran the code was lost".to_owned()
    }
}

fn fallback_error(stderr: &str) -> ErrorText {
    let text = stderr.trim_start();
    let start = stderr.len() - text.len();
    match text.trim_end().len() {
        0 => ErrorText::Text("Execution failed".into()),
        length => ErrorText::Stderr(start..start + length),
    }
}

/// A text of the response, in the order of the reference server.
#[derive(Debug, Clone, Copy)]
enum Part {
    Stdout,
    Result,
    Stderr,
    Error,
}

/// The JSON of a response, in pieces.
#[derive(Debug)]
pub struct JsonPieces {
    response: ExecuteResponse,
    /// The JSON before the first text.
    start: String,
    /// The next text, and the offset of its next byte. `None` after the last one.
    next: Option<(Part, usize)>,
}

impl JsonPieces {
    pub(crate) fn response(&self) -> &ExecuteResponse {
        &self.response
    }
}

impl Iterator for JsonPieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let (part, start) = self.next?;
        let response = &self.response;
        let text = match part {
            Part::Stdout => &response.stdout,
            Part::Result => response.result(),
            Part::Stderr => &response.stderr,
            Part::Error => response.error().unwrap_or_default(),
        };
        let mut piece = Vec::new();
        if start == 0 {
            if let Part::Stdout = part {
                piece.extend_from_slice(self.start.as_bytes());
            }
            piece.extend_from_slice(match part {
                Part::Stdout => b",\"stdout\":\"",
                Part::Result => b"\"result\":\"",
                Part::Stderr => b"\"stderr\":\"",
                Part::Error => b"\"error\":\"",
            });
        }
        let end = text.floor_char_boundary(start + PIECE_BYTES);
        push_escaped(&mut piece, &text[start..end]);
        if end < text.len() {
            self.next = Some((part, end));
            return Some(piece);
        }
        piece.push(b'"');
        self.next = match part {
            Part::Stdout => Some((Part::Result, 0)),
            Part::Result => Some((Part::Stderr, 0)),
            Part::Stderr => {
                let ExecuteResponse {
                    exit_code, killed, ..
                } = response;
                let mut rest = format!(",\"exitCode\":{exit_code},\"killed\":{killed}");
                if response.truncated {
                    rest.push_str(",\"truncated\":true");
                }
                if !response.files.is_empty() {
                    let files = serde_json::to_string(&response.files);
                    rest.push_str(",\"files\":");
                    rest.push_str(&files.expect("plain data is always JSON"));
                }
                piece.extend_from_slice(rest.as_bytes());
                response.error.is_some().then_some((Part::Error, 0))
            }
            Part::Error => None,
        };
        piece.push(if self.next.is_some() { b',' } else { b'}' });
        Some(piece)
    }
}

/// Appends a text as it appears within a JSON string.
pub(crate) fn push_escaped(piece: &mut Vec<u8>, text: &str) {
    let start = piece.len();
    serde_json::to_writer(&mut *piece, text).expect("a string is always JSON");
    piece.remove(start);
    piece.pop();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(response: ExecuteResponse) -> String {
        let bytes: Vec<u8> = response.into_json().flatten().collect();
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    fn parts(
        stdout: &str,
        stderr: &str,
        value: Option<&str>,
        exit_code: i32,
        error: Option<&str>,
    ) -> ExecuteResponse {
        let (value, error) = (value.map(str::to_owned), error.map(str::to_owned));
        ExecuteResponse::from_parts(ExecuteResult {
            stdout: stdout.into(),
            stderr: stderr.into(),
            value,
            exit_code,
            killed: false,
            truncated: false,
            error,
        })
    }

    #[test]
    fn the_result_is_the_value_of_the_last_expression() {
        let response = parts("printed\n", "", Some("42"), 0, None);
        assert_eq!(
            text(response),
            r#"{"success":true,"stdout":"printed\n","result":"42","stderr":"","exitCode":0,"killed":false}"#
        );
    }

    #[test]
    fn downloaded_files_are_added_if_there_are_any() {
        let file = DownloadedFile {
            path: "d/1".into(),
            name: "a.pdf".into(),
            size_bytes: 7,
        };
        let response = parts("", "", None, 1, Some("Error: x")).with_files(vec![file]);
        assert_eq!(
            text(response),
            r#"{"success":true,"stdout":"","result":"","stderr":"","exitCode":1,"killed":false,"files":[{"path":"d/1","name":"a.pdf","sizeBytes":7}],"error":"Error: x"}"#
        );
    }

    #[test]
    fn an_empty_value_is_a_value() {
        assert_eq!(parts("printed\n", "", Some(""), 0, None).result(), "");
    }

    #[test]
    fn without_a_value_the_result_is_stdout_without_its_last_newline() {
        let cases = [
            ("a\nb\n", "a\nb"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("", ""),
            ("\n", ""),
        ];
        for (stdout, result) in cases {
            assert_eq!(
                parts(stdout, "", None, 0, None).result(),
                result,
                "of {stdout:?}"
            );
        }
    }

    #[test]
    fn the_error_of_a_failure_is_the_given_one_else_stderr_else_a_fixed_text() {
        assert_eq!(
            parts("", "trace\n", None, 1, Some("Error: x")).error(),
            Some("Error: x")
        );
        assert_eq!(parts("", " trace\n", None, 1, None).error(), Some("trace"));
        assert_eq!(
            parts("", " \n", None, 7, None).error(),
            Some("Execution failed")
        );
    }

    #[test]
    fn code_that_did_not_fail_has_no_error_whatever_it_wrote() {
        assert_eq!(
            parts("", "a warning\n", None, 0, Some("ignored")).error,
            None
        );
    }

    #[test]
    fn a_killed_and_truncated_execution_reports_both() {
        let error = ExecuteResponse::timeout_error(Duration::from_secs(1));
        let response = ExecuteResponse::from_parts(ExecuteResult {
            exit_code: 137,
            killed: true,
            truncated: true,
            error: Some(error),
            ..ExecuteResult::default()
        });
        assert_eq!(
            text(response),
            r#"{"success":true,"stdout":"","result":"","stderr":"","exitCode":137,"killed":true,"truncated":true,"error":"Execution was killed: it reached its timeout of 1 second"}"#
        );
    }

    #[test]
    fn large_texts_are_sent_in_small_pieces() {
        let stdout = "ä\u{1}\"\\\n€".repeat(20_000);
        let stderr = format!("  {}\n", "\u{0}".repeat(100_000));
        let response = ExecuteResponse::from_parts(ExecuteResult {
            stdout: stdout.clone(),
            stderr: stderr.clone(),
            exit_code: 1,
            ..ExecuteResult::default()
        });
        let pieces: Vec<Vec<u8>> = response.into_json().collect();
        assert!(pieces.iter().all(|piece| piece.len() < 100_000));
        let parsed: serde_json::Value =
            serde_json::from_slice(&pieces.concat()).expect("it is JSON");
        let expected = json!({
            "success": true, "stdout": stdout, "result": stdout, "stderr": stderr,
            "exitCode": 1, "killed": false, "error": stderr.trim(),
        });
        assert_eq!(parsed, expected);
    }
}

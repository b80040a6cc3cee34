//! One answer of the server, checked for what every answer must be.

use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer with a JSON body that says whether it is a success.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub text: String,
    /// The body as a value.
    pub body: Value,
}

impl Reply {
    /// Reads an answer to its end, and asserts the rule for all of them: the body is JSON with a boolean `success`,
    /// which is true exactly when the status is 200.
    pub(crate) async fn read(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = response.text().await.expect("the body of an answer arrives");
        Self::checked(status, headers, text)
    }

    fn checked(status: u16, headers: HeaderMap, text: String) -> Self {
        let kind = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert!(kind.starts_with("application/json"), "status {status}, content type {kind:?}, body {text:?}");
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {status} {text:?}"));
        assert_eq!(body["success"], Value::Bool(status == 200), "status {status}, body {text}");
        Self { status, headers, text, body }
    }

    /// Asserts a success and gives its body back.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    /// Asserts an error with this status and text, and nothing else in the body.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.body, serde_json::json!({"success": false, "error": error}));
    }

    /// The sentence of the `error` key.
    #[track_caller]
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_else(|| panic!("no error in {}", self.text))
    }

    /// A header's value, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Asserts that a client is told in how many seconds to try again.
    #[track_caller]
    pub fn assert_retry_after(&self) {
        let seconds = self.header("retry-after").unwrap_or_else(|| panic!("no Retry-After beside {}", self.text));
        assert!(seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0), "Retry-After: {seconds}");
    }
}

//! One API response, checked against the rules for all responses.

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::exchange::Exchange;

/// A response with a JSON body and a boolean `success`.
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
    /// Sends a request and asserts the rules for all API responses: the OpenAPI file describes it,
    /// and the body is JSON with a boolean `success`, which is true exactly when the status is 200.
    pub(crate) async fn to(request: RequestBuilder) -> Self {
        let exchange = Exchange::of(request).await;
        let body = exchange.json();
        let Exchange {
            status,
            headers,
            text,
        } = exchange;
        assert_eq!(
            body["success"],
            Value::Bool(status == 200),
            "status {status}, body {text}"
        );
        Self {
            status,
            headers,
            text,
            body,
        }
    }

    /// Asserts success and returns the body.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.body
    }

    /// Asserts an error with this status and text, and nothing else in the body.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(
            self.body,
            serde_json::json!({"success": false, "error": error})
        );
    }

    /// Returns the text of the `error` key.
    #[track_caller]
    pub fn error(&self) -> &str {
        self.body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("no error in {}", self.text))
    }

    /// Returns a header's value if it is present and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Asserts that a `Retry-After` header tells the client when to retry.
    #[track_caller]
    pub fn assert_retry_after(&self) {
        let seconds = self
            .header("retry-after")
            .unwrap_or_else(|| panic!("no Retry-After with {}", self.text));
        assert!(
            seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0),
            "Retry-After: {seconds}"
        );
    }
}

//! The test mode, as people use it to test their clients: docs/test-mode.md.

mod documented;
mod faults;
mod start;

use hearth_test_support::{ServerBuilder, TestServer};
use serde_json::Value;

fn builder() -> ServerBuilder {
    TestServer::builder().single().argument("--test-mode")
}

async fn start() -> TestServer {
    builder().start().await
}

/// Sends a request to a path of the test mode, which the OpenAPI file does not have. Returns the
/// status and the body.
async fn control(
    server: &TestServer,
    method: reqwest::Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let request = server.request_outside(method, path);
    let response = request.json(body).send().await.expect("a response");
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    (status, serde_json::from_str(&text).expect("JSON"))
}

/// Requests a fault, which must be valid. Returns the faults that wait.
async fn fault(server: &TestServer, body: Value) -> Value {
    let path = "/v2/test/faults";
    let (status, body) = control(server, reqwest::Method::POST, path, &body).await;
    assert_eq!(status, 200, "{body}");
    body["pending"].clone()
}

/// Sends a request, whose status the OpenAPI file may lack. Returns the status, the body and
/// `Retry-After`.
async fn answer(request: reqwest::RequestBuilder) -> (u16, Value, Option<String>) {
    let response = request.send().await.expect("a response");
    let retry = response.headers().get("retry-after");
    let retry = retry.and_then(|value| value.to_str().ok().map(str::to_owned));
    let status = response.status().as_u16();
    let text = response.text().await.expect("text");
    (status, serde_json::from_str(&text).expect("JSON"), retry)
}

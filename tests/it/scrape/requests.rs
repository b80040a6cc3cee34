//! Requests for scrapes: authentication, paths and validation.

use hearth_test_support::{Exchange, Site, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PATH, send};

#[tokio::test]
async fn invalid_fields_are_rejected_before_a_session_is_created() {
    let server = TestServer::builder().without_browser().start().await;
    let url = "http://a.example";
    let cases = [
        (
            json!({}),
            json!([{"expected": "string", "code": "invalid_type", "path": ["url"], "message": "Invalid input: expected string, received undefined"}]),
        ),
        (
            json!({"url": "a b"}),
            json!([{"code": "invalid_format", "format": "url", "path": ["url"], "message": "Invalid URL"}]),
        ),
        (
            json!({"url": "ftp://a.example"}),
            json!([{"origin": "string", "code": "invalid_format", "format": "regex", "pattern": r"/^https?:\/\//i", "path": ["url"], "message": "URL uses unsupported protocol"}]),
        ),
        (
            json!({"url": url, "timeout": 500}),
            json!([{"origin": "number", "code": "too_small", "minimum": 1000, "inclusive": true, "path": ["timeout"], "message": "Too small: expected number to be >=1000"}]),
        ),
        (
            json!({"url": url, "waitFor": 70000}),
            json!([{"origin": "number", "code": "too_big", "maximum": 60000, "inclusive": true, "path": ["waitFor"], "message": "Too big: expected number to be <=60000"}]),
        ),
        (
            json!({"url": url, "timeout": 4000, "waitFor": 3000}),
            json!([{"code": "custom", "path": ["waitFor"], "message": "waitFor must not exceed half of timeout"}]),
        ),
        (
            json!({"url": url, "formats": ["markdown", "json"]}),
            json!([{"code": "custom", "path": ["formats", 1], "message": "This server does not make the format \"json\"."}]),
        ),
        (
            json!({"url": url, "formats": ["screenshot", {"type": "screenshot", "fullPage": true}]}),
            json!([{"code": "custom", "path": ["formats"], "message": "You may only specify one screenshot format"}]),
        ),
        (
            json!({"url": url, "actions": [{"type": "wait"}]}),
            json!([{"code": "custom", "path": ["actions", 0], "message": "Either 'milliseconds' or 'selector' must be provided, but not both."}]),
        ),
        (
            json!({"url": url, "waitFor": 30000, "actions": [{"type": "wait", "milliseconds": 40000}]}),
            json!([{"code": "custom", "path": [], "message": "Total wait time (waitFor + wait actions) cannot exceed 60 seconds"}]),
        ),
        (
            json!({"url": url, "actions": vec![json!({"type": "scrape"}); 51]}),
            json!([{"code": "custom", "path": ["actions"], "message": "Number of actions cannot exceed 50"}]),
        ),
        (
            json!({"url": url, "actions": [{"type": "click"}]}),
            json!([{"code": "invalid_union", "errors": [[{"expected": "string", "code": "invalid_type", "path": ["selector"], "message": "Invalid input: expected string, received undefined"}]], "path": ["actions", 0], "message": "Invalid input"}]),
        ),
        (
            json!({"url": url, "headers": {"X-A": 1}}),
            json!([{"expected": "string", "code": "invalid_type", "path": ["headers", "X-A"], "message": "Invalid input: expected string, received number"}]),
        ),
        (
            json!({"url": url, "headers": {"X-A": "a\r\nX-B: b"}}),
            json!([{"code": "custom", "path": ["headers", "X-A"], "message": "Invalid name or value of a header"}]),
        ),
        (
            json!({"url": url, "includeTags": ["p", 1]}),
            json!([{"expected": "string", "code": "invalid_type", "path": ["includeTags", 1], "message": "Invalid input: expected string, received number"}]),
        ),
        (
            json!({"url": url, "redactPII": true}),
            json!([{"code": "custom", "path": ["redactPII"], "message": "This server does not redact personal data. Remove redactPII."}]),
        ),
        (
            json!({"url": url, "lockdown": true}),
            json!([{"code": "custom", "path": ["lockdown"], "message": "This server has no cache, so it cannot answer from it alone. Remove lockdown."}]),
        ),
    ];
    for (body, details) in cases {
        let exchange = send(&server, &body).await;
        let reply = exchange.json();
        assert_eq!(exchange.status, 400, "{body}: {reply}");
        assert_eq!(reply["details"], details, "{body}");
        assert_eq!(reply["code"], "BAD_REQUEST", "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_key_is_required_and_its_owner_gets_the_page() {
    let (server, site) = tokio::join!(
        TestServer::builder()
            .setting("HEARTH_API_KEYS", "secret")
            .start(),
        Site::start()
    );
    // Clients with unknown keys, which the server ignores, still work.
    let body = json!({"url": site.url("/article"), "origin": "website", "proxy": "auto", "maxAge": 0, "unknown": [1]});
    let exchange = send(&server.with_key("other"), &body).await;
    assert_eq!(exchange.status, 401, "{}", exchange.text);
    for path in [PATH.to_owned(), format!("{PATH}/")] {
        let request = server
            .with_key("secret")
            .request_outside(Method::POST, &path);
        let exchange = Exchange::of(request.json(&body)).await;
        let reply: Value = exchange.json();
        assert_eq!(exchange.status, 200, "{reply}");
        assert_eq!(
            reply["scrape_id"], reply["data"]["metadata"]["scrapeId"],
            "{reply}"
        );
    }
    server.stop().await;
}

//! Requests and responses that pass through unchanged, in parts as they arrive.

use std::time::Duration;

use hearth_test_support::{Api, eventually};
use reqwest::Method;
use reqwest::header::{HeaderMap, SET_COOKIE};
use serde_json::{Value, json};

use super::stand_in::Firecrawl;
use super::{builder, get, get_json};

/// Returns the values of a header in the response of `/v2/echo`.
fn received<'a>(echo: &'a Value, name: &str) -> Vec<&'a str> {
    let headers = echo["headers"].as_array().expect("a list");
    headers
        .iter()
        .filter(|header| header[0] == name)
        .filter_map(|header| header[1].as_str())
        .collect()
}

fn values<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().expect("text")).collect()
}

#[tokio::test]
async fn a_request_and_its_response_are_not_changed() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl)
        .setting("HEARTH_FIRECRAWL_KEY", "fc-inner")
        .start()
        .await;
    let api = server.with_key("key");
    for (method, path) in [
        (Method::POST, "/v2/echo/a%2Fb/%F0%9F%98%80?q=a%20b&q=c+d&e="),
        (Method::PUT, "/v2/echo//twice"),
        (Method::PATCH, "/v2/echo/"),
        (Method::DELETE, "/v2/echo/one?"),
        (Method::GET, "/v2/echo/get"),
    ] {
        let request = api
            .request_outside(method.clone(), path)
            .header("x-custom", "one")
            .header("x-custom", "two")
            .header("cookie", "c=d")
            .header("content-type", "text/plain; charset=latin1")
            .header("user-agent", "test/1")
            .header("connection", "keep-alive, x-hop")
            .header("x-hop", "1")
            .header("te", "trailers")
            .body("  {not json}\r\n");
        let response = request.send().await.expect("the server answers");
        assert_eq!(response.status(), 203, "{method} {path}");
        let headers = response.headers().clone();
        assert_eq!(values(&headers, SET_COOKIE.as_str()), ["a=1", "b=2"]);
        assert_eq!(values(&headers, "x-response-time"), ["7ms"]);
        for hop in ["keep-alive", "x-hop"] {
            assert_eq!(values(&headers, hop), [""; 0], "{hop}");
        }
        let echo: Value = response.json().await.expect("JSON");
        assert_eq!(echo["method"], method.as_str());
        assert_eq!(echo["path"], path);
        assert_eq!(echo["body"], "  {not json}\r\n");
        for (name, expected) in [
            ("x-custom", vec!["one", "two"]),
            ("cookie", vec!["c=d"]),
            ("content-type", vec!["text/plain; charset=latin1"]),
            ("user-agent", vec!["test/1"]),
            ("host", vec![server.address()]),
            ("content-length", vec!["14"]),
            ("authorization", vec!["Bearer fc-inner"]),
            ("x-hop", vec![]),
            ("te", vec![]),
            ("connection", vec![]),
        ] {
            assert_eq!(received(&echo, name), expected, "{name}: {echo}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_key_of_a_client_never_reaches_firecrawl() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    for api in [server.with_key("wrong"), Api::clone(&server)] {
        let (status, body) = get(&api, "/v2/echo/x").await;
        assert_eq!(status, 401, "{body}");
    }
    assert!(firecrawl.seen().is_empty());
    let (status, echo) = get_json(&server.with_key("key"), "/v2/echo/x").await;
    assert_eq!(status, 203);
    assert_eq!(received(&echo, "authorization"), [""; 0]);
    server.stop().await;
}

#[tokio::test]
async fn the_paths_of_this_server_do_not_pass() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    for path in [
        "/health",
        "/readyz",
        "/openapi.json",
        "/v2/interact",
        "/v2/interact/a/b/c",
        "/v2/browser/x",
        "/cdp/x/y/z",
        "/live/x/y/z",
        "/operator/x",
        "/workbench/x",
    ] {
        get(&api, path).await;
    }
    let (status, _) = get(&api, "/cdpx").await;
    assert_eq!(status, 404);
    let seen: Vec<String> = firecrawl.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(seen, ["/cdpx"]);
    // TRACE would show Firecrawl's key.
    let trace = api.request_outside(Method::TRACE, "/v2/echo/x");
    assert_eq!(trace.send().await.expect("an answer").status(), 405);
    assert_eq!(firecrawl.seen().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn errors_of_firecrawl_keep_their_status_and_body() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    for code in [400, 402, 408, 429, 500, 501, 502, 503] {
        let (status, body) = get_json(&api, &format!("/v2/status/{code}")).await;
        assert_eq!(status, code);
        assert_eq!(body, json!({"success": false, "error": "from firecrawl"}));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_response_arrives_in_parts() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let request = server
        .with_key("key")
        .request_outside(Method::GET, "/v2/parts");
    let mut response = request.send().await.expect("the server answers");
    let first = response.chunk().await.expect("a part").expect("a part");
    assert_eq!(first, "first ");
    firecrawl.release();
    let second = response.chunk().await.expect("a part").expect("a part");
    assert_eq!(second, "second");
    assert!(response.chunk().await.expect("the end").is_none());
    server.stop().await;
}

/// The limit of buffers is smaller than each of the bodies.
#[tokio::test]
async fn large_bodies_pass_without_being_kept() {
    const BYTES: usize = 96 << 20;
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl)
        .setting("HEARTH_BUFFER_MB", "64")
        .start()
        .await;
    let api = server.with_key("key");
    let request = api.request_outside(Method::GET, &format!("/v2/bytes/{BYTES}"));
    let mut response = request.send().await.expect("an answer");
    let mut received = 0;
    while let Some(part) = response.chunk().await.expect("a part") {
        received += part.len();
    }
    assert_eq!(received, BYTES);
    let upload = api
        .request_outside(Method::POST, "/v2/parse")
        .body(vec![b'x'; BYTES]);
    let answer: Value = upload
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(answer["bytes"], BYTES);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let requests: Vec<_> = (0..3)
        .map(|_| {
            let request = api.request_outside(Method::GET, "/v2/hang");
            tokio::spawn(async move { request.send().await.map(drop) })
        })
        .collect();
    firecrawl.wait_for_hanging(3, 0).await;
    let (_, metrics) = get(&api, "/metrics").await;
    assert!(
        metrics.contains("\nhearth_firecrawl_connections 3\n"),
        "{metrics}"
    );
    for request in &requests {
        request.abort();
    }
    firecrawl.wait_for_hanging(0, 3).await;
    eventually(
        Duration::from_secs(10),
        "no connection is open",
        async || {
            let (_, metrics) = get(&api, "/metrics").await;
            if metrics.contains("\nhearth_firecrawl_connections 0\n") {
                Ok(())
            } else {
                Err(metrics)
            }
        },
    )
    .await;
    server.stop().await;
}

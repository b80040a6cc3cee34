//! Web pages of other origins that call the API (`HEARTH_CORS_ORIGINS`).

use hearth_test_support::{Api, ServerBuilder, Site, TestServer};
use reqwest::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN,
};
use reqwest::{Method, Response};
use serde_json::json;

const APP: &str = "https://app.example";
const OTHER: &str = "https://other.example";

fn allowing(origins: &str) -> ServerBuilder {
    TestServer::builder()
        .without_browser()
        .setting("HEARTH_CORS_ORIGINS", origins)
}

fn header(response: &Response, name: &HeaderName) -> String {
    let value = response.headers().get(name);
    let text = value.map(|value| value.to_str().expect("text"));
    text.unwrap_or_default().to_ascii_lowercase()
}

/// Sends the request that a browser sends before a POST with a key and JSON.
async fn preflight(api: &Api, origin: &str) -> Response {
    let request = api
        .request(Method::OPTIONS, "")
        .header(ORIGIN, origin)
        .header(ACCESS_CONTROL_REQUEST_METHOD, "POST")
        .header(ACCESS_CONTROL_REQUEST_HEADERS, "authorization,content-type");
    request.send().await.expect("the server answers")
}

/// Sends a request of a page, and returns its status and the origin that may read the response.
async fn sent(api: &Api, method: Method, origin: &str) -> (u16, String) {
    let request = api.request(method, "").header(ORIGIN, origin);
    let response = request.send().await.expect("the server answers");
    let origin = header(&response, &ACCESS_CONTROL_ALLOW_ORIGIN);
    (response.status().as_u16(), origin)
}

#[tokio::test]
async fn no_other_origin_is_allowed_by_default() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "key")
        .start()
        .await;
    let response = preflight(&server, APP).await;
    assert_eq!(response.status(), 405);
    assert_eq!(header(&response, &ACCESS_CONTROL_ALLOW_ORIGIN), "");
    let api = server.with_key("key");
    assert_eq!(sent(&api, Method::GET, APP).await, (200, String::new()));
    server.stop().await;
}

#[tokio::test]
async fn a_listed_origin_needs_a_key_but_not_for_its_preflight_request() {
    let origins = format!("{APP}, http://localhost:5173");
    let server = allowing(&origins)
        .setting("HEARTH_API_KEYS", "key")
        .start()
        .await;
    for origin in [APP, "http://localhost:5173"] {
        let response = preflight(&server, origin).await;
        assert_eq!(response.status(), 200);
        assert_eq!(header(&response, &ACCESS_CONTROL_ALLOW_ORIGIN), origin);
        let methods = header(&response, &ACCESS_CONTROL_ALLOW_METHODS);
        assert!(methods.contains("post") && methods.contains("delete"));
        let headers = header(&response, &ACCESS_CONTROL_ALLOW_HEADERS);
        assert!(headers.contains("authorization") && headers.contains("content-type"));
        // The page can read errors too.
        let (status, allowed) = sent(&server, Method::GET, origin).await;
        assert_eq!((status, &*allowed), (401, origin));
        let (status, allowed) = sent(&server.with_key("key"), Method::GET, origin).await;
        assert_eq!((status, &*allowed), (200, origin));
    }
    for origin in [
        OTHER,
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "null",
    ] {
        let response = preflight(&server, origin).await;
        assert_eq!(header(&response, &ACCESS_CONTROL_ALLOW_ORIGIN), "");
        let (_, allowed) = sent(&server.with_key("key"), Method::GET, origin).await;
        assert_eq!(allowed, "", "{origin}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_flag_can_be_repeated() {
    // The flag is that of one server.
    let server = TestServer::builder()
        .single()
        .without_browser()
        .argument(&format!("--cors-origins={APP}"))
        .argument(&format!("--cors-origins={OTHER},http://localhost:5173"))
        .start()
        .await;
    for origin in [APP, OTHER, "http://localhost:5173"] {
        let (_, allowed) = sent(&server, Method::GET, origin).await;
        assert_eq!(allowed, origin);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_server_without_keys_accepts_posts_of_listed_origins_only() {
    // Nodes of a cluster need keys.
    let server = allowing(APP).single().start().await;
    // There is no browser, so a session that is permitted does not start.
    assert_eq!(
        sent(&server, Method::POST, APP).await,
        (503, APP.to_owned())
    );
    assert_eq!(
        sent(&server, Method::POST, OTHER).await,
        (403, String::new())
    );
    assert_eq!(sent(&server, Method::POST, "null").await.0, 403);
    // The protection against DNS rebinding stays.
    let rebound = server
        .request(Method::POST, "")
        .header(ORIGIN, APP)
        .header("host", "evil.example");
    let response = rebound.send().await.expect("the server answers");
    assert_eq!(response.status(), 403);
    server.stop().await;
}

#[tokio::test]
async fn a_browser_lets_only_pages_of_listed_origins_read_responses() {
    let (app, other) = (Site::start().await, Site::start().await);
    let origin = app.url("");
    let server = allowing(&origin)
        .setting("HEARTH_API_KEYS", "key")
        .start()
        .await;
    // No session reaches its own server.
    let visitors = TestServer::start().await;
    let session = visitors.session().await;
    let url = format!("{}/v2/interact", server.origin());
    let headers = json!({"authorization": "Bearer key", "content-type": "application/json"});
    for (site, expected) in [(&app, "200"), (&other, "TypeError")] {
        let code = format!(
            "await page.goto({:?}); await page.evaluate(() => fetch({url:?}, {{ headers: {headers} }}).then(\
             (response) => String(response.status), (error) => error.name))",
            site.url("/title/app")
        );
        assert_eq!(session.node(&code).await.ok().result, expected);
    }
    visitors.stop().await;
    server.stop().await;
}

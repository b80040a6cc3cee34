//! The end of a scrape's session.

use std::time::Duration;

use hearth_test_support::{Site, TestServer, eventually};
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{PATH, Scenario, send};

/// Waits until no session of a server is left.
pub(super) async fn assert_nothing_left(server: &TestServer) {
    let is_empty = async || {
        let sessions = server.list("?status=active").await.ok();
        let dirs = server.session_dirs();
        if sessions["sessions"] == json!([]) && dirs.is_empty() {
            Ok(())
        } else {
            Err(format!("{sessions} {dirs:?}"))
        }
    };
    eventually(Duration::from_secs(20), "the session has ended", is_empty).await;
}

#[tokio::test]
async fn the_session_ends_with_the_scrape() {
    let scenario = Scenario::start().await;
    scenario.scrape("/article", &json!({})).await;
    assert_nothing_left(&scenario.server).await;
    scenario.send("/hang", &json!({"timeout": 1000})).await;
    assert_nothing_left(&scenario.server).await;
    scenario.server.stop().await;
}

#[tokio::test]
async fn the_session_ends_when_the_client_disconnects() {
    let scenario = Scenario::start().await;
    let Scenario { server, site } = &scenario;
    let script = format!(
        "await fetch('{}'); await new Promise(() => {{}})",
        site.url("/signal/running")
    );
    let body = json!({
        "url": site.url("/steps"),
        "actions": [{"type": "executeJavascript", "script": script}],
    });
    let request = server
        .request_outside(Method::POST, PATH)
        .json(&body)
        .send();
    let request = tokio::spawn(request);
    site.signalled("running").await;
    request.abort();
    assert_nothing_left(server).await;
    let log = server.output();
    assert!(log.contains("abandoned"), "{log}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_scrape_needs_a_place_for_its_session() {
    let (server, site) = tokio::join!(
        TestServer::builder()
            .setting("HEARTH_MAX_SESSIONS", "1")
            .start(),
        Site::start()
    );
    let session = server.session().await;
    let body = json!({"url": site.url("/article")});
    let exchange = send(&server, &body).await;
    assert_eq!(exchange.status, 429, "{}", exchange.text);
    assert!(exchange.headers.contains_key("retry-after"));
    server.delete(session.id()).await.ok();
    let exchange = timeout(Duration::from_mins(1), send(&server, &body)).await;
    assert_eq!(exchange.expect("an answer").status, 200);
    server.stop().await;
}

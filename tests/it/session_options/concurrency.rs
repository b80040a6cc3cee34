//! `GET /v2/concurrency-check`.

use hearth_test_support::{Api, Exchange, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

async fn check(api: &Api, path: &str) -> Value {
    let exchange = Exchange::of(api.request_outside(Method::GET, path)).await;
    assert_eq!(exchange.status, 200, "{}", exchange.text);
    exchange.json()
}

fn counts(active: u32, max: u32) -> Value {
    json!({"success": true, "concurrency": active, "maxConcurrency": max})
}

#[tokio::test]
async fn each_team_sees_the_number_of_its_own_sessions() {
    const PATH: &str = "/v2/concurrency-check";
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "one:key-1,two:key-2")
        .setting("HEARTH_MAX_SESSIONS", "3")
        .setting("HEARTH_TEAM_MAX_SESSIONS", "2")
        .start()
        .await;
    let (one, two) = (server.with_key("key-1"), server.with_key("key-2"));
    let session = one.session().await;
    assert_eq!(check(&one, PATH).await, counts(1, 2));
    assert_eq!(check(&two, "/v2/concurrency-check/").await, counts(0, 2));
    session.delete().await;
    assert_eq!(check(&one, PATH).await, counts(0, 2));
    for api in [
        server.with_key("key-3"),
        server.with_authorization("Basic x"),
    ] {
        let rejected = Exchange::of(api.request_outside(Method::GET, PATH)).await;
        assert_eq!(rejected.status, 401, "{}", rejected.text);
    }
    server.stop().await;
}

#[tokio::test]
async fn without_a_maximum_for_teams_that_of_the_server_applies() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_MAX_SESSIONS", "3")
        .start()
        .await;
    assert_eq!(check(&server, "/v2/concurrency-check").await, counts(0, 3));
    server.stop().await;
}

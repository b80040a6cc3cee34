//! The start of a server in test mode, its clock and its ids.

use std::time::{Duration, Instant};

use hearth_test_support::{TestPostgres, TestServer, eventually, new_data_dir};
use reqwest::Method;
use serde_json::json;

use super::{answer, builder, control, start};

#[tokio::test]
async fn the_server_warns_that_it_is_in_test_mode() {
    let server = start().await;
    assert!(server.output().contains("TEST MODE"), "{}", server.output());
    let warned = server.last_log_line(&["WARN", "test mode (HEARTH_TEST_MODE)"]);
    assert!(warned.is_some(), "{}", server.output());
    let ready = answer(server.request_outside(Method::GET, "/readyz")).await;
    assert_eq!((ready.0, &ready.1["testMode"]), (200, &json!(true)));
    server.stop().await;
}

#[tokio::test]
async fn without_it_there_are_no_faults() {
    let server = TestServer::builder().single().start().await;
    let body = json!({"fault": "503"});
    let (status, _) = control(&server, Method::POST, "/v2/test/faults", &body).await;
    assert_eq!(status, 404);
    let ready = answer(server.request_outside(Method::GET, "/readyz")).await;
    assert_eq!(ready.1.get("testMode"), None);
    let created = server.create(&json!({})).await.ok();
    let id = created["id"].as_str().expect("an id");
    assert!(!id.starts_with("00000000"), "{id}");
    assert!(!server.output().contains("TEST MODE"));
    server.stop().await;
}

#[tokio::test]
async fn it_does_not_start_where_others_could_reach_it() {
    let open = || {
        builder()
            .setting("HEARTH_LISTEN", "0.0.0.0:0")
            .setting("HEARTH_API_KEYS", "key")
    };
    let refused = open().refused().await;
    assert_eq!(refused.code, Some(78));
    assert!(
        refused
            .stderr
            .contains("HEARTH_TEST_MODE: 0.0.0.0:0 can be reached")
            && refused.stderr.contains("fix: set HEARTH_TEST_MODE=remote"),
        "{}",
        refused.stderr
    );
    let remote = TestServer::builder()
        .single()
        .setting("HEARTH_TEST_MODE", "remote")
        .setting("HEARTH_LISTEN", "0.0.0.0:0")
        .setting("HEARTH_API_KEYS", "key")
        .start()
        .await;
    let faults = Method::GET;
    let denied = control(&remote, faults, "/v2/test/faults", &json!({})).await;
    assert_eq!(denied.0, 401, "faults need a key like the rest of the API");
    remote.stop().await;
}

#[tokio::test]
async fn a_node_of_a_cluster_does_not_start_in_test_mode() {
    let postgres = TestPostgres::start().await;
    let refused = builder().in_cluster(&postgres.url(), "a").refused().await;
    assert_eq!(refused.code, Some(78));
    assert!(
        refused
            .stderr
            .contains("a node of a cluster cannot be in test mode"),
        "{}",
        refused.stderr
    );
}

#[tokio::test]
async fn ids_count_and_continue_after_a_restart() {
    let dir = new_data_dir();
    let id = |number: u8| format!("00000000-0000-7000-8000-{number:012}");
    let server = builder().data_dir(dir.path()).start().await;
    for number in 1..=2 {
        assert_eq!(server.session().await.id(), id(number));
    }
    server.stop().await;
    let server = builder().data_dir(dir.path()).start().await;
    assert_eq!(server.session().await.id(), id(3));
    server.stop().await;
}

#[tokio::test]
async fn lifetimes_pass_as_fast_as_the_clock_runs() {
    let server = start().await;
    let (status, body) = control(
        &server,
        Method::POST,
        "/v2/test/clock",
        &json!({"speed": 60}),
    )
    .await;
    assert_eq!((status, &body["speed"]), (200, &json!(60)));
    let began = Instant::now();
    let session = server.session_with(&json!({"ttl": 120})).await;
    let ended = async || {
        let status = session.status().await;
        let is_over = status["destroyedReason"] == "ttl";
        is_over.then_some(()).ok_or_else(|| status.to_string())
    };
    eventually(Duration::from_secs(20), "the session ends", ended).await;
    assert!(began.elapsed() >= Duration::from_secs(2));
    let idle = server
        .session_with(&json!({"ttl": 3600, "activityTtl": 60}))
        .await;
    let ended = async || {
        let status = idle.status().await;
        let is_over = status["destroyedReason"] == "idle";
        is_over.then_some(()).ok_or_else(|| status.to_string())
    };
    eventually(Duration::from_secs(20), "the session ends", ended).await;
    server.stop().await;
}

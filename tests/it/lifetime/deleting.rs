//! Deletions, whose response does not wait for the cleanup.

use std::time::Duration;

use hearth_test_support::{ServerBuilder, TestServer, eventually, new_data_dir, process};
use reqwest::Method;
use serde_json::json;

use super::busy_session;
use crate::operator::metrics::metrics;

/// The number of sessions, one after the other.
const ROUNDS: usize = 6;

/// Asserts that nothing is left of deleted sessions, neither in reality nor in the metrics.
async fn assert_settled(server: &TestServer) {
    eventually(Duration::from_secs(20), "nothing is left", async || {
        let now = metrics(server.direct()).await;
        let gauges = [
            "hearth_sessions{state=\"active\"}",
            "hearth_sessions{state=\"creating\"}",
            "hearth_sessions{state=\"ending\"}",
            "hearth_leaked_processes",
        ];
        let gauges = gauges.map(|name| now[name]);
        let (processes, dirs) = (server.processes(), server.session_dirs());
        let is_zero = gauges.iter().sum::<f64>() < 1.0;
        if is_zero && processes.is_empty() && dirs.is_empty() {
            Ok(())
        } else {
            let processes = process::describe(&processes);
            Err(format!("{gauges:?}, {dirs:?}\n{processes}"))
        }
    })
    .await;
}

/// Keeps a server at its limit of `count` sessions. A creation follows each deletion at once.
async fn creates_at_the_limit(builder: ServerBuilder, count: usize) {
    let server = builder
        .setting("HEARTH_MAX_SESSIONS", &count.to_string())
        .setting("HEARTH_TEAM_MAX_SESSIONS", &count.to_string())
        .start()
        .await;
    let mut sessions = Vec::new();
    for _ in 0..count {
        sessions.push(busy_session(&server).await);
    }
    server.create(&json!({})).await.assert_retry_after();
    for _ in 0..ROUNDS {
        sessions.remove(0).delete().await;
        let reply = server.create(&json!({})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let id = reply.body["id"].as_str().expect("an id");
        server.delete(id).await.ok();
        sessions.push(busy_session(&server).await);
    }
    for session in sessions {
        session.delete().await;
    }
    assert_settled(&server).await;
    server.stop().await;
}

/// The ranges have ids for exactly as many sessions. Without root, sessions have no own ids.
#[tokio::test]
async fn a_full_server_has_room_for_a_session_as_soon_as_another_is_deleted() {
    creates_at_the_limit(
        TestServer::builder().setting("HEARTH_UIDS", "61971-61973"),
        1,
    )
    .await;
    creates_at_the_limit(
        TestServer::builder().setting("HEARTH_UIDS", "61974-61978"),
        2,
    )
    .await;
}

#[tokio::test]
async fn without_isolation_a_full_server_has_room_for_a_session_as_soon_as_another_is_deleted() {
    creates_at_the_limit(TestServer::builder().setting("HEARTH_ISOLATION", "none"), 1).await;
}

/// The operator's page ends sessions through another route.
#[tokio::test]
async fn a_session_that_the_operator_ends_leaves_room_at_once() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "1")
        .setting("HEARTH_UIDS", "61968-61970")
        .start()
        .await;
    for _ in 0..3 {
        let session = busy_session(&server).await;
        let path = format!("/operator/sessions/{}", session.id());
        let ended = server.send(server.request_outside(Method::DELETE, &path));
        assert_eq!(ended.await.ok(), json!({"success": true}));
    }
    server.session().await.delete().await;
    assert_settled(&server).await;
    server.stop().await;
}

/// A stopping server exits when the cleanup of sessions that were already deleted has ended.
#[tokio::test]
async fn a_server_that_stops_right_after_a_deletion_leaves_nothing() {
    for _ in 0..3 {
        let dir = new_data_dir();
        let server = TestServer::builder().data_dir(dir.path()).start().await;
        let sessions = [busy_session(&server).await, busy_session(&server).await];
        for session in sessions {
            session.delete().await;
        }
        server.stop().await;
    }
}

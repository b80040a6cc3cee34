//! Requests with a key that the server must handle while it limits others: their responses are
//! compared, not the resources.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hearth_test_support::{TestServer, eventually};
use serde_json::json;

use super::keyless::dense_body;
use super::load::{EXECUTE, connect_and_send, post_head, read_status};
use super::{KEY, KEYS};
use crate::operator::metrics::metrics;

#[tokio::test]
async fn large_bodies_with_a_key_are_parsed_without_their_unknown_parts() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", KEYS)
        .start()
        .await;
    let body = dense_body();
    let requests = (0..8).map(async |_| {
        let request = post_head(EXECUTE, Some(KEY), body.len()) + &body;
        let mut stream = connect_and_send(server.address(), request.as_bytes()).await;
        read_status(&mut stream).await
    });
    for status in join_all(requests).await {
        assert_eq!(status, Some(400));
    }
    server.stop().await;
}

#[tokio::test]
async fn queued_executions_are_limited_and_keep_no_unknown_fields() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("1").await.ok();
    let waiting = "while (!require('node:fs').existsSync('go')) await new Promise((done) => setTimeout(done, 10))";
    let blocker = json!({"code": waiting, "timeout": 60});
    let large = json!({"code": "1", "timeout": 60, "unknown": "x".repeat(9_000_000)});
    let small = json!({"code": "1", "timeout": 60});
    let (_, rejections) = tokio::join!(session.execute(&blocker), async {
        // The blocker has its turn when the server counts it.
        eventually(
            Duration::from_secs(10),
            "the blocker runs",
            async || match metrics(&server).await["hearth_executions{state=\"running\"}"] {
                running if running > 0.5 => Ok(()),
                running => Err(format!("{running} executions run")),
            },
        )
        .await;
        let mut executions: FuturesUnordered<_> = (0..60)
            .map(|number| session.execute(if number % 8 == 0 { &large } else { &small }))
            .collect();
        let mut replies = Vec::new();
        while replies.len() < 28 {
            replies.push(executions.next().await.expect("sixty were sent"));
        }
        session.bash("touch go").await.ok();
        while let Some(reply) = executions.next().await {
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        replies
    });
    for rejected in &rejections {
        assert_eq!(rejected.status, 429, "{rejected:?}");
        assert!(rejected.error().contains("limit: 32"), "{rejected:?}");
        rejected.assert_retry_after();
    }
    server.stop().await;
}

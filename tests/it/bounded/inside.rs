//! Attacks with a session: from its code, over CDP, and with its executions.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use hearth_test_support::{Session, TestServer, eventually};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::load::{connect_and_send, post_head, read_all};
use super::watch::{Watch, open_descriptors, resident_mib};
use crate::operator::metrics::metrics;

/// Runs code in another session, which must not notice the attack.
async fn assert_other_works(other: &Session) {
    assert_eq!(other.node("1 + 1").await.ok().result, "2");
}

#[tokio::test]
async fn connections_to_a_sessions_cdp_listener_are_limited() {
    let server = TestServer::start().await;
    let (session, other) = tokio::join!(server.session(), server.session());
    let before = open_descriptors(server.serving_pid());
    let watch = Watch::start(&server);
    let attack = session
        .python(
            "import os, socket
host = [part for part in os.environ['no_proxy'].split(',') if ':' in part][0]
address, port = host.rsplit(':', 1)
sockets = []
for _ in range(2000):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((address, int(port)))
        sockets.append(s)
    except OSError:
        break
len(sockets)",
        )
        .await
        .ok();
    assert!(attack.result.parse::<usize>().is_ok_and(|count| count > 0));
    let peaks = watch.assert_bounded().await;
    assert!(
        peaks.descriptors < before + 300,
        "{before} before, {peaks:?}"
    );
    assert_other_works(&other).await;
    server.stop().await;
}

/// Returns a WebSocket to `url` that was opened by hand, to send incomplete messages.
async fn raw_web_socket(url: &str) -> TcpStream {
    let rest = url.strip_prefix("ws://").expect("a ws URL");
    let (address, path) = rest.split_once('/').expect("it has a path");
    let head = format!(
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    connect_and_send(address, head.as_bytes()).await
}

#[tokio::test]
async fn unfinished_messages_are_limited_per_session() {
    let server = TestServer::start().await;
    let (session, other) = tokio::join!(server.session(), server.session());
    let watch = Watch::start(&server);
    let attacks = (0..30).map(async |_| {
        let mut socket = raw_web_socket(session.cdp_url()).await;
        // A masked text frame of 80 MB with the mask 0, of which the last byte is missing.
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&80_000_000_u64.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        let sending = async {
            socket.write_all(&frame).await?;
            for _ in 0..79 {
                socket.write_all(&vec![b' '; 1_000_000]).await?;
            }
            std::io::Result::Ok(())
        };
        let sent = timeout(Duration::from_secs(20), sending).await;
        (socket, sent.is_ok_and(|sent| sent.is_ok()))
    });
    let sockets = join_all(attacks).await;
    let complete = sockets.iter().filter(|(_, is_sent)| *is_sent).count();
    watch.assert_bounded().await;
    assert!(complete <= 2, "{complete} sockets were not closed");
    assert_other_works(&other).await;
    drop(sockets);
    server.stop().await;
}

#[tokio::test]
async fn queued_executions_are_limited_and_keep_no_unknown_fields() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node("1").await.ok();
    let watch = Watch::start(&server);
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
    watch.assert_bounded().await;
    server.stop().await;
}

#[tokio::test]
async fn unread_responses_are_released_after_the_session() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let watch = Watch::start(&server);
    let code = "import sys\nfor stream in (sys.stdout, sys.stderr):\n    stream.write('\\x01' * 10_000_000); stream.flush()";
    let body = json!({"code": code, "language": "python"}).to_string();
    let path = format!("/v2/interact/{}/execute", session.id());
    let request = post_head(&path, None, body.len()) + &body;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        let socket = connect_and_send(server.address(), request.as_bytes()).await;
        // The first bytes arrive when the execution has ended; the rest is never read.
        socket.readable().await.expect("a response");
        sockets.push(socket);
    }
    watch.assert_bounded().await;
    session.delete().await;
    let pid = server.serving_pid();
    eventually(
        Duration::from_secs(30),
        "the responses are released",
        async || {
            let used = buffer_bytes(&server).await;
            if used < 1.0 {
                Ok(())
            } else {
                Err(format!("{used} bytes, {} MiB", resident_mib(pid)))
            }
        },
    )
    .await;
    // The responses were cut, and do not look complete.
    let response = read_all(&mut sockets[0], Duration::from_secs(10)).await;
    assert!(!response.ends_with("0\r\n\r\n"), "{} bytes", response.len());
    server.stop().await;
}

async fn buffer_bytes(server: &TestServer) -> f64 {
    metrics(server).await["hearth_buffer_bytes"]
}

//! Attacks without a key.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::TestServer;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::load::{connect_and_send, post_head, read_status};
use super::watch::Watch;
use super::{KEY, KEYS};

const EXECUTE: &str = "/v2/interact/01920000-0000-7000-8000-000000000000/execute";

async fn keyed_server() -> TestServer {
    TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", KEYS)
        .start()
        .await
}

/// Returns a body of ten megabytes that makes a parser create many small objects.
fn dense_body() -> String {
    format!("[{}{{}}]", "{\"\":0},".repeat(1_250_000))
}

#[tokio::test]
async fn large_bodies_are_not_read_without_a_key() {
    let server = keyed_server().await;
    let watch = Watch::start(&server);
    let body = dense_body();
    let requests = (0..8).map(async |_| {
        let request = post_head(EXECUTE, None, body.len()) + &body;
        let mut stream = connect_and_send(server.address(), request.as_bytes()).await;
        read_status(&mut stream).await
    });
    for status in join_all(requests).await {
        assert!(matches!(status, Some(401) | None), "{status:?}");
    }
    let peaks = watch.assert_bounded().await;
    assert!(peaks.growth_mib < 50, "{peaks:?}");
    server.stop().await;
}

#[tokio::test]
async fn large_bodies_with_a_key_are_parsed_without_their_unknown_parts() {
    let server = keyed_server().await;
    let watch = Watch::start(&server);
    let body = dense_body();
    let requests = (0..8).map(async |_| {
        let request = post_head(EXECUTE, Some(KEY), body.len()) + &body;
        let mut stream = connect_and_send(server.address(), request.as_bytes()).await;
        read_status(&mut stream).await
    });
    for status in join_all(requests).await {
        assert_eq!(status, Some(400));
    }
    watch.assert_bounded().await;
    server.stop().await;
}

#[tokio::test]
async fn stalled_bodies_end_and_take_little_memory() {
    let server = keyed_server().await;
    let watch = Watch::start(&server);
    let head = post_head(EXECUTE, None, 64_000);
    let part = head + &"x".repeat(60_000);
    let mut streams =
        join_all((0..200).map(async |_| connect_and_send(server.address(), part.as_bytes()).await))
            .await;
    for stream in &mut streams {
        assert_eq!(read_status(stream).await, Some(400));
    }
    watch.assert_bounded().await;
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_make_room_and_unfinished_heads_end() {
    const CONNECTIONS: usize = 5_000;
    let server = keyed_server().await;
    let watch = Watch::start(&server);
    let mut idle = Vec::new();
    let mut unfinished = Vec::new();
    for number in 0..CONNECTIONS {
        if number % 2 == 0 {
            idle.push(connect_and_send(server.address(), b"").await);
        } else {
            let part = b"GET /v2/interact HTTP/1.1\r\nHost: localhost\r\nX-A: ";
            unfinished.push(connect_and_send(server.address(), part).await);
        }
    }
    // A client with a key is served among them.
    let client = server.with_key(KEY);
    assert_eq!(client.list("").await.status, 200);
    let peaks = watch.assert_bounded().await;
    assert!(peaks.descriptors < 2_500, "{peaks:?}");
    for stream in &mut unfinished {
        wait_until_closed(stream).await;
    }
    drop(idle);
    server.stop().await;
}

#[tokio::test]
async fn failed_requests_without_a_key_fill_no_log() {
    let server = keyed_server().await;
    let before = server.output().len();
    let request = format!(
        "GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "a".repeat(20_000)
    );
    let mut stream = connect_and_send(server.address(), request.repeat(500).as_bytes()).await;
    for _ in 0..500 {
        assert_eq!(next_status(&mut stream).await, Some(404));
    }
    let written = server.output().len() - before;
    assert!(written < 100_000, "{written} bytes of log");
    server.stop().await;
}

/// Waits until the server closes a connection on which it has nothing to send.
async fn wait_until_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    let closed = timeout(Duration::from_secs(20), stream.read(&mut byte)).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
}

/// Reads one response with a body from a connection that stays open.
async fn next_status(stream: &mut TcpStream) -> Option<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.split("content-length: ").nth(1)?.split('\r').next()?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    head.get(9..12)?.parse().ok()
}

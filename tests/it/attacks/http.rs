//! H: HTTP attacks on the server itself, without code and without a browser.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hearth_test_support::{Api, Session, TestServer};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::attacks::level::Level;

/// Connections that send nothing, or an incomplete request.
const IDLE_CONNECTIONS: usize = 2000;

/// Sends raw bytes and returns the first line of the response; empty if the connection is closed
/// without one.
async fn answer_to(server: &Api, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    // A server that rejects a request early stops reading.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(3), reading).await;
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn with_body(headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /v2/interact HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Checks H8: connections that send nothing, or only a header.
async fn idle_connections_block_no_client(server: &TestServer) {
    let mut idle = Vec::new();
    for index in 0..IDLE_CONNECTIONS {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        if index % 2 == 0 {
            stream
                .write_all(b"POST /v2/interact HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
                .await
                .unwrap();
        }
        idle.push(stream);
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..100 {
        let start = Instant::now();
        server
            .send(server.request_outside(Method::GET, "/health"))
            .await
            .ok();
        slowest = slowest.max(start.elapsed());
    }
    assert!(
        slowest < Duration::from_secs(1),
        "a client waited {slowest:?}"
    );
}

/// Checks H9: bodies that are expensive to parse.
async fn hostile_bodies_are_rejected(server: &TestServer) {
    let deep = "[".repeat(200_000);
    let keys: Vec<String> = (0..300_000)
        .map(|index| format!("\"k{index}\":1"))
        .collect();
    let cases = [
        ("200,000 brackets", deep.clone(), 400),
        ("200,000 objects", "{\"a\":".repeat(200_000), 400),
        (
            "300,000 keys, one of them invalid",
            format!("{{{},\"ttl\":1}}", keys.join(",")),
            400,
        ),
        (
            "a number that is too large for every type",
            "{\"ttl\":1e999}".to_owned(),
            400,
        ),
        (
            "a number of 100,000 digits",
            format!("{{\"ttl\":{}}}", "9".repeat(100_000)),
            400,
        ),
        (
            "half of a surrogate pair",
            "{\"ttl\":\"\\ud800\"}".to_owned(),
            400,
        ),
        ("NaN", "{\"ttl\":NaN}".to_owned(), 400),
        (
            "the same key twice",
            "{\"ttl\":60,\"ttl\":\"x\"}".to_owned(),
            400,
        ),
        ("a zero byte", "{\"ttl\":\"\0\"}".to_owned(), 400),
    ];
    for (name, body, status) in cases {
        let start = Instant::now();
        let answer = answer_to(server, &with_body("", &body)).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: {answer}"
        );
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{name} took {:?}",
            start.elapsed()
        );
    }
}

/// Checks H7, H10: headers that are too many, too long, or contradictory.
async fn hostile_headers_are_rejected(server: &TestServer) {
    let many = "X-Header: 1\r\n".repeat(10_000);
    let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
    let body = "{\"ttl\":1}";
    let cases = [
        ("10,000 headers", with_body(&many, body)),
        ("a header of a megabyte", with_body(&long, body)),
        ("a header name with a space", with_body("X Header: 1\r\n", body)),
        ("a line break in a header", with_body("X-Header: a\rb\r\n", body)),
        ("a zero byte in a header", with_body("X-Header: a\0b\r\n", body)),
        ("two lengths", with_body("Content-Length: 3\r\n", body)),
        ("a negative length", b"POST /v2/interact HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n".to_vec()),
        (
            "an invalid chunk",
            b"POST /v2/interact HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
                .to_vec(),
        ),
        ("bytes that are not HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
    ];
    for (name, request) in cases {
        let answer = answer_to(server, &request).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{name}: {answer}"
        );
    }
}

/// Checks H7: a request with both a length and chunks, which could smuggle another request.
async fn a_second_request_is_not_smuggled(server: &TestServer) {
    let request = "POST /v2/interact HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 49\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v2/interact/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer);
    assert_eq!(
        answer.matches("HTTP/1.1 ").count(),
        1,
        "the second request was answered: {answer}"
    );
}

/// Checks H15: line breaks in every value that may be logged.
async fn log_lines_cannot_be_forged(server: &TestServer, session: &Session) {
    const FORGED: &str = "2026-01-01T00:00:00Z ERROR forged";
    let path = format!("/v2/interact/x%0a{}", FORGED.replace(' ', "%20"));
    server
        .send(server.request_outside(Method::GET, &path))
        .await;
    let origin = format!("x\r\n{FORGED}");
    session
        .execute(&json!({"code": format!("1\n// {FORGED}"), "origin": origin}))
        .await
        .ok();
    let path = format!(
        "GET /health?{FORGED} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \u{1b}[2K{FORGED}\r\n\r\n"
    );
    answer_to(server, path.as_bytes()).await;
    session
        .node(&format!(
            "await page.setContent('<title>x\\n{FORGED}</title>')"
        ))
        .await
        .ok();
    let log = server.output();
    let forged: Vec<&str> = log
        .lines()
        .filter(|line| line.trim_start().starts_with(FORGED))
        .collect();
    assert_eq!(forged, Vec::<&str>::new(), "{log}");
}

/// Checks H16: more concurrent requests than the server has resources for.
async fn a_flood_is_answered(server: &TestServer) {
    let requests = (0..500).map(|_| server.send(server.request_outside(Method::GET, "/health")));
    let start = Instant::now();
    for reply in join_all(requests).await {
        reply.ok();
    }
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "500 responses took {:?}",
        start.elapsed()
    );
}

pub async fn survive_hostile_requests(level: Level) {
    hearth_test_support::process::raise_open_file_limit();
    let server = level.server().setting("HEARTH_LOG", "debug").start().await;
    let session = server.session().await;
    idle_connections_block_no_client(&server).await;
    hostile_bodies_are_rejected(&server).await;
    hostile_headers_are_rejected(&server).await;
    a_second_request_is_not_smuggled(&server).await;
    log_lines_cannot_be_forged(&server, &session).await;
    a_flood_is_answered(&server).await;
    session.node("1 + 1").await.ok();
    server.stop().await;
}

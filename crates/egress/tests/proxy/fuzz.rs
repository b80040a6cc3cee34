//! A fuzz target for connections to the proxy. Whatever a client sends, another server gets only
//! complete requests with one length and one host.
//!
//! In an input, `ORIGIN` stands for the address of a listed server. All other targets are behind an
//! upstream proxy, which rejects everything, so that no input reaches a network.

use std::time::Duration;

use hearth_egress::Policy;
use hearth_fuzz::{Result, Target, Unstructured};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::HELLO;
use crate::harness::{Harness, Origin};

/// The time after which nothing else happens. The clock is paused, so it passes only while all
/// tasks wait.
const IDLE: Duration = Duration::from_millis(10);

const LINES: &[&str] = &[
    "Host: ORIGIN\r\n",
    "Host: other.example\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 05\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 6\r\n",
    "Content-Length: +5\r\n",
    "Content-Length : 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: chunked\n",
    "Connection: close\r\n",
    "Connection: keep-alive, host, content-length\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Proxy-Authorization: Basic x\r\n",
    "Expect: 100-continue\r\n",
    "TE: trailers\r\nTrailer: X\r\n",
    "X: a\r\n folded\r\n",
    "X: \u{e9}\r\n",
];

fn generate(random: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut text = String::new();
    for _ in 0..random.int_in_range(1..=3)? {
        text.push_str(random.choose(&["GET ", "POST ", "HEAD ", "OPTIONS ", "get ", "PRI "])?);
        text.push_str(random.choose(&[
            "http://ORIGIN/",
            "http://ORIGIN/a?b=c",
            "http://ORIGIN",
            "http://ORIGIN@other.example/",
            "http://other.example/",
            "http://127.0.0.1:1/",
            "//ORIGIN/",
            "/",
            "*",
        ])?);
        text.push_str(random.choose(&[" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/1.1\n"])?);
        for _ in 0..random.int_in_range(0..=5)? {
            text.push_str(random.choose(LINES)?);
        }
        text.push_str("\r\n");
        text.push_str(random.choose(&[
            "",
            "",
            "hello",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;x=y\r\nhello\r\n0\r\nX: y\r\n\r\n",
            "0\r\n\r\n",
            "5\nhello\n0\n\n",
        ])?);
    }
    Ok(text.into_bytes())
}

/// Sends bytes to the proxy, and returns everything that it answers.
async fn exchange(harness: &Harness, bytes: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = harness.client().await.stream.into_split();
    let mut answer = Vec::new();
    let sending = async {
        // The proxy may have closed the connection after an invalid part.
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let receiving =
        async { while let Ok(Ok(1..)) = timeout(IDLE, reading.read_buf(&mut answer)).await {} };
    tokio::select! {
        () = receiving => {}
        () = sending => {}
    }
    // Ends a request that is not complete.
    let _ = writing.shutdown().await;
    let _ = reading.read_to_end(&mut answer).await;
    answer
}

/// Asserts that a request has been written by the proxy. `request` may be cut at its end.
fn assert_unambiguous(request: &str, host: &str) {
    let Some((head, _)) = request.split_once("\r\n\r\n") else {
        assert!(request.is_empty(), "an incomplete head: {request:?}");
        return;
    };
    let head = head.to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    assert!(first.ends_with(" http/1.1"), "{request:?}");
    let mut lengths = 0;
    let mut hosts = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').expect("a field");
        match name {
            "host" => hosts.push(value.trim()),
            "content-length" => {
                assert!(value.trim().bytes().all(|byte| byte.is_ascii_digit()));
                lengths += 1;
            }
            "transfer-encoding" => {
                assert_eq!(value.trim(), "chunked");
                lengths += 1;
            }
            "te"
            | "trailer"
            | "keep-alive"
            | "proxy-authorization"
            | "proxy-connection"
            | "expect" => panic!("a hop-by-hop field: {request:?}"),
            _ => assert!(!line.contains(['\r', '\n', '\0']), "{request:?}"),
        }
    }
    assert!(lengths <= 1, "two lengths: {request:?}");
    assert_eq!(hosts.len(), 1, "{request:?}");
    assert!(host.is_empty() || hosts == [host], "{request:?}");
}

#[test]
fn servers_get_only_unambiguous_requests() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let target = Target {
        name: "proxy-connection",
        words: LINES,
        inputs: 300,
        max_bytes: 80 * 1024,
    };
    target.run(generate, |input| {
        runtime.block_on(async {
            let origin = Origin::responding(HELLO).await;
            let closed = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
            let upstream = Origin::responding(closed).await;
            let policy = Policy {
                allow: origin.address.to_string().parse().expect("a list"),
                upstream: Some(
                    format!("http://{}", upstream.address)
                        .parse()
                        .expect("an upstream"),
                ),
                ..Policy::default()
            };
            let harness = Harness::start(policy).await;
            let address = origin.address.to_string();
            let text = replace(input, b"ORIGIN", address.as_bytes());
            let answer = exchange(&harness, &text).await;
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1."),
                "{:?}",
                answer.escape_ascii().to_string()
            );
            harness.proxy.end();
            harness.tracker.close();
            harness.tracker.wait().await;
            // The bytes of a tunnel belong to the client.
            if !text.windows(7).any(|part| part == b"CONNECT") {
                for request in origin.requests() {
                    assert_unambiguous(&request, &address);
                }
                for request in upstream.requests() {
                    assert_unambiguous(&request, "");
                }
            }
        });
    });
}

fn replace(bytes: &[u8], wanted: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(wanted.len()).position(|part| part == wanted) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(by);
        rest = &rest[at + wanted.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

//! Request bodies: malformed, without a content type, and too large.

use hearth_test_support::description::assert_raw_answer_is_described;
use hearth_test_support::{PREFIXES, TestServer};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::UNKNOWN_ID;

#[tokio::test]
async fn malformed_json_and_bare_scalars_are_rejected() {
    let server = TestServer::builder().without_browser().start().await;
    let expected = json!({
        "success": false, "code": "BAD_REQUEST_INVALID_JSON", "error": "Bad request, malformed JSON",
    });
    for prefix in PREFIXES {
        let api = server.under(prefix);
        for path in [String::new(), format!("/{UNKNOWN_ID}/execute")] {
            for body in [
                "{",
                "{\"code\":\"1\"}x",
                "{'code':1}",
                "null",
                "5",
                "\"text\"",
                "true",
                "\u{feff}",
            ] {
                let reply = api.post_text(&path, body).await;
                assert_eq!(
                    (reply.status, &reply.body),
                    (400, &expected),
                    "{path} {body:?}"
                );
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_empty_body_creates_a_session_with_every_content_type() {
    let server = TestServer::start().await;
    for content_type in [None, Some("application/json"), Some("text/plain")] {
        for prefix in PREFIXES {
            let api = server.under(prefix);
            let request = api.request(Method::POST, "");
            let request = match content_type {
                Some(value) => request.header("content-type", value).body(""),
                None => request,
            };
            let created = api.send(request).await.ok();
            api.delete(created["id"].as_str().unwrap()).await.ok();
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn json_is_parsed_with_every_content_type() {
    let server = TestServer::builder().without_browser().start().await;
    for prefix in PREFIXES {
        let api = server.under(prefix);
        for path in [String::new(), format!("/{UNKNOWN_ID}/execute")] {
            for content_type in [
                None,
                Some("text/plain"),
                Some("application/x-www-form-urlencoded"),
            ] {
                let request = api.request(Method::POST, &path);
                let request = match content_type {
                    Some(value) => request.header("content-type", value),
                    None => request,
                };
                let body = "{\"ttl\":1,\"code\":\"\"}";
                let reply = api.send(request.body(body)).await;
                let field = if path.is_empty() { "ttl" } else { "code" };
                assert_eq!(
                    (reply.status, &reply.body["details"][0]["path"]),
                    (400, &json!([field])),
                    "{content_type:?}: {}",
                    reply.text
                );
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_not_json_is_rejected_with_its_content_type() {
    let server = TestServer::builder().without_browser().start().await;
    let cases = [
        (Some("text/plain"), "not json", "text/plain"),
        (
            Some("application/x-www-form-urlencoded"),
            "ttl=60",
            "application/x-www-form-urlencoded",
        ),
        (Some("application/x-yaml"), "ttl: 60", "application/x-yaml"),
        (None, "ttl", "no content type"),
    ];
    for (content_type, body, named) in cases {
        let request = server.request(Method::POST, "");
        let request = match content_type {
            Some(value) => request.header("content-type", value),
            None => request,
        };
        let reply = server.send(request.body(body)).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert_eq!(reply.body["code"], "BAD_REQUEST_INVALID_JSON");
        assert!(reply.error().contains(named), "{}", reply.text);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_compressed_body_is_rejected_with_its_encoding() {
    let server = TestServer::builder().without_browser().start().await;
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        let request = server
            .request(Method::POST, "")
            .header("content-type", "application/json")
            .header("content-encoding", encoding)
            .body(&b"\x1f\x8b\x08"[..]);
        let reply = server.send(request).await;
        assert_eq!(reply.status, 400, "{}", reply.text);
        assert!(reply.error().contains(encoding), "{}", reply.text);
    }
    let plain = server
        .request(Method::POST, "")
        .header("content-encoding", "identity")
        .body("{\"ttl\":1}");
    assert_eq!(
        server.send(plain).await.body["details"][0]["path"],
        json!(["ttl"])
    );
    server.stop().await;
}

#[tokio::test]
async fn a_byte_order_mark_and_a_lone_surrogate_are_accepted() {
    let server = TestServer::builder().without_browser().start().await;
    for body in [
        "\u{feff}{\"ttl\":1}",
        "{\"ttl\":1,\"x\":\"\\ud83d\"}",
        "{\"ttl\":1,\"\\ude00\":0}",
    ] {
        let reply = server.post_text("", body).await;
        assert_eq!(
            reply.body["details"][0]["path"],
            json!(["ttl"]),
            "{}",
            reply.text
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_content_type_with_a_charset_is_json() {
    let server = TestServer::builder().without_browser().start().await;
    let request = server
        .request(Method::POST, "")
        .header("content-type", "application/json; charset=utf-8");
    assert_eq!(server.send(request.body("{\"ttl\":1}")).await.status, 400);
    server.stop().await;
}

/// Sends a whole request before reading the response, as most clients do.
async fn send_blindly(
    server: &TestServer,
    head: &str,
    chunk: &[u8],
    chunks: usize,
    end: &[u8],
) -> String {
    let address = server.address();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let key = server.key().unwrap_or("any");
    let head = format!(
        "POST /v2/interact HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n{head}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for sent in 0..chunks {
        let outcome = stream.write_all(chunk).await;
        outcome.unwrap_or_else(|error| {
            panic!("the server closed the connection after {sent} of {chunks} chunks: {error}")
        });
    }
    stream.write_all(end).await.unwrap();
    let mut answer = Vec::new();
    // The server may keep the connection or close it; the client reads to the end of the JSON.
    while !answer.ends_with(b"}") {
        assert_ne!(
            stream.read_buf(&mut answer).await.unwrap(),
            0,
            "incomplete response: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    let answer = String::from_utf8(answer).unwrap();
    assert_raw_answer_is_described(&Method::POST, "/v2/interact", &answer);
    answer
}

#[tokio::test]
async fn a_client_can_read_the_rejection_of_a_too_large_body_while_it_still_sends() {
    const CHUNK: usize = 64 << 10;
    const CHUNKS: usize = 16 << 4;
    let server = TestServer::builder().without_browser().start().await;
    let plain = vec![b' '; CHUNK];
    let length = format!("Content-Length: {}", CHUNK * CHUNKS);
    let chunked = [format!("{CHUNK:x}\r\n").as_bytes(), &plain, b"\r\n"].concat();
    let cases = [
        (length.as_str(), &plain, &b""[..]),
        ("Transfer-Encoding: chunked", &chunked, &b"0\r\n\r\n"[..]),
    ];
    for (head, chunk, end) in cases {
        let sending = send_blindly(&server, head, chunk, CHUNKS, end);
        let answer = tokio::time::timeout(std::time::Duration::from_secs(20), sending)
            .await
            .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(
            answer.ends_with(r#"{"success":false,"error":"Request body is too large"}"#),
            "{answer}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_with_a_too_large_content_length_is_rejected_before_it_is_sent() {
    let server = TestServer::builder().without_browser().start().await;
    let huge = "Content-Length: 10000000000";
    for head in [
        huge.to_owned(),
        "Expect: 100-continue\r\nContent-Length: 20000000".to_owned(),
    ] {
        let sending = send_blindly(&server, &head, b"", 0, b"");
        let answer = tokio::time::timeout(std::time::Duration::from_secs(5), sending)
            .await
            .expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_body_just_below_the_limit_is_read() {
    let server = TestServer::start().await;
    let padding = "x".repeat(9 << 20);
    let created = server
        .create(&json!({"ttl": 60, "padding": padding}))
        .await
        .ok();
    server.delete(created["id"].as_str().unwrap()).await.ok();
    server.stop().await;
}

//! Tests request smuggling: requests that two parsers could split differently are rejected or
//! rewritten.

use crate::HELLO;
use crate::harness::{Harness, Origin};

/// The placeholder for the origin's address in the requests below.
const ORIGIN: &str = "ORIGIN";

#[tokio::test]
async fn an_ambiguous_request_is_rejected() {
    let origin = Origin::responding(HELLO).await;
    let harness = Harness::allowing(&origin.address.to_string()).await;
    for request in [
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello!",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n",
        "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n",
        "GET http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nX\0: a\r\n\r\n",
        "GET  http://ORIGIN/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://ORIGIN/a b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://user:pass@ORIGIN/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET http://ORIGIN@127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "GET https://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "GET ftp://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT http://ORIGIN/ HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT user@ORIGIN HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT 127.0.0.1 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT 127.1:80 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT 0x7f000001:80 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT [127.0.0.1]:80 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT [::1%25lo]:80 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "CONNECT a..b:80 HTTP/1.1\r\nHost: ORIGIN\r\n\r\n",
        "GET http://ORIGIN/ HTTP/2.0\r\nHost: x\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\r\n\r\n",
    ] {
        let text = request.replace(ORIGIN, &origin.address.to_string());
        let response = harness.request(&text).await;
        assert!(
            response.starts_with("HTTP/1.1 400"),
            "{request:?}: {response:?}"
        );
    }
    assert_eq!(origin.requests(), Vec::<String>::new());
}

/// Requests that the parser can repair (a repeated length, a length beside chunks) arrive repaired,
/// and nothing follows them.
#[tokio::test]
async fn a_request_arrives_with_one_length_and_alone() {
    for request in [
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET http://ORIGIN/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET http://ORIGIN/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nHost: y\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nConnection: transfer-encoding, host\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = Origin::responding(HELLO).await;
        let harness = Harness::allowing(&origin.address.to_string()).await;
        let mut client = harness.client().await;
        client
            .send(&request.replace(ORIGIN, &origin.address.to_string()))
            .await;
        client.stream.set_zero_linger().expect("set");
        let response = client.response().await;
        assert!(
            response.starts_with("HTTP/1.1 200"),
            "{request:?}: {response:?}"
        );
        let got = origin.requests();
        assert_eq!(got.len(), 1, "{request:?}: {got:?}");
        let head = got[0]
            .split("\r\n\r\n")
            .next()
            .expect("a head")
            .to_ascii_lowercase();
        let lengths =
            head.matches("content-length:").count() + head.matches("transfer-encoding:").count();
        assert_eq!(
            (lengths, head.matches("host:").count()),
            (1, 1),
            "{request:?}: {got:?}"
        );
        assert!(
            got[0].contains("hello") && !got[0].contains("smuggled"),
            "{got:?}"
        );
    }
}

#[tokio::test]
async fn heads_are_limited() {
    let origin = Origin::responding(HELLO).await;
    let harness = Harness::allowing(&origin.address.to_string()).await;
    let long = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        origin.url("/"),
        "a".repeat(100_000)
    );
    assert!(harness.request(&long).await.starts_with("HTTP/1.1 431"));
    let many = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n",
        origin.url("/"),
        "X: 1\r\n".repeat(5000)
    );
    assert!(harness.request(&many).await.starts_with("HTTP/1.1 431"));
    assert_eq!(origin.requests(), Vec::<String>::new());
    let endless =
        Origin::responding(&format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20))).await;
    let harness = Harness::allowing(&endless.address.to_string()).await;
    assert!(
        harness
            .get(&endless.url("/"))
            .await
            .starts_with("HTTP/1.1 502")
    );
}

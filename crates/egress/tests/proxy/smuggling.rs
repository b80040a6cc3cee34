//! Requests that two readers could take apart differently: refused, or written anew so that nobody
//! can.

use crate::HELLO;
use crate::fixture::{Origin, Scene};

/// What stands in for the origin's address in a request below.
const ORIGIN: &str = "ORIGIN";

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_refused() {
    let origin = Origin::saying(HELLO).await;
    let scene = Scene::allowing(&origin.address.to_string()).await;
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
        let answer = scene.ask(&text).await;
        assert!(
            answer.starts_with("HTTP/1.1 400"),
            "{request:?}: {answer:?}"
        );
    }
    assert_eq!(origin.got(), Vec::<String>::new());
}

/// What the reader mends (one length said twice, a length beside chunks) arrives mended, and
/// nothing follows it.
#[tokio::test]
async fn a_request_arrives_with_one_length_and_alone() {
    for request in [
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET http://ORIGIN/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET http://ORIGIN/smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello",
        "POST http://ORIGIN/ HTTP/1.1\r\nHost: x\r\nConnection: transfer-encoding, host\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = Origin::saying(HELLO).await;
        let scene = Scene::allowing(&origin.address.to_string()).await;
        let mut program = scene.program().await;
        program
            .say(&request.replace(ORIGIN, &origin.address.to_string()))
            .await;
        program.stream.set_zero_linger().expect("set");
        let answer = program.answer().await;
        assert!(
            answer.starts_with("HTTP/1.1 200"),
            "{request:?}: {answer:?}"
        );
        let got = origin.got();
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
async fn heads_have_a_bound() {
    let origin = Origin::saying(HELLO).await;
    let scene = Scene::allowing(&origin.address.to_string()).await;
    let long = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        origin.url("/"),
        "a".repeat(100_000)
    );
    assert!(scene.ask(&long).await.starts_with("HTTP/1.1 431"));
    let many = format!(
        "GET {} HTTP/1.1\r\nHost: x\r\n{}\r\n",
        origin.url("/"),
        "X: 1\r\n".repeat(5000)
    );
    assert!(scene.ask(&many).await.starts_with("HTTP/1.1 431"));
    assert_eq!(origin.got(), Vec::<String>::new());
    let endless = Origin::saying(&format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20))).await;
    let scene = Scene::allowing(&endless.address.to_string()).await;
    assert!(
        scene
            .get(&endless.url("/"))
            .await
            .starts_with("HTTP/1.1 502")
    );
}

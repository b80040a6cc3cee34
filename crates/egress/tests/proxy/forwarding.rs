//! Tests plain requests, `WebSocket` connections and long responses.

use hearth_egress::{Egress, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::HELLO;
use crate::harness::{Harness, Origin, ScriptedResolver};

#[tokio::test]
async fn a_request_is_forwarded_without_its_hop_by_hop_fields() {
    let origin = Origin::responding(HELLO).await;
    let harness = Harness::allowing(&origin.address.to_string()).await;
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: elsewhere.example\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nConnection: x-private\r\nX-Private: 1\r\nX-Kept: 1\r\nContent-Length: 3\r\n\r\nabc",
        origin.url("/path?query")
    );
    let response = harness.request(&request).await;
    assert!(
        response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nhello"),
        "{response}"
    );
    assert!(
        response.contains("X-Own: 1") && !response.contains("Keep-Alive"),
        "{response}"
    );
    let got = &origin.requests()[0];
    assert!(
        got.starts_with("POST /path?query HTTP/1.1\r\n") && got.ends_with("\r\n\r\nabc"),
        "{got}"
    );
    assert!(
        got.contains(&format!("Host: {}\r\n", origin.address)) && got.contains("X-Kept: 1"),
        "{got}"
    );
    for field in ["roxy", "rivate", "elsewhere"] {
        assert!(!got.contains(field), "{got}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_blocked_address_is_denied() {
    let inner = Origin::responding(HELLO).await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        inner.url("/")
    );
    let outer = Origin::responding(&redirect).await;
    let harness = Harness::allowing(&outer.address.to_string()).await;
    // Uses one connection, like a browser.
    let mut client = harness.client().await;
    client
        .send(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
            outer.url("/")
        ))
        .await;
    let response = client.response().await;
    assert!(
        response.starts_with("HTTP/1.1 302 Found") && response.contains(&inner.url("/")),
        "{response}"
    );
    client
        .send(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n\r\n",
            inner.url("/")
        ))
        .await;
    let response = client.response().await;
    assert!(response.starts_with("HTTP/1.1 403 Forbidden"), "{response}");
    assert!(
        response.contains(&format!("HEARTH_EGRESS_ALLOW={}", inner.address)),
        "{response}"
    );
    assert_eq!((outer.requests().len(), inner.requests().len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_resolved_once_and_checked_each_time() {
    let good = Origin::at("127.0.0.2:0", HELLO).await;
    let port = good.address.port();
    let bad = Origin::at(&format!("127.0.0.1:{port}"), HELLO).await;
    let resolver =
        ScriptedResolver::of(&[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"]]);
    let policy = Policy {
        allow: format!("127.0.0.2:{port}").parse().expect("a list"),
        ..Policy::default()
    };
    let harness = Harness::with_egress(Egress::with_resolver(policy, resolver.clone())).await;
    let url = format!("http://rebinding.example:{port}/");
    assert!(harness.get(&url).await.starts_with("HTTP/1.1 200"));
    assert_eq!(resolver.lookups(), 1);
    for _ in ["another address", "another address beside the good one"] {
        let response = harness.get(&url).await;
        assert!(response.starts_with("HTTP/1.1 403"), "{response}");
        // The denial omits the resolved address.
        assert!(!response.contains("127.0.0.1"), "{response}");
    }
    let tunnel = harness
        .request(&format!(
            "CONNECT rebinding.example:{port} HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    assert!(tunnel.starts_with("HTTP/1.1 403"), "{tunnel}");
    assert_eq!(
        (
            good.requests().len(),
            bad.requests().len(),
            resolver.lookups()
        ),
        (1, 0, 4)
    );
}

#[tokio::test]
async fn a_websocket_is_forwarded_and_other_protocols_are_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let mut client = harness.client().await;
    client
        .send(&format!(
            "GET http://{address}/socket HTTP/1.1\r\nHost: {address}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
        ))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    let mut head = vec![0; 4096];
    let count = served.read(&mut head).await.expect("a head");
    let head = String::from_utf8_lossy(&head[..count]).to_ascii_lowercase();
    assert!(
        head.contains("upgrade: websocket") && head.contains("sec-websocket-key: k"),
        "{head}"
    );
    let granted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\nearly";
    served.write_all(granted.as_bytes()).await.expect("sent");
    let response = client.read_until("early").await.to_ascii_lowercase();
    assert!(
        response.starts_with("http/1.1 101") && response.contains("sec-websocket-accept: a"),
        "{response}"
    );
    client.send("ping").await;
    let mut ping = [0; 4];
    served.read_exact(&mut ping).await.expect("bytes");
    assert_eq!(&ping, b"ping");

    let origin = Origin::responding(HELLO).await;
    let harness = Harness::allowing(&origin.address.to_string()).await;
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n";
    harness
        .request(&format!(
            "GET {} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n",
            origin.url("/")
        ))
        .await;
    assert!(
        !origin.requests()[0].to_ascii_lowercase().contains("h2c"),
        "{:?}",
        origin.requests()
    );
}

#[tokio::test]
async fn bodies_are_forwarded_while_they_are_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let mut client = harness.client().await;
    client
        .send(&format!("PUT http://{address}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    let mut got = Vec::new();
    while !got.ends_with(b"first\r\n") {
        served.read_buf(&mut got).await.expect("bytes");
    }
    served
        .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
        .await
        .expect("sent");
    client.read_until("half\r\n").await;
    client.send("0\r\n\r\n").await;
    while !got.ends_with(b"0\r\n\r\n") {
        served.read_buf(&mut got).await.expect("bytes");
    }
    served.write_all(b"0\r\n\r\n").await.expect("sent");
    client.read_until("0\r\n\r\n").await;
}

/// Covers spliced responses: longer than a mebibyte and with a declared length.
#[tokio::test]
async fn a_long_response_arrives_complete_and_a_truncated_one_truncated() {
    let numbers: Vec<String> = (0..600_000).map(|number| number.to_string()).collect();
    let body = numbers.join(" ");
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Own: 1\r\nKeep-Alive: 5\r\n\r\n",
        body.len()
    );
    for (sent, is_complete) in [
        (format!("{head}{body}AND MORE"), true),
        (format!("{head}{}", &body[..2_000_000]), false),
    ] {
        let origin = Origin::responding(&sent).await;
        let harness = Harness::allowing(&origin.address.to_string()).await;
        let mut client = harness.client().await;
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", origin.url("/"));
        // The proxy does not read a second request, because a spliced response ends the connection.
        client.send(&format!("{request}{request}")).await;
        let response = client.read_to_end().await;
        let (head, got) = response.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        assert!(
            head.starts_with("http/1.1 200 ok\r\n") && head.contains("x-own: 1"),
            "{head}"
        );
        assert!(
            head.contains("connection: close") && !head.contains("keep-alive"),
            "{head}"
        );
        assert_eq!(
            (got == body, got == &body[..2_000_000]),
            (is_complete, !is_complete),
            "{} bytes",
            got.len()
        );
        assert!(harness.proxy.traffic().down_bytes >= got.len() as u64);
    }
}

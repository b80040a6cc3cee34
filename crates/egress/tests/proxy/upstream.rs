//! Tests the upstream proxy.

use hearth_egress::{Egress, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::HELLO;
use crate::harness::{Harness, Origin, ScriptedResolver};

fn policy_with_upstream(proxy: &str, allow: &str) -> Policy {
    let upstream = Some(
        format!("http://user:pass@{proxy}")
            .parse()
            .expect("a proxy"),
    );
    Policy {
        upstream,
        allow: allow.parse().expect("a list"),
        ..Policy::default()
    }
}

#[tokio::test]
async fn plain_requests_go_to_the_upstream_proxy_with_its_credentials() {
    let proxy = Origin::responding(HELLO).await;
    let listed = Origin::responding(HELLO).await;
    let policy = policy_with_upstream(&proxy.address.to_string(), &listed.address.to_string());
    // The server does not resolve names itself.
    let resolver = ScriptedResolver::of(&[]);
    let harness = Harness::with_egress(Egress::with_resolver(policy, resolver.clone())).await;
    let request = "GET http://a.example:8080/path?query HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic b3duCg==\r\n\r\n";
    assert!(harness.request(request).await.starts_with("HTTP/1.1 200"));
    let got = proxy.requests().remove(0);
    assert!(
        got.starts_with("GET http://a.example:8080/path?query HTTP/1.1\r\n"),
        "{got}"
    );
    assert!(
        got.contains("Basic dXNlcjpwYXNz") && !got.contains("b3duCg"),
        "{got}"
    );
    assert!(
        got.to_ascii_lowercase()
            .contains("host: a.example:8080\r\n"),
        "{got}"
    );
    assert_eq!(resolver.lookups(), 0);

    for url in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "http://localhost/",
        "http://a.internal/",
        "http://a.example:25/",
    ] {
        assert!(harness.get(url).await.starts_with("HTTP/1.1 403"), "{url}");
    }
    assert_eq!(proxy.requests().len(), 1);

    assert!(
        harness
            .get(&listed.url("/direct"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        listed.requests()[0].starts_with("GET /direct HTTP/1.1")
            && !listed.requests()[0].contains("Basic"),
        "{:?}",
        listed.requests()
    );
}

#[tokio::test]
async fn tunnels_go_through_the_upstream_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let harness = Harness::start(policy_with_upstream(&address, "")).await;
    let mut client = harness.client().await;
    client
        .send("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    let (mut proxy, _) = listener.accept().await.expect("connected");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        proxy.read_buf(&mut head).await.expect("bytes");
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(
        head.starts_with("CONNECT a.example:443 HTTP/1.1\r\n")
            && head.contains("Basic dXNlcjpwYXNz"),
        "{head}"
    );
    // The first bytes arrive together with the response.
    proxy
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\nearly")
        .await
        .expect("sent");
    client.read_until("HTTP/1.1 200 OK\r\n\r\nearly").await;
    client.send("ping").await;
    let mut ping = [0; 4];
    proxy.read_exact(&mut ping).await.expect("bytes");
    assert_eq!(&ping, b"ping");
}

#[tokio::test]
async fn a_response_from_the_upstream_proxy_itself_is_not_passed_on() {
    let denied = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let proxy = Origin::responding(denied).await;
    let harness = Harness::start(policy_with_upstream(&proxy.address.to_string(), "")).await;
    let tunnel = harness
        .request("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    for response in [harness.get("http://a.example/").await, tunnel] {
        assert!(
            response.starts_with("HTTP/1.1 502") && response.contains("HEARTH_EGRESS_PROXY"),
            "{response}"
        );
        assert!(!response.contains("Authenticate"), "{response}");
    }
}

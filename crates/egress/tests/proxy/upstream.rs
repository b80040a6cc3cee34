//! A proxy beyond ours.

use hearth_egress::{Egress, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::HELLO;
use crate::fixture::{Origin, Scene, Script};

fn beyond(proxy: &str, allow: &str) -> Policy {
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
async fn plain_requests_go_whole_to_the_proxy_beyond_with_its_password() {
    let proxy = Origin::saying(HELLO).await;
    let listed = Origin::saying(HELLO).await;
    let policy = beyond(&proxy.address.to_string(), &listed.address.to_string());
    // Names are not resolved here.
    let resolver = Script::of(&[]);
    let scene = Scene::over(Egress::with_resolver(policy, resolver.clone())).await;
    let request = "GET http://a.example:8080/path?query HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic b3duCg==\r\n\r\n";
    assert!(scene.ask(request).await.starts_with("HTTP/1.1 200"));
    let got = proxy.got().remove(0);
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
    assert_eq!(resolver.asked(), 0);

    for url in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "http://localhost/",
        "http://a.internal/",
        "http://a.example:25/",
    ] {
        assert!(scene.get(url).await.starts_with("HTTP/1.1 403"), "{url}");
    }
    assert_eq!(proxy.got().len(), 1);

    assert!(
        scene
            .get(&listed.url("/direct"))
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        listed.got()[0].starts_with("GET /direct HTTP/1.1") && !listed.got()[0].contains("Basic"),
        "{:?}",
        listed.got()
    );
}

#[tokio::test]
async fn tunnels_go_through_the_proxy_beyond() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let scene = Scene::set(beyond(&address, "")).await;
    let mut program = scene.program().await;
    program
        .say("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
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
    // The first bytes come with the answer.
    proxy
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\nearly")
        .await
        .expect("sent");
    program.hears("HTTP/1.1 200 OK\r\n\r\nearly").await;
    program.say("ping").await;
    let mut ping = [0; 4];
    proxy.read_exact(&mut ping).await.expect("bytes");
    assert_eq!(&ping, b"ping");
}

#[tokio::test]
async fn a_proxy_beyond_that_refuses_is_not_taken_for_the_site() {
    let denied = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let proxy = Origin::saying(denied).await;
    let scene = Scene::set(beyond(&proxy.address.to_string(), "")).await;
    let tunnel = scene
        .ask("CONNECT a.example:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        .await;
    for answer in [scene.get("http://a.example/").await, tunnel] {
        assert!(
            answer.starts_with("HTTP/1.1 502") && answer.contains("HEARTH_EGRESS_PROXY"),
            "{answer}"
        );
        assert!(!answer.contains("Authenticate"), "{answer}");
    }
}

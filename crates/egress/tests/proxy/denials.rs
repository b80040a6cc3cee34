//! Tests denied and failed requests.

use hearth_egress::{ClusterTargets, Egress, Mode, Policy};
use tokio::net::TcpListener;

use crate::HELLO;
use crate::harness::{Harness, Origin, ScriptedResolver};

#[tokio::test]
async fn a_denied_tunnel_explains_itself_in_its_first_line() {
    let harness = Harness::allowing("").await;
    for (target, why) in [
        (
            "127.0.0.1:3000",
            "it is the server's own machine; set HEARTH_EGRESS_ALLOW=127.0.0.1:3000 to allow it",
        ),
        ("[::1]:3000", "HEARTH_EGRESS_ALLOW=[::1]:3000 to allow it"),
        (
            "[::ffff:10.0.0.1]:443",
            "HEARTH_EGRESS_ALLOW=10.0.0.1:443 to allow it",
        ),
        ("169.254.169.254:80", "HEARTH_EGRESS_ALLOW_METADATA=true"),
        (
            "metadata.google.internal:80",
            "HEARTH_EGRESS_ALLOW=metadata.google.internal:80",
        ),
        ("8.8.8.8:25", "HEARTH_EGRESS_ALLOW=8.8.8.8:25"),
    ] {
        let response = harness
            .request(&format!(
                "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"
            ))
            .await;
        let first = response.lines().next().expect("a line");
        assert!(
            first.starts_with("HTTP/1.1 403 ") && first.contains(why),
            "{target}: {first}"
        );
    }
}

/// Chromium rejects a response with two different values of this field, which it would otherwise
/// show as the page. It reports a denied tunnel itself.
#[tokio::test]
async fn a_failed_request_is_text_that_browsers_reject() {
    let harness = Harness::allowing("").await;
    for url in ["http://127.0.0.1:3000/?secret", "http://a..example/?secret"] {
        let request = format!("GET {url} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n");
        let response = harness.request(&request).await;
        assert!(
            response.contains("text/plain") && !response.contains("secret"),
            "{response}"
        );
        let fields = response.to_ascii_lowercase();
        for field in [
            "content-disposition: inline\r\n",
            "content-disposition: attachment\r\n",
        ] {
            assert!(fields.contains(field), "{response}");
        }
    }
    for target in ["127.0.0.1:3000", "a..example:443"] {
        let tunnel = harness
            .request(&format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n"))
            .await;
        let fields = tunnel.to_ascii_lowercase();
        assert!(!fields.contains("content-disposition"), "{tunnel}");
    }
}

#[tokio::test]
async fn the_cluster_is_never_reachable() {
    let (database, other) = (
        Origin::responding(HELLO).await,
        Origin::responding(HELLO).await,
    );
    for policy in [
        Policy {
            allow: "127.0.0.0/8:*,localhost:*,db.example:*"
                .parse()
                .expect("a list"),
            ..Policy::default()
        },
        Policy {
            mode: Mode::Open,
            upstream: Some("http://proxy.example:3128".parse().expect("a proxy")),
            ..Policy::default()
        },
    ] {
        let harness = Harness::start(policy).await;
        harness.egress.set_cluster_targets(ClusterTargets {
            addresses: [database.address].into(),
            names: [("db.example".to_owned(), 5432)].into(),
        });
        let port = database.address.port();
        for target in [
            format!("127.0.0.1:{port}"),
            format!("127.0.0.9:{port}"),
            format!("localhost:{port}"),
            format!("[::ffff:127.0.0.1]:{port}"),
            "db.example:5432".to_owned(),
        ] {
            let response = harness.get(&format!("http://{target}/")).await;
            assert!(
                response.starts_with("HTTP/1.1 403")
                    && response.contains("a part of this Hearth cluster.")
                    && response.contains("No setting"),
                "{target}: {response}"
            );
            let connect = format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            let response = harness.request(&connect).await;
            assert!(response.starts_with("HTTP/1.1 403"), "{target}: {response}");
        }
        let response = harness.get(&other.url("/")).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    }
    assert_eq!(database.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn the_server_itself_is_never_reachable() {
    let (server, other) = (
        Origin::responding(HELLO).await,
        Origin::responding(HELLO).await,
    );
    for policy in [
        Policy {
            allow: "127.0.0.0/8:*,localhost:*,[::1]:*".parse().expect("a list"),
            ..Policy::default()
        },
        Policy {
            mode: Mode::Open,
            allow_metadata: true,
            ..Policy::default()
        },
    ] {
        let harness = Harness::start(policy).await;
        harness.egress.add_self_port(server.address.port());
        let neighbour = harness.egress.open(&harness.tracker).await.expect("a port");
        for port in [
            server.address.port(),
            harness.proxy.port(),
            neighbour.port(),
        ] {
            for host in [
                "127.0.0.1",
                "127.0.0.9",
                "localhost",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "0.0.0.0",
            ] {
                let response = harness.get(&format!("http://{host}:{port}/")).await;
                assert!(
                    response.starts_with("HTTP/1.1 403") && response.contains("No setting"),
                    "{host}:{port}: {response}"
                );
                let response = harness
                    .request(&format!(
                        "CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n"
                    ))
                    .await;
                assert!(
                    response.starts_with("HTTP/1.1 403"),
                    "{host}:{port}: {response}"
                );
            }
        }
        assert!(
            harness
                .get(&other.url("/"))
                .await
                .starts_with("HTTP/1.1 200")
        );
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn everything_is_denied_when_egress_is_off() {
    let origin = Origin::responding(HELLO).await;
    let allow = origin.address.to_string().parse().expect("a list");
    let harness = Harness::start(Policy {
        mode: Mode::Off,
        allow,
        ..Policy::default()
    })
    .await;
    let response = harness.get(&origin.url("/")).await;
    assert!(
        response.starts_with("HTTP/1.1 403") && response.contains("HEARTH_EGRESS=off"),
        "{response}"
    );
    assert_eq!(origin.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn unreachable_targets_are_distinguished_from_denied_ones() {
    let harness = Harness::with_egress(Egress::with_resolver(
        Policy {
            mode: Mode::Open,
            ..Policy::default()
        },
        ScriptedResolver::of(&[]),
    ))
    .await;
    let response = harness.get("http://nowhere.example/").await;
    assert!(
        response.starts_with("HTTP/1.1 502") && response.contains("the name does not resolve"),
        "{response}"
    );
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let response = harness.get(&format!("http://{free}/")).await;
    assert!(
        response.starts_with("HTTP/1.1 502") && response.contains("the connection failed"),
        "{response}"
    );
    let silent = Origin::responding("").await;
    let response = harness.get(&silent.url("/")).await;
    assert!(
        response.starts_with("HTTP/1.1 502") && response.contains("without a valid response"),
        "{response}"
    );
}

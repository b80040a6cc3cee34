//! Tests the rules of single sessions: blocked hosts, and a proxy of the session's own.

use hearth_egress::{BlockList, Egress, Mode, Policy, SessionRules};

use crate::HELLO;
use crate::harness::{Harness, Origin};

/// Starts a proxy that blocks `ads.example`, below which a proxy serves every other host.
async fn blocking(upstream: &Origin, allow: &str) -> Harness {
    let policy = Policy {
        upstream: Some(
            format!("http://{}", upstream.address)
                .parse()
                .expect("a proxy"),
        ),
        allow: allow.parse().expect("a list"),
        ..Policy::default()
    };
    let hosts = BlockList::default().with_hosts("0.0.0.0 ads.example");
    let egress = Egress::new(policy).with_block_list(hosts.expect("a list"));
    Harness::with_egress(egress).await
}

fn rules() -> SessionRules {
    SessionRules {
        blocks_ads: true,
        ..SessionRules::default()
    }
}

#[tokio::test]
async fn hosts_of_advertisements_are_denied_and_do_not_count_as_denials() {
    let upstream = Origin::responding(HELLO).await;
    let harness = blocking(&upstream, "").await;
    harness.proxy.set_rules(rules());
    for host in ["ads.example", "cdn.ads.example:8080", "ADS.example."] {
        let response = harness.get(&format!("http://{host}/banner")).await;
        assert!(response.starts_with("HTTP/1.1 403"), "{host}: {response}");
        assert!(response.contains("blockAds: false"), "{host}: {response}");
    }
    let tunnel = "CONNECT ads.example:443 HTTP/1.1\r\nHost: ads.example:443\r\n\r\n";
    assert!(harness.request(tunnel).await.starts_with("HTTP/1.1 403"));
    assert!(upstream.requests().is_empty());
    assert!(
        harness
            .get("http://a.example/")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        harness
            .egress
            .denials()
            .iter()
            .all(|(_, count)| *count == 0)
    );
    let lookup = harness.proxy.denial_lookup();
    let blocked = lookup.describe_for(Some("https://ads.example/"));
    assert!(blocked.is_some_and(|line| line.contains("blocks advertisements")));
    assert_eq!(lookup.describe_for(Some("https://a.example/")), None);
}

#[tokio::test]
async fn a_session_without_the_rule_reaches_every_host() {
    let upstream = Origin::responding(HELLO).await;
    let harness = blocking(&upstream, "").await;
    assert!(
        harness
            .get("http://ads.example/")
            .await
            .starts_with("HTTP/1.1 200")
    );
    harness.proxy.set_rules(SessionRules::default());
    assert!(
        harness
            .get("http://ads.example/")
            .await
            .starts_with("HTTP/1.1 200")
    );
    // The first rules count.
    harness.proxy.set_rules(rules());
    assert!(
        harness
            .get("http://ads.example/")
            .await
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn the_allow_list_takes_precedence_over_blocked_hosts() {
    let upstream = Origin::responding(HELLO).await;
    let harness = blocking(&upstream, "ads.example:8080").await;
    harness.proxy.set_rules(rules());
    let response = harness.get("http://ads.example:8080/").await;
    // It is a direct connection, and the name does not resolve.
    assert!(!response.starts_with("HTTP/1.1 403"), "{response}");
    assert!(
        harness
            .get("http://ads.example/")
            .await
            .starts_with("HTTP/1.1 403")
    );
}

#[tokio::test]
async fn a_session_can_have_a_proxy_of_its_own() {
    let (shared, own) = (
        Origin::responding(HELLO).await,
        Origin::responding(HELLO).await,
    );
    let harness = blocking(&shared, "").await;
    harness.proxy.set_rules(SessionRules {
        upstream: Some(
            format!("http://user:pass@{}", own.address)
                .parse()
                .expect("a proxy"),
        ),
        ..SessionRules::default()
    });
    assert!(
        harness
            .get("http://a.example/")
            .await
            .starts_with("HTTP/1.1 200")
    );
    assert!(shared.requests().is_empty());
    let got = own.requests().remove(0);
    assert!(
        got.starts_with("GET http://a.example/ ") && got.contains("Basic dXNlcjpwYXNz"),
        "{got}"
    );
    // The policy still applies.
    assert!(
        harness
            .get("http://10.0.0.1/")
            .await
            .starts_with("HTTP/1.1 403")
    );
}

#[tokio::test]
async fn nothing_is_reached_through_a_session_proxy_when_egress_is_off() {
    let own = Origin::responding(HELLO).await;
    let harness = Harness::start(Policy {
        mode: Mode::Off,
        ..Policy::default()
    })
    .await;
    harness.proxy.set_rules(SessionRules {
        upstream: Some(format!("http://{}", own.address).parse().expect("a proxy")),
        ..SessionRules::default()
    });
    assert!(
        harness
            .get("http://a.example/")
            .await
            .starts_with("HTTP/1.1 403")
    );
    assert!(own.requests().is_empty());
}

//! Creating, listing, reading and deleting sessions, and the requests that are rejected.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bodies;

use std::collections::BTreeSet;

use futures_util::future::join_all;
use hearth_test_support::{PREFIXES, TestServer};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

const UNKNOWN_ID: &str = "01920000-0000-7000-8000-000000000000";
const NOT_FOUND: &str = "Browser session not found.";
const UNKNOWN_BELOW: &str = "Not Found: Hearth has no such path below /v2/interact and /v2/browser. \
    GET /openapi.json describes all paths.";
const UNKNOWN_API: &str = "Not Found: Hearth provides /v2/scrape, /v2/interact, /v2/browser and \
    /v2/concurrency-check. For the other endpoints, run it beside a self-hosted Firecrawl. The file \
    docs/deployment.md in Hearth's source describes how.";

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Parses a time and asserts that it has milliseconds and `Z`.
fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap();
    assert_eq!(
        (text.len(), text.ends_with('Z')),
        ("2026-01-01T00:00:00.000Z".len(), true),
        "{text}"
    );
    text.parse().unwrap()
}

fn milliseconds(from: &Value, to: &Value) -> i64 {
    time(to).as_millisecond() - time(from).as_millisecond()
}

#[tokio::test]
async fn a_created_session_has_exactly_the_documented_keys() {
    let server = TestServer::start().await;
    for prefix in PREFIXES {
        let created = server.under(prefix).create(&json!({"ttl": 60})).await.ok();
        let expected = [
            "success",
            "id",
            "cdpUrl",
            "liveViewUrl",
            "interactiveLiveViewUrl",
            "expiresAt",
        ];
        assert_eq!(keys(&created), BTreeSet::from(expected));
        let id: uuid::Uuid = created["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(id.get_version_num(), 7);
        let cdp_url = created["cdpUrl"].as_str().unwrap();
        assert!(
            cdp_url.starts_with(&format!("ws://{}/", server.address())),
            "{cdp_url}"
        );
        let live_view = format!("http://{}/live/{id}?token=", server.address());
        for link in ["liveViewUrl", "interactiveLiveViewUrl"] {
            assert!(
                created[link].as_str().unwrap().starts_with(&live_view),
                "{created}"
            );
        }
        time(&created["expiresAt"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn every_link_of_every_session_has_its_own_token() {
    let server = TestServer::start().await;
    let mut tokens = BTreeSet::new();
    for session in [server.session().await, server.session().await] {
        for link in ["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"] {
            let (_, token) = session.created[link]
                .as_str()
                .unwrap()
                .split_once("token=")
                .unwrap();
            assert!(token.len() >= 32, "{token}");
            tokens.insert(token.to_owned());
        }
    }
    assert_eq!(tokens.len(), 6);
    server.stop().await;
}

#[tokio::test]
async fn cdp_urls_start_with_the_public_url_if_there_is_one() {
    let server = TestServer::builder()
        .setting("HEARTH_PUBLIC_URL", "https://hearth.example")
        .start()
        .await;
    let session = server.session().await;
    assert!(
        session.cdp_url().starts_with("wss://hearth.example/"),
        "{}",
        session.cdp_url()
    );
    server.stop().await;
}

#[tokio::test]
async fn the_status_of_an_active_session_has_exactly_the_documented_keys() {
    let server = TestServer::start().await;
    let session = server.session_with(&json!({"ttl": 60})).await;
    for prefix in PREFIXES {
        let status = server.under(prefix).status(session.id()).await.ok();
        let links = ["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"];
        let rest = [
            "success",
            "id",
            "status",
            "createdAt",
            "lastActivity",
            "expiresAt",
        ];
        assert_eq!(keys(&status), links.into_iter().chain(rest).collect());
        assert_eq!(
            (&status["id"], &status["status"]),
            (&json!(session.id()), &json!("active"))
        );
        for key in links.iter().chain(&["expiresAt"]) {
            assert_eq!(status[key], session.created[key], "{key}");
        }
        assert_eq!(
            milliseconds(&status["createdAt"], &status["expiresAt"]),
            60_000
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn an_execution_updates_the_last_activity_but_not_the_expiry() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let before = session.status().await;
    session.bash("sleep 0.05").await.ok();
    session.bash("true").await.ok();
    let after = session.status().await;
    assert!(
        milliseconds(&before["lastActivity"], &after["lastActivity"]) >= 50,
        "{before} {after}"
    );
    assert_eq!(before["expiresAt"], after["expiresAt"]);
    server.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_newest_first_and_by_status() {
    let server = TestServer::start().await;
    let (first, second, third) = (
        server.session().await,
        server.session().await,
        server.session().await,
    );
    second.delete().await;
    let cases = [
        ("", vec![third.id(), second.id(), first.id()]),
        ("?status=active", vec![third.id(), first.id()]),
        ("?status=destroyed", vec![second.id()]),
    ];
    for prefix in PREFIXES {
        for (query, expected) in &cases {
            let list = server.under(prefix).list(query).await.ok();
            let ids: Vec<_> = list["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_str())
                .collect();
            assert_eq!(
                ids,
                expected.iter().map(|id| Some(*id)).collect::<Vec<_>>(),
                "{prefix}{query}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn list_items_of_destroyed_sessions_have_all_strings_too() {
    let server = TestServer::start().await;
    server.session_with(&json!({"streamWebView": false})).await;
    server.session().await.delete().await;
    let list = server.list("").await.ok();
    assert_eq!(keys(&list), BTreeSet::from(["success", "sessions"]));
    let items = list["sessions"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    let strings = [
        "id",
        "status",
        "cdpUrl",
        "liveViewUrl",
        "interactiveLiveViewUrl",
        "createdAt",
        "lastActivity",
    ];
    for item in items {
        assert_eq!(
            keys(item),
            strings.into_iter().chain(["streamWebView"]).collect()
        );
        for key in strings {
            assert!(item[key].is_string(), "{key} in {item}");
        }
        assert!(
            milliseconds(&item["createdAt"], &item["lastActivity"]) >= 0,
            "{item}"
        );
    }
    assert_eq!(
        (&items[0]["streamWebView"], &items[1]["streamWebView"]),
        (&json!(true), &json!(false))
    );
    server.stop().await;
}

#[tokio::test]
async fn deleting_twice_returns_the_same_values() {
    let server = TestServer::start().await;
    for prefix in PREFIXES {
        let api = server.under(prefix);
        let session = api.session().await;
        let first = session.delete().await;
        let duration = first["sessionDurationMs"].as_u64().unwrap();
        assert!(duration < 10_000, "{duration} ms");
        let expected = json!({
            "success": true, "status": "stopped", "sessionDurationMs": duration, "creditsBilled": 0,
            "cleanupQueued": true,
        });
        assert_eq!(first, expected);
        assert_eq!(session.delete().await, first);
        assert_eq!(session.status().await["sessionDurationMs"], json!(duration));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_session_rejects_code_and_still_has_a_status() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.delete().await;
    for prefix in PREFIXES {
        let api = server.under(prefix);
        let execute = api.execute(session.id(), &json!({"code": "1"})).await;
        execute.assert_error(410, "Browser session has been destroyed.");
        let status = api.status(session.id()).await.ok();
        assert_eq!(status["destroyedReason"], json!("deleted"), "{status}");
    }
    session.assert_destroyed("deleted").await;
    server.stop().await;
}

#[tokio::test]
async fn unknown_sessions_are_not_found_whatever_their_id_looks_like() {
    let server = TestServer::builder().without_browser().start().await;
    for prefix in PREFIXES {
        let api = server.under(prefix);
        for id in [
            UNKNOWN_ID,
            "not-a-uuid",
            "1",
            "%20",
            "%00",
            "%2f",
            "%ff",
            "prompt;drop",
            &"a".repeat(2000),
        ] {
            api.status(id).await.assert_error(404, NOT_FOUND);
            api.delete(id).await.assert_error(404, NOT_FOUND);
            api.execute(id, &json!({"code": "1"}))
                .await
                .assert_error(404, NOT_FOUND);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_answered_in_json() {
    let server = TestServer::builder().without_browser().start().await;
    for path in [
        "/index.html",
        "/v2",
        "/v2/nothing",
        "/v1/interact",
        "/favicon.ico",
    ] {
        let reply = server.send(server.request_outside(Method::GET, path)).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text);
        let is_api = path.starts_with("/v1/") || path.starts_with("/v2/");
        assert_eq!(reply.error().contains("/v2/interact"), is_api, "{path}");
    }
    for prefix in PREFIXES {
        let api = server.under(prefix);
        let session = format!("/{UNKNOWN_ID}");
        let execute = format!("/{UNKNOWN_ID}/execute");
        let cases = [
            (Method::PUT, ""),
            (Method::DELETE, ""),
            (Method::POST, &session),
            (Method::PATCH, &session),
            (Method::GET, &execute),
            (Method::DELETE, &execute),
        ];
        for (method, path) in cases {
            let reply = api.send(api.request(method.clone(), path)).await;
            assert_eq!(reply.status, 405, "{method} {prefix}{path}: {}", reply.text);
            assert!(!reply.error().is_empty());
        }
        let deeper = api
            .send(api.request(Method::GET, &format!("{execute}/more")))
            .await;
        deeper.assert_error(404, UNKNOWN_BELOW);
    }
    // Their beginning is that of a prefix, but they are not below it.
    for path in ["/v2/interactions", "/v2/browser-profiles/x", "/v2/crawl"] {
        let reply = server.send(server.request_outside(Method::GET, path)).await;
        reply.assert_error(404, UNKNOWN_API);
    }
    server.stop().await;
}

#[tokio::test]
async fn health_needs_no_key_and_names_the_version_and_the_level() {
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let health = server
        .send(server.request_outside(Method::GET, "/health"))
        .await
        .ok();
    assert_eq!(
        keys(&health),
        BTreeSet::from(["success", "status", "version", "isolation"])
    );
    assert_eq!(
        (&health["status"], &health["version"]),
        (&json!("ok"), &json!(env!("CARGO_PKG_VERSION")))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_session_above_the_limit_is_rejected_until_another_is_deleted() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "1")
        .start()
        .await;
    let session = server.session().await;
    for prefix in PREFIXES {
        let refused = server.under(prefix).create(&json!({})).await;
        refused.assert_error(
            429,
            "You have reached the maximum number of active browser sessions.",
        );
        refused.assert_retry_after();
    }
    session.delete().await;
    server.session().await;
    server.stop().await;
}

#[tokio::test]
async fn concurrent_creations_do_not_exceed_the_session_limit() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "2")
        .start()
        .await;
    let empty = json!({});
    let replies = join_all((0..5).map(|_| server.create(&empty))).await;
    let mut statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_fails_to_start_is_a_503_and_leaves_nothing_behind() {
    // The program prints its version like a browser and then exits, so the failure appears only
    // when a session starts.
    let builder = TestServer::builder().without_browser();
    let server = builder.setting("HEARTH_MAX_SESSIONS", "1").start().await;
    // Twice, because a failed start must release its session slot.
    for _ in 0..2 {
        let refused = server.create(&json!({})).await;
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert!(refused.error().len() > 20, "{}", refused.text);
    }
    assert_eq!(server.list("").await.ok()["sessions"], json!([]));
    assert_eq!(server.session_dirs(), Vec::<std::path::PathBuf>::new());
    server.stop().await;
}

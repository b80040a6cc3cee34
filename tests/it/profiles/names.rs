//! Profile names are free text and never become paths.

use hearth_test_support::{Site, TestServer};
use reqwest::Method;
use serde_json::json;

use crate::profiles::scenario::{all, ids, keep, saved, saving};

/// Names that could lead to another path, end early, or be mistaken for another name.
const NAMES: [&str; 14] = [
    "../../../etc/passwd",
    "/etc/passwd",
    ".",
    "..",
    "a\0b",
    "a",
    "A",
    "a ",
    "CON",
    "\n",
    "%2e%2e%2f",
    "'; DROP TABLE profiles; --",
    "e\u{301}",
    "\u{e9}",
];

/// Encodes a name for a path.
fn encoded(name: &str) -> String {
    name.bytes()
        .fold(String::new(), |path, byte| format!("{path}%{byte:02X}"))
}

#[tokio::test]
async fn every_name_is_a_separate_profile() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let longest = "\u{1f36a}".repeat(32);
    let names: Vec<&str> = NAMES.into_iter().chain([longest.as_str()]).collect();
    for (number, name) in names.iter().enumerate() {
        let session = server.session_with(&saving(name)).await;
        keep(&session, &site, &number.to_string()).await;
        session.delete().await;
    }
    let listed = server
        .send(server.request(Method::GET, "/profiles"))
        .await
        .ok();
    let mut listed: Vec<&str> = listed["profiles"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    let mut expected = names.clone();
    listed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(listed, expected);
    let is_digest =
        |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = ids(&server);
    assert_eq!(found.len(), names.len(), "{found:?}");
    assert!(found.iter().all(|id| is_digest(id)), "{found:?}");
    for (number, name) in names.iter().enumerate().step_by(3) {
        assert_eq!(
            saved(&server, &site, name).await,
            all(&number.to_string()),
            "{name:?}"
        );
    }
    // Every client resolves a path segment of one or two dots to another path.
    for name in names.iter().filter(|name| ![".", ".."].contains(name)) {
        let path = format!("/profiles/{}", encoded(name));
        assert_eq!(
            server
                .send(server.request(Method::DELETE, &path))
                .await
                .ok(),
            json!({"success": true}),
            "{name:?}"
        );
    }
    assert_eq!(ids(&server).len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn an_impossible_name_has_no_profile() {
    let server = TestServer::start().await;
    for path in [
        "/profiles/%ff%fe",
        &format!("/profiles/{}", "x".repeat(129)),
    ] {
        assert_eq!(
            server.send(server.request(Method::DELETE, path)).await.ok(),
            json!({"success": true}),
            "{path}"
        );
    }
    assert_eq!(
        server
            .send(server.request(Method::DELETE, "/profiles"))
            .await
            .status,
        405
    );
    assert_eq!(
        server
            .send(server.request(Method::GET, "/profiles/p"))
            .await
            .status,
        405
    );
    assert_eq!(server.create(&saving(&"x".repeat(129))).await.status, 400);
    assert_eq!(server.create(&saving("")).await.status, 400);
    server.stop().await;
}

//! Authorization: keys, teams, the loopback rule without keys, and the order of the checks.

use std::os::unix::fs::PermissionsExt;

use hearth_test_support::{Api, Exchange, PREFIXES, Reply, TestServer};
use reqwest::Method;
use serde_json::json;

const UNKNOWN_ID: &str = "01920000-0000-7000-8000-000000000000";
const KEYS: &str = "alpha:key-a1,alpha:key-a2,beta:key-b,key-c,key-d";

async fn server_with_keys() -> TestServer {
    TestServer::builder()
        .setting("HEARTH_API_KEYS", KEYS)
        .start()
        .await
}

async fn keyed_server_without_browser() -> TestServer {
    TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", KEYS)
        .start()
        .await
}

/// The keys are read before the server gives up root privileges.
#[tokio::test]
async fn a_key_file_that_only_its_owner_can_read_works() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("keys");
    std::fs::write(&file, "alpha:key-a1\n").expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("changed");
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS_FILE", &file.to_string_lossy())
        .start()
        .await;
    let list = server.request(Method::GET, "");
    assert_eq!(server.send(list).await.status, 401);
    let api = server
        .under(PREFIXES[0])
        .with_authorization("Bearer key-a1");
    assert_eq!(api.send(api.request(Method::GET, "")).await.status, 200);
    server.stop().await;
}

/// Sends one valid request to every route, for a session that does not exist.
async fn every_route(api: &Api) -> Vec<(String, Reply)> {
    let routes = [
        (Method::POST, String::new(), Some(json!({}))),
        (Method::GET, String::new(), None),
        (Method::GET, format!("/{UNKNOWN_ID}"), None),
        (
            Method::POST,
            format!("/{UNKNOWN_ID}/execute"),
            Some(json!({"code": "1"})),
        ),
        (Method::DELETE, format!("/{UNKNOWN_ID}"), None),
    ];
    let mut replies = Vec::new();
    for (method, path, body) in routes {
        let mut request = api.request(method.clone(), &path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        replies.push((format!("{method} {path}"), api.send(request).await));
    }
    replies
}

async fn assert_every_route_rejects(server: &TestServer, authorization: Option<&str>, error: &str) {
    for prefix in PREFIXES {
        let api = server.under(prefix);
        let api = authorization.map_or(api.clone(), |header| api.with_authorization(header));
        for (route, reply) in every_route(&api).await {
            assert_eq!(
                (reply.status, reply.error()),
                (401, error),
                "{prefix} {route}, header {authorization:?}"
            );
            reply.assert_error(401, error);
        }
    }
}

#[tokio::test]
async fn a_request_without_an_authorization_header_is_rejected_on_every_route() {
    let server = keyed_server_without_browser().await;
    assert_every_route_rejects(&server, None, "Unauthorized").await;
    server.stop().await;
}

#[tokio::test]
async fn a_bearer_header_without_a_token_is_rejected_on_every_route() {
    let server = keyed_server_without_browser().await;
    assert_every_route_rejects(&server, Some("Bearer"), "Unauthorized: Token missing").await;
    assert_every_route_rejects(&server, Some("Bearer "), "Unauthorized: Token missing").await;
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_key_is_rejected_on_every_route() {
    let server = keyed_server_without_browser().await;
    // A team's name, a key with its name, and a prefix of a key are not valid keys either.
    for wrong in ["key-x", "alpha", "alpha:key-a1", "key-a", "KEY-A1"] {
        assert_every_route_rejects(
            &server,
            Some(&format!("Bearer {wrong}")),
            "Unauthorized: Invalid token",
        )
        .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn two_keys_with_the_same_name_share_their_sessions() {
    let server = server_with_keys().await;
    let session = server.with_key("key-a1").session().await;
    let colleague = server.with_key("key-a2");
    let list = colleague.list("").await.ok();
    assert_eq!(list["sessions"][0]["id"], json!(session.id()));
    colleague.status(session.id()).await.ok();
    let answer = colleague
        .execute(session.id(), &json!({"code": "1+1"}))
        .await
        .ok();
    assert_eq!(answer["result"], json!("2"));
    colleague.delete(session.id()).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn the_sessions_of_another_team_are_forbidden_and_not_listed() {
    let server = server_with_keys().await;
    let session = server.with_key("key-a1").session().await;
    for prefix in PREFIXES {
        for key in ["key-b", "key-c"] {
            let foreign = server.under(prefix).with_key(key);
            assert_eq!(foreign.list("").await.ok()["sessions"], json!([]));
            foreign
                .status(session.id())
                .await
                .assert_error(403, "Forbidden.");
            foreign
                .execute(session.id(), &json!({"code": "1"}))
                .await
                .assert_error(403, "Forbidden.");
            foreign
                .delete(session.id())
                .await
                .assert_error(403, "Forbidden.");
        }
    }
    assert_eq!(session.status().await["status"], json!("active"));
    server.stop().await;
}

#[tokio::test]
async fn two_keys_without_a_name_do_not_share_their_sessions() {
    let server = server_with_keys().await;
    let session = server.with_key("key-c").session().await;
    server
        .with_key("key-d")
        .status(session.id())
        .await
        .assert_error(403, "Forbidden.");
    server.stop().await;
}

#[tokio::test]
async fn without_keys_any_authorization_header_is_accepted() {
    // Nodes of a cluster need keys.
    let server = TestServer::builder()
        .single()
        .without_browser()
        .start()
        .await;
    server.list("").await.ok();
    for header in ["Bearer", "Bearer ", "Bearer fc-anything", "Basic eDp5"] {
        server.with_authorization(header).list("").await.ok();
    }
    server.stop().await;
}

#[tokio::test]
async fn without_keys_only_loopback_host_names_are_served() {
    // Nodes of a cluster need keys.
    let server = TestServer::builder()
        .single()
        .without_browser()
        .start()
        .await;
    let port = server
        .address()
        .rsplit_once(':')
        .map(|(_, port)| port.to_owned())
        .unwrap_or_default();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        "localhost".into(),
        format!("[::1]:{port}"),
    ] {
        let request = server.request(Method::GET, "").header("host", &host);
        server.send(request).await.ok();
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "192.0.2.1",
        "0.0.0.0",
    ] {
        for (method, path) in [
            (Method::GET, "/v2/interact"),
            (Method::POST, "/v2/browser"),
            (Method::GET, "/health"),
        ] {
            let request = server.request_outside(method, path).header("host", host);
            let reply = server.send(request).await;
            assert!(
                (400..500).contains(&reply.status),
                "{host} {path} got the response {}",
                reply.text
            );
        }
    }
    assert_eq!(
        server.list("").await.ok()["sessions"],
        json!([]),
        "a request with a foreign Host header created a session"
    );
    server.stop().await;
}

#[tokio::test]
async fn with_keys_any_host_name_is_served() {
    let server = keyed_server_without_browser().await;
    let api = server.with_key("key-a1");
    let request = api
        .request(Method::GET, "")
        .header("host", "hearth.example");
    api.send(request).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn malformed_json_is_reported_before_a_missing_or_unknown_key() {
    let server = keyed_server_without_browser().await;
    for api in [(*server).clone(), server.with_key("key-x")] {
        for path in [String::new(), format!("/{UNKNOWN_ID}/execute")] {
            let reply = api.post_text(&path, "{\"code\":").await;
            assert_eq!(
                (reply.status, reply.error()),
                (400, "Bad request, malformed JSON"),
                "{path}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_key_is_reported_before_an_invalid_body() {
    let server = keyed_server_without_browser().await;
    let unknown = server.with_key("key-x");
    unknown
        .post_text("", "{\"ttl\":1}")
        .await
        .assert_error(401, "Unauthorized: Invalid token");
    let execute = unknown.execute(UNKNOWN_ID, &json!({"code": ""})).await;
    execute.assert_error(401, "Unauthorized: Invalid token");
    unknown
        .list("?status=bogus")
        .await
        .assert_error(401, "Unauthorized: Invalid token");
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_body_is_reported_before_an_unknown_foreign_or_destroyed_session() {
    let server = server_with_keys().await;
    let session = server.with_key("key-a1").session().await;
    let owner = server.with_key("key-a1");
    let empty = json!({"code": ""});
    assert_eq!(
        owner.execute(UNKNOWN_ID, &empty).await.error(),
        "Bad Request: code: Too small: expected string to have >=1 characters"
    );
    assert_eq!(
        server
            .with_key("key-b")
            .execute(session.id(), &empty)
            .await
            .error(),
        "Bad Request: code: Too small: expected string to have >=1 characters"
    );
    session.delete().await;
    assert_eq!(
        owner.execute(session.id(), &empty).await.error(),
        "Bad Request: code: Too small: expected string to have >=1 characters"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_destroyed_session_of_another_team_is_forbidden_too() {
    let server = server_with_keys().await;
    let session = server.with_key("key-a1").session().await;
    session.delete().await;
    let foreign = server.with_key("key-b");
    foreign
        .execute(session.id(), &json!({"code": "1"}))
        .await
        .assert_error(403, "Forbidden.");
    foreign
        .status(session.id())
        .await
        .assert_error(403, "Forbidden.");
    server.stop().await;
}

#[tokio::test]
async fn without_keys_pages_of_other_origins_cannot_change_anything() {
    // Nodes of a cluster need keys.
    let server = TestServer::builder().single().start().await;
    let created = async |api: &Api, origin: &'static str| {
        Exchange::of(api.request(Method::POST, "").header("origin", origin))
            .await
            .status
    };
    // Browsers send these simple requests without a preflight.
    for origin in [
        "http://evil.example",
        "null",
        "https://localhost.evil.example",
        "",
        "file://",
    ] {
        assert_eq!(created(&server, origin).await, 403, "{origin:?}");
    }
    assert_eq!(created(&server, "http://localhost:5173").await, 200);
    server.stop().await;
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    // With a key, a client may use any host and origin.
    assert_eq!(
        created(&server.with_key("secret"), "https://app.example").await,
        200
    );
    server.stop().await;
}

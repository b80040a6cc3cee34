//! `cdpUrl` as an `http` address: the endpoints that clients request from a debugging port.

use std::time::Duration;

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Exchange, Session, Site, TestServer};
use nix::sys::signal::Signal;
use reqwest::Client;
use serde_json::{Value, json};

/// Returns `cdpUrl` with `path` inserted before its query.
fn below(session: &Session, path: &str) -> String {
    let (base, query) = session.cdp_url().split_once('?').expect("a token");
    format!("http{}{path}?{query}", base.trim_start_matches("ws"))
}

fn client() -> Client {
    Client::builder()
        .no_proxy()
        .build()
        .expect("a client without TLS can always be built")
}

async fn get(url: &str) -> (u16, Value) {
    let answer = Exchange::of(client().get(url)).await;
    (answer.status, answer.json())
}

async fn good(url: &str) -> Value {
    let (status, body) = get(url).await;
    assert_eq!(status, 200, "{url}: {body}");
    body
}

/// Rules H1, H2, H3.
#[tokio::test]
async fn the_version_is_served_with_and_without_a_slash_and_keeps_the_query() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for path in ["/json/version", "/json/version/"] {
        let url = format!("{}&foo=bar", below(&session, path));
        let version = good(&url).await;
        let product = version["Browser"].as_str().expect("a product");
        assert!(product.contains("Chrome/"), "{version}");
        for name in [
            "Protocol-Version",
            "User-Agent",
            "V8-Version",
            "WebKit-Version",
        ] {
            assert!(
                version[name].as_str().is_some_and(|text| !text.is_empty()),
                "{name}: {version}"
            );
        }
        assert!(
            !version["User-Agent"]
                .as_str()
                .expect("text")
                .contains("Headless"),
            "{version}"
        );
        let socket = version["webSocketDebuggerUrl"]
            .as_str()
            .expect("an address");
        assert_eq!(socket, format!("{}&foo=bar", session.cdp_url()));
        let answer = CdpClient::connect(socket)
            .await
            .call("Browser.getVersion", json!({}))
            .await;
        assert_eq!(answer["result"]["product"], version["Browser"]);
    }
    server.stop().await;
}

/// Rule H3.
#[tokio::test]
async fn the_version_is_served_to_clients_that_append_their_path_to_the_query() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for appended in ["/json/version", "/json/version/"] {
        let version = good(&format!("{}{appended}", below(&session, ""))).await;
        assert_eq!(version["webSocketDebuggerUrl"], json!(session.cdp_url()));
    }
    server.stop().await;
}

/// Rule H2.
#[tokio::test]
async fn urls_follow_the_requests_host_and_its_proxys_scheme() {
    // A node has a public URL, which is what its URLs start with.
    let server = TestServer::builder().single().start().await;
    let session = server.session().await;
    let request = client().get(below(&session, "/json/version"));
    let request = request
        .header("host", "localhost:8443")
        .header("x-forwarded-proto", "https");
    let version = Exchange::of(request).await.json();
    let socket = version["webSocketDebuggerUrl"]
        .as_str()
        .expect("an address");
    assert!(
        socket.starts_with(&format!("wss://localhost:8443/cdp/{}?token=", session.id())),
        "{socket}"
    );
    server.stop().await;
}

/// Rule H2.
#[tokio::test]
async fn urls_start_with_the_public_url() {
    let server = TestServer::builder()
        .setting("HEARTH_PUBLIC_URL", "https://hearth.example")
        .start()
        .await;
    let session = server.session().await;
    let query = session.cdp_url().split_once('?').expect("a token").1;
    let version = good(&format!(
        "{}/cdp/{}/json/version?{query}",
        server.origin(),
        session.id()
    ))
    .await;
    assert_eq!(version["webSocketDebuggerUrl"], json!(session.cdp_url()));
    assert!(
        session.cdp_url().starts_with("wss://hearth.example/cdp/"),
        "{}",
        session.cdp_url()
    );
    server.stop().await;
}

/// Rules H1, S12.
#[tokio::test]
async fn a_client_can_connect_to_a_listed_target() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/listed")
        ))
        .await
        .ok();
    for path in ["/json", "/json/", "/json/list", "/json/list/"] {
        let list = good(&below(&session, path)).await;
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        assert_eq!(
            (&list[0]["type"], &list[0]["title"]),
            (&json!("page"), &json!("listed")),
            "{list}"
        );
        assert_eq!(list[0]["url"], json!(site.url("/title/listed")));
        // The page is the root of this connection: no session id is sent.
        let mut page = CdpClient::connect(
            list[0]["webSocketDebuggerUrl"]
                .as_str()
                .expect("an address"),
        )
        .await;
        let title = page
            .call("Runtime.evaluate", json!({"expression": "document.title"}))
            .await;
        assert_eq!(
            title["result"]["result"]["value"],
            json!("listed"),
            "{title}"
        );
    }
    server.stop().await;
}

/// Rules S12, C2.
#[tokio::test]
async fn a_connection_to_a_target_ends_with_it_and_gives_the_reason() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let list = good(&below(&session, "/json/list")).await;
    let page = CdpClient::connect(
        list[0]["webSocketDebuggerUrl"]
            .as_str()
            .expect("an address"),
    )
    .await;
    let mut browser = CdpClient::connect(session.cdp_url()).await;
    browser
        .call("Target.closeTarget", json!({"targetId": list[0]["id"]}))
        .await;
    assert_eq!(
        page.closed(Duration::from_secs(5)).await,
        Some((1001, "the tab was closed".to_owned()))
    );
    let (status, body) = CdpClient::refused(
        list[0]["webSocketDebuggerUrl"]
            .as_str()
            .expect("an address"),
    )
    .await;
    assert_eq!(status, 404, "{body}");
    assert!(
        body["error"]
            .as_str()
            .is_some_and(|text| text.contains("/json/list")),
        "{body}"
    );
    server.stop().await;
}

/// Rules M1, M2, S12.
#[tokio::test]
async fn a_client_of_one_target_has_the_same_restrictions() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let list = good(&below(&session, "/json/list")).await;
    let socket = list[0]["webSocketDebuggerUrl"]
        .as_str()
        .expect("an address");
    let mut page = CdpClient::connect(socket).await;
    assert_eq!(
        page.call("Browser.crash", json!({})).await["error"]["code"],
        json!(-32000)
    );
    assert_eq!(
        page.call("Browser.close", json!({})).await["result"],
        json!({})
    );
    assert_eq!(
        page.closed(Duration::from_secs(5))
            .await
            .expect("a close frame")
            .0,
        1000
    );
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    server.stop().await;
}

/// Rule H1.
#[tokio::test]
async fn nothing_is_served_without_the_token() {
    let server = TestServer::start().await;
    let (session, other) = (server.session().await, server.session().await);
    let token = session.cdp_url().split_once("token=").expect("a token").1;
    for path in [
        "/json/version",
        "/json/list",
        "/json",
        "/devtools/page/x",
        "/devtools/page/%ff",
    ] {
        let bare = below(&session, path)
            .split_once('?')
            .expect("a query")
            .0
            .to_owned();
        for url in [
            bare.clone(),
            format!("{bare}?token={token}x"),
            below(&other, path).replace(other.id(), session.id()),
        ] {
            let (status, body) = get(&url).await;
            assert_eq!(
                (status, &body["success"]),
                (401, &json!(false)),
                "{url}: {body}"
            );
        }
    }
    let request = client().get(
        below(&session, "/json/version")
            .split_once('?')
            .expect("a query")
            .0,
    );
    assert_eq!(Exchange::of(request.bearer_auth(token)).await.status, 200);
    server.stop().await;
}

/// Rule S1: the browser is checked before the upgrade is accepted, because a client whose
/// connection is closed later waits for its own timeout.
#[tokio::test]
async fn an_upgrade_is_rejected_with_a_reason_when_the_browser_is_gone() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    client.call("Browser.getVersion", json!({})).await;
    let processes = server.processes();
    let browser = processes
        .iter()
        .find(|process| process.is_browser())
        .expect("a browser");
    browser.signal(Signal::SIGKILL);
    let (code, reason) = client
        .closed(Duration::from_secs(5))
        .await
        .expect("a close frame");
    assert_eq!(
        (code, reason.as_str()),
        (1011, "browser crashed (signal 9)")
    );
    for url in [
        session.cdp_url().to_owned(),
        below(&session, "/json/version").replacen("http", "ws", 1),
    ] {
        let (status, body) = CdpClient::refused(&url).await;
        assert_eq!(status, 503, "{body}");
        assert!(
            body["error"]
                .as_str()
                .is_some_and(|text| text.contains("ended unexpectedly")),
            "{body}"
        );
    }
    server.stop().await;
}

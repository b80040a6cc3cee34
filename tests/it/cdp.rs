//! `cdpUrl`: authorization, and the behaviour that third-party clients see.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Session, Site, TestServer, eventually, repository};
use serde_json::json;
use tokio::process::Command;

use crate::operator::metrics::metrics;

/// Runs a python program with the runtime's Playwright, outside the server; returns its stdout.
async fn run_playwright(code: &str, session: &Session) -> String {
    let python = repository().join("runtime/.installed/venv/bin/python");
    // A client that does not close its browser leaves its artifacts dir in the temporary dir.
    let temporary = tempfile::tempdir().unwrap();
    let mut client = Command::new(python);
    client
        .arg("-c")
        .arg(code)
        .arg(session.cdp_url())
        .env("TMPDIR", temporary.path())
        .kill_on_drop(true);
    let running = client.output();
    let output = tokio::time::timeout(Duration::from_mins(1), running)
        .await
        .expect("the client exits in time")
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn without_token(url: &str) -> &str {
    url.split_once('?').unwrap().0
}

#[tokio::test]
async fn an_upgrade_without_the_right_token_is_rejected() {
    let server = TestServer::start().await;
    let (session, other) = (server.session().await, server.session().await);
    let bare = without_token(session.cdp_url());
    let others_token = other.cdp_url().split_once("token=").unwrap().1;
    let mut one_letter_off = session.cdp_url().to_owned();
    let last = one_letter_off.pop().unwrap();
    one_letter_off.push(if last == 'a' { 'b' } else { 'a' });
    let shorter = &session.cdp_url()[..session.cdp_url().len() - 1];
    let urls = [
        bare.to_owned(),
        format!("{bare}?token="),
        format!("{bare}?token={others_token}"),
        one_letter_off,
        shorter.to_owned(),
        format!("{}x", session.cdp_url()),
    ];
    for url in urls {
        let (status, body) = CdpClient::refused(&url).await;
        assert_eq!(status, 401, "{url}: {body}");
        assert_eq!(body["success"], json!(false), "{url}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_api_key_does_not_replace_the_token() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let session = server.with_key("secret").session().await;
    // The token is enough, because a client has only the URL.
    CdpClient::connect(session.cdp_url()).await;
    let path = without_token(session.cdp_url())
        .split_once(server.address())
        .unwrap()
        .1;
    let request = server
        .with_key("secret")
        .request_outside(reqwest::Method::GET, path);
    let request = request
        .header("connection", "Upgrade")
        .header("upgrade", "websocket");
    let request = request
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(server.send(request).await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn the_url_of_a_deleted_session_is_rejected_and_its_sockets_are_closed() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let client = CdpClient::connect(session.cdp_url()).await;
    session.delete().await;
    client.closed(Duration::from_secs(2)).await;
    let (status, body) = CdpClient::refused(session.cdp_url()).await;
    assert!((400..500).contains(&status), "{status} {body}");
    server.stop().await;
}

#[tokio::test]
async fn playwright_finds_the_sessions_page() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/seen")
        ))
        .await
        .ok();
    let code = "import sys\nfrom playwright.sync_api import sync_playwright\n\
                with sync_playwright() as p:\n    browser = p.chromium.connect_over_cdp(sys.argv[1])\n    \
                page = browser.contexts[0].pages[0]\n    print(page.title())\n    \
                page.evaluate(\"document.title = 'changed'\")\n    browser.close()";
    assert_eq!(run_playwright(code, &session).await, "seen");
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "changed"
    );
    // Connects twice to a session that has never run code. The second client connects after the
    // first has disconnected.
    let fresh = server.session().await;
    let code = "import sys\nfrom playwright.sync_api import sync_playwright\n\
                with sync_playwright() as p:\n    browser = p.chromium.connect_over_cdp(sys.argv[1])\n    \
                print(len(browser.contexts), len(browser.contexts[0].pages), browser.contexts[0].pages[0].url)";
    for _ in 0..2 {
        assert_eq!(run_playwright(code, &fresh).await, "1 1 about:blank");
    }
    server.stop().await;
}

/// Rules M1, C1.
#[tokio::test]
async fn a_client_that_closes_the_browser_only_disconnects() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "let kept = 1; await page.goto('{}'); 0",
            site.url("/title/alive")
        ))
        .await
        .ok();
    let stays = CdpClient::connect(session.cdp_url()).await;
    let mut leaving = CdpClient::connect(session.cdp_url()).await;
    let answer = leaving.call("Browser.close", json!({})).await;
    assert_eq!(answer["result"], json!({}), "{answer}");
    leaving.closed(Duration::from_secs(2)).await;
    let mut stays = stays;
    let version = stays.call("Browser.getVersion", json!({})).await;
    assert!(version["result"]["product"].is_string(), "{version}");
    assert_eq!(
        session
            .node("[kept, await page.title()].join()")
            .await
            .ok()
            .result,
        "1,alive"
    );
    assert_eq!(session.status().await["status"], json!("active"));
    server.stop().await;
}

/// Rule M2.
#[tokio::test]
async fn a_client_cannot_crash_the_browser() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    for method in [
        "Browser.crash",
        "Browser.crashGpuProcess",
        "Target.exposeDevToolsProtocol",
    ] {
        let answer = client.call(method, json!({})).await;
        assert!(answer["error"]["message"].is_string(), "{method}: {answer}");
    }
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    server.stop().await;
}

/// Rules I1, I2.
#[tokio::test]
async fn responses_go_only_to_the_client_that_sent_the_command() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(CdpClient::connect(session.cdp_url()).await);
    }
    // All clients use the same ids at the same time.
    let asking = clients
        .iter_mut()
        .enumerate()
        .map(|(number, client)| async move {
            for round in 0..20 {
                let context = client.call("Target.createBrowserContext", json!({})).await;
                let id = context["result"]["browserContextId"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                let params =
                    json!({"url": format!("about:blank#{number}-{round}"), "browserContextId": id});
                let target = client.call("Target.createTarget", params).await;
                let target_id = target["result"]["targetId"].as_str().unwrap().to_owned();
                let info = client
                    .call("Target.getTargetInfo", json!({"targetId": target_id}))
                    .await;
                assert_eq!(info["result"]["targetInfo"]["browserContextId"], json!(id));
                client
                    .call(
                        "Target.disposeBrowserContext",
                        json!({"browserContextId": id}),
                    )
                    .await;
            }
        });
    futures_util::future::join_all(asking).await;
    server.stop().await;
}

/// Rule I3.
#[tokio::test]
async fn invalid_messages_get_errors_and_do_not_close_the_socket() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    for text in [
        "{",
        "[]",
        "5",
        "null",
        "{\"id\":\"text\",\"method\":\"Browser.getVersion\"}",
        "{\"method\":\"x\"}",
    ] {
        client.send_text(text).await;
    }
    let version = client.call("Browser.getVersion", json!({})).await;
    assert!(version["result"]["product"].is_string(), "{version}");
    let unknown = client.call("No.suchMethod", json!({})).await;
    assert!(unknown["error"]["message"].is_string(), "{unknown}");
    server.stop().await;
}

/// Rules Q2, C5: a client that requests much and reads nothing leaves nothing behind.
#[tokio::test]
async fn a_client_that_never_reads_is_dropped() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The kernel is a client, too.
    session.node("1").await.ok();
    let mut other = CdpClient::connect(session.cdp_url()).await;
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{}/fd", server.serving_pid()))
            .unwrap()
            .count()
    };
    let before = descriptors();
    let targets = other.call("Target.getTargets", json!({})).await;
    let target = targets["result"]["targetInfos"][0]["targetId"]
        .as_str()
        .unwrap();
    let (base, query) = session.cdp_url().split_once('?').unwrap();
    let mut greedy = CdpClient::connect(&format!("{base}/devtools/page/{target}?{query}")).await;
    assert!(descriptors() > before);
    for id in 0..100 {
        let params = json!({"expression": "'x'.repeat(1e6)", "returnByValue": true});
        greedy
            .send_text(
                &json!({"id": id, "method": "Runtime.evaluate", "params": params}).to_string(),
            )
            .await;
    }
    eventually(
        Duration::from_secs(30),
        "the connection is closed",
        || async {
            if descriptors() <= before {
                Ok(())
            } else {
                Err(format!("{} descriptors", descriptors()))
            }
        },
    )
    .await;
    let version = other.call("Browser.getVersion", json!({})).await;
    assert!(version["result"]["product"].is_string(), "{version}");
    drop(greedy);
    server.stop().await;
}

/// Rule Q2: a message counts as buffered until its client has read it.
#[tokio::test]
async fn a_message_that_is_being_written_counts_as_buffered() {
    const BYTES: f64 = 20e6;
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut browser = CdpClient::connect(session.cdp_url()).await;
    let targets = browser.call("Target.getTargets", json!({})).await;
    let target = &targets["result"]["targetInfos"][0]["targetId"];
    let (base, query) = session.cdp_url().split_once('?').unwrap();
    let target = target.as_str().unwrap();
    let mut client = CdpClient::connect(&format!("{base}/devtools/page/{target}?{query}")).await;
    let buffered = async || metrics(server.direct()).await["hearth_buffer_bytes"];

    let params = json!({"expression": format!("'x'.repeat({BYTES})"), "returnByValue": true});
    let command = json!({"id": 1000, "method": "Runtime.evaluate", "params": params});
    client.send_text(&command.to_string()).await;
    // The client reads nothing, so only a part of the message fits into the socket.
    eventually(
        Duration::from_secs(20),
        "the message is counted while it is written",
        async || match buffered().await {
            bytes if bytes >= BYTES => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        },
    )
    .await;
    let value = client
        .call("Runtime.evaluate", json!({"expression": "1"}))
        .await;
    assert_eq!(value["result"]["result"]["value"], json!(1));
    eventually(
        Duration::from_secs(20),
        "its memory is free",
        async || match buffered().await {
            bytes if bytes < 1e6 => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        },
    )
    .await;
    server.stop().await;
}

/// Returns the largest memory that a process has used, in MiB.
fn peak_mib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap() / 1024
}

/// The broker checks the params of these calls. A tree of them would take several gigabytes.
#[tokio::test]
async fn calls_with_many_members_take_little_memory() {
    const BYTES: usize = 20_000_000;
    let server = TestServer::start().await;
    let session = server.session().await;
    let before = peak_mib(server.serving_pid());
    let list = |item: &str| format!("[{item}{}]", format!(",{item}").repeat(BYTES / item.len()));
    for (method, name, list) in [
        ("Input.dispatchDragEvent", "data", list(r#"{"a":0}"#)),
        ("Target.setAutoAttach", "filter", list("{}")),
        ("Target.createTarget", "unknown", list("0")),
        ("DOM.setFileInputFiles", "files", list(r#""""#)),
        ("Page.navigate", "unknown", list("[]")),
    ] {
        let mut client = CdpClient::connect(session.cdp_url()).await;
        let text = format!(r#"{{"id":1000,"method":"{method}","params":{{"{name}":{list}}}}}"#);
        client.try_send_text(&text).await;
        drop(text);
        let version = client.call("Browser.getVersion", json!({})).await;
        assert!(version["result"]["product"].is_string(), "{method}");
        let growth = peak_mib(server.serving_pid()) - before;
        assert!(growth < 250, "{method}: {growth} MiB");
    }
    server.stop().await;
}

//! Tests real Chromium, launched through the built `hearth` as its shim.

#![expect(
    clippy::disallowed_methods,
    reason = "a test may start programs and read its environment, because it ends with its process"
)]

mod cookies;
mod hung;
mod policy;
mod shared_pages;
mod start;
mod support;

use std::time::Duration;

use hearth_browser::{BrowserError, ClientOrigin, DeathReason, LaunchError, ProbeError, probe};
use hearth_sandbox::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use support::{BrowserFixture, Connection, SHELL, USER_AGENT};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PAGE_SIZE: &str = "[innerWidth, innerHeight]";

fn pid_of(browser: &hearth_browser::Browser) -> Pid {
    Pid::from_raw(i32::try_from(browser.program_pid()).expect("a process id"))
}

/// Answers one request with `answer` and returns the request.
async fn serve_once(answer: &'static str) -> (String, impl Future<Output = String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let serving = async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a request"));
        }
        stream.write_all(answer.as_bytes()).await.expect("answered");
        String::from_utf8(request).expect("ASCII")
    };
    (url, serving)
}

#[tokio::test]
async fn executable_prints_its_version() {
    let fixture = BrowserFixture::new();
    let version = probe(&fixture.launcher, SHELL.as_ref())
        .await
        .expect("a version");
    assert!(version.number().split('.').count() == 4, "{version:?}");
    let other = probe(&fixture.launcher, "/bin/true".as_ref()).await;
    assert!(
        matches!(other, Err(ProbeError::NoVersion { .. })),
        "{other:?}"
    );
    fixture.assert_no_processes().await;
}

#[tokio::test]
async fn every_page_has_the_viewport_size() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let first = browser.current_tab().expect("a first tab");
    let mut client = Connection::to(&browser).await;
    let second = client
        .call(None, "Target.createTarget", json!({"url": "about:blank"}))
        .await;
    let context = client
        .call(None, "Target.createBrowserContext", json!({}))
        .await;
    let params = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
    let third = client.call(None, "Target.createTarget", params).await;
    for target in [&json!(first), &second["targetId"], &third["targetId"]] {
        let session = client
            .session_on(target.as_str().expect("a target id"))
            .await;
        assert_eq!(
            client.evaluate(&session, PAGE_SIZE).await,
            json!([1100, 620])
        );
    }
    browser.close().await;
}

#[tokio::test]
async fn pages_and_servers_do_not_see_headless() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let (url, serving) = serve_once("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let mut client = Connection::to(&browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    let ((), request) = tokio::join!(client.navigate(&session, &url), serving);
    assert!(request.contains(USER_AGENT), "{request}");
    assert!(!request.contains("Headless"), "{request}");
    assert!(request.contains("Accept-Language: en-US,en"), "{request}");
    let told = client
        .evaluate(
            &session,
            "JSON.stringify([navigator.userAgent, navigator.userAgentData, navigator.appVersion])",
        )
        .await;
    let told = told.as_str().expect("text");
    assert!(
        told.contains(USER_AGENT) && !told.contains("Headless"),
        "{told}"
    );
    browser.close().await;
}

#[tokio::test]
async fn downloads_go_to_the_session_dir() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let (url, serving) = serve_once(
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Disposition: attachment; filename=it.txt\r\n\r\nfile",
    )
    .await;
    let mut client = Connection::to(&browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    client.call(Some(&session), "Page.enable", json!({})).await;
    client.send(Some(&session), "Page.navigate", &json!({"url": url}));
    let done = |event: &Value| {
        event["method"] == "Page.downloadProgress" && event["params"]["state"] == "completed"
    };
    let (_, _) = tokio::join!(client.first(done), serving);
    let saved =
        std::fs::read_to_string(fixture.dir().join("downloads/it.txt")).expect("the download");
    assert_eq!(saved, "file");
    browser.close().await;
}

/// Rule C2.
#[tokio::test]
async fn closing_leaves_nothing_behind() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    browser.close().await;
    assert_eq!(browser.died().await, DeathReason::Closed);
    assert_eq!(client.close().await.0, 1001);
    assert!(
        kill(pid_of(&browser), None).is_err(),
        "the process is still there"
    );
    fixture.assert_no_processes().await;
}

#[tokio::test]
async fn dropping_the_last_handle_kills_the_browser() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let pid = pid_of(&browser);
    drop(browser);
    fixture.assert_no_processes().await;
    assert!(kill(pid, None).is_err(), "the process is still there");
}

/// Rule C4.
#[tokio::test]
async fn killed_browser_is_noticed_with_pending_calls() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    for _ in 0..50 {
        let forever = json!({"expression": "new Promise(() => {})", "awaitPromise": true});
        client.send(Some(&session), "Runtime.evaluate", &forever);
    }
    kill(pid_of(&browser), Signal::SIGKILL).expect("killed");
    let told = tokio::time::timeout(Duration::from_secs(1), client.close())
        .await
        .expect("a message within a second");
    assert_eq!(told, (1011, "browser crashed (signal 9)".to_owned()));
    assert_eq!(browser.died().await, DeathReason::Exited(Exit::Signal(9)));
    assert!(matches!(
        browser.attach(ClientOrigin::External).await,
        Err(BrowserError::Gone)
    ));
    fixture.assert_no_processes().await;
}

/// Rule S13.
#[tokio::test]
async fn crashed_page_fails_pending_calls_and_recovers_when_navigated() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    client.call(Some(&session), "Page.enable", json!({})).await;
    let forever = json!({"expression": "new Promise(() => {})", "awaitPromise": true});
    let waiting = client.send(Some(&session), "Runtime.evaluate", &forever);
    client.send(Some(&session), "Page.crash", &json!({}));
    assert_eq!(client.reply(waiting).await["error"]["code"], -32001);
    let late = client.send(
        Some(&session),
        "Runtime.evaluate",
        &json!({"expression": "1"}),
    );
    assert_eq!(client.reply(late).await["error"]["code"], -32001);
    client
        .call(
            Some(&session),
            "Page.navigate",
            json!({"url": "data:text/html,<title>back</title>"}),
        )
        .await;
    client
        .first(|event| event["method"] == "Page.loadEventFired")
        .await;
    assert_eq!(client.evaluate(&session, "document.title").await, "back");
    browser.close().await;
}

/// Rule S6.
#[tokio::test]
async fn pending_calls_of_a_closed_tab_are_answered() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let tab = client
        .call(None, "Target.createTarget", json!({"url": "about:blank"}))
        .await;
    let tab = tab["targetId"].as_str().expect("a target id");
    let session = client.session_on(tab).await;
    let forever = json!({"expression": "new Promise(() => {})", "awaitPromise": true});
    let waiting = client.send(Some(&session), "Runtime.evaluate", &forever);
    client.send(None, "Target.closeTarget", &json!({"targetId": tab}));
    let late = client.send(
        Some(&session),
        "Runtime.evaluate",
        &json!({"expression": "1"}),
    );
    for id in [waiting, late] {
        assert_eq!(client.reply(id).await["error"]["code"], -32001);
    }
    browser.close().await;
}

/// Rules M1, M7.
#[tokio::test]
async fn browser_close_ends_one_client_and_the_next_finds_a_page() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut one = Connection::to(&browser).await;
    let mut two = Connection::to(&browser).await;
    let tab = browser.current_tab().expect("a tab");
    let session = one.session_on(&tab).await;
    one.call(None, "Target.closeTarget", json!({"targetId": tab}))
        .await;
    one.send(Some(&session), "Browser.close", &json!({}));
    assert_eq!(one.close().await.0, 1000);
    two.call(None, "Browser.getVersion", json!({})).await;
    let mut three = Connection::to(&browser).await;
    let targets = three.call(None, "Target.getTargets", json!({})).await;
    let opened = browser.current_tab().expect("a tab was opened");
    let open = targets["targetInfos"].as_array().expect("targets");
    assert!(
        open.iter().any(|target| target["targetId"] == opened),
        "{targets}"
    );
    browser.close().await;
}

/// Rule M15.
#[tokio::test]
async fn current_tab_is_the_last_opened_activated_or_navigated() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let first = browser.current_tab().expect("a tab");
    let mut client = Connection::to(&browser).await;
    let second = client
        .call(None, "Target.createTarget", json!({"url": "about:blank"}))
        .await;
    let second = second["targetId"].as_str().expect("a target id").to_owned();
    assert_eq!(browser.current_tab(), Some(second.clone()));
    let session = client.session_on(&first).await;
    client.navigate(&session, "data:text/html,x").await;
    assert_eq!(browser.current_tab(), Some(first.clone()));
    client
        .call(None, "Target.activateTarget", json!({"targetId": second}))
        .await;
    assert_eq!(browser.current_tab(), Some(second.clone()));
    client
        .call(None, "Target.closeTarget", json!({"targetId": second}))
        .await;
    assert_eq!(browser.ensure_tab().await.expect("a tab"), first);
    browser.close().await;
}

/// Rules P1, Q1.
#[tokio::test]
async fn results_of_60_mb_and_requests_of_40_mb_pass() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    let result = client.evaluate(&session, "'x'.repeat(60e6)").await;
    assert_eq!(result.as_str().map(str::len), Some(60_000_000));
    let request = format!("'{}'.length", "y".repeat(40_000_000));
    assert_eq!(client.evaluate(&session, &request).await, 40_000_000);
    browser.close().await;
}

/// Rules P3, Q1, C5.
#[tokio::test]
async fn only_the_slow_client_is_ended() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut slow = Connection::to(&browser).await;
    let mut other = Connection::to(&browser).await;
    let session = slow
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    for _ in 0..100 {
        let large = json!({"expression": "'x'.repeat(1e6)", "returnByValue": true});
        slow.send(Some(&session), "Runtime.evaluate", &large);
    }
    // The other client's calls come later on the same page, so its reply proves that all previous
    // messages were produced.
    let session = other
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    assert_eq!(other.evaluate(&session, "1 + 1").await, 2);
    assert_eq!(
        slow.close().await,
        (1013, "client reads too slowly".to_owned())
    );
    browser.close().await;
}

#[tokio::test]
async fn output_of_a_program_that_dies_at_start_is_quoted() {
    let fixture = BrowserFixture::new();
    // A shell rejects Chromium's flags.
    let error = fixture.launch("/bin/sh").await.expect_err("no browser");
    assert!(
        matches!(
            error,
            LaunchError::Died {
                reason: DeathReason::Exited(Exit::Code(2)),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains("Illegal option"), "{error}");
    fixture.assert_no_processes().await;
}

#[tokio::test]
async fn missing_program_is_named() {
    let fixture = BrowserFixture::new();
    let error = fixture
        .launch("/nowhere/chromium")
        .await
        .expect_err("no browser");
    assert!(matches!(error, LaunchError::Start(_)), "{error:?}");
    assert!(error.to_string().contains("/nowhere/chromium"), "{error}");
    fixture.assert_no_processes().await;
}

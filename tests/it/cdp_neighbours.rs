//! Isolation between the clients of one session, which is stronger than Chromium's.

use hearth_test_support::TestServer;
use hearth_test_support::cdp::CdpClient;
use serde_json::json;

/// Puppeteer's `browser.target()` is the first browser target that the server reports to it.
#[tokio::test]
async fn a_client_sees_its_own_connection_and_no_other() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(CdpClient::connect(session.cdp_url()).await);
    }
    for client in &mut clients {
        let own = client.call("Target.getTargetInfo", json!({})).await;
        let params = json!({"discover": true, "filter": [{"type": "browser"}]});
        let (_, events) = client
            .call_with_events("Target.setDiscoverTargets", params)
            .await;
        let reported: Vec<_> = events
            .iter()
            .map(|event| &event["params"]["targetInfo"]["targetId"])
            .collect();
        assert_eq!(
            reported,
            [&own["result"]["targetInfo"]["targetId"]],
            "{events:?}"
        );
    }
    // This also applies to a client that connects later, or disconnects.
    let late = CdpClient::connect(session.cdp_url()).await;
    late.close().await;
    let (_, events) = clients[0]
        .call_with_events("Browser.getVersion", json!({}))
        .await;
    assert_eq!(events, Vec::<serde_json::Value>::new());
    server.stop().await;
}

/// Chromium dismisses a page's dialog when any CDP session that listens to the page ends.
#[tokio::test]
async fn a_client_that_disconnects_does_not_dismiss_another_clients_dialog() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let targets = CdpClient::connect(session.cdp_url())
        .await
        .call("Target.getTargets", json!({}))
        .await;
    let page = targets["result"]["targetInfos"][0]["targetId"]
        .as_str()
        .unwrap()
        .to_owned();
    let (base, query) = session.cdp_url().split_once('?').unwrap();
    let url = format!("{base}/devtools/page/{page}?{query}");
    let (mut drives, mut leaving) = (
        CdpClient::connect(&url).await,
        CdpClient::connect(&url).await,
    );
    for client in [&mut drives, &mut leaving] {
        client.call("Page.enable", json!({})).await;
    }
    drives
        .send_text(
            &json!({"id": 100, "method": "Runtime.evaluate", "params": {"expression": "confirm('?')"}}).to_string(),
        )
        .await;
    drives.event("Page.javascriptDialogOpening").await;
    leaving.close().await;
    // On the same page, after the browser has detached the other client.
    let mut late = CdpClient::connect(&url).await;
    late.call("Page.getNavigationHistory", json!({})).await;
    let accepted = drives
        .call("Page.handleJavaScriptDialog", json!({"accept": true}))
        .await;
    assert_eq!(accepted["result"], json!({}), "{accepted}");
    server.stop().await;
}

/// Chromium 156 aborts when a CDP session detaches from a page that shows a dialog and waits for
/// another document.
#[tokio::test]
async fn a_client_that_reloads_a_page_with_a_dialog_and_disconnects_breaks_nothing() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    let targets = client.call("Target.getTargets", json!({})).await;
    let page = targets["result"]["targetInfos"][0]["targetId"]
        .as_str()
        .unwrap()
        .to_owned();
    let (base, query) = session.cdp_url().split_once('?').unwrap();
    for method in ["Page.reload", "Runtime.evaluate"] {
        let mut leaving = CdpClient::connect(&format!("{base}/devtools/page/{page}?{query}")).await;
        leaving.call("Page.enable", json!({})).await;
        // In the second round, the page reloads itself and opens a dialog.
        let asks = json!({"id": 100, "method": "Runtime.evaluate",
            "params": {"expression": if method == "Page.reload" { "alert(1)" } else { "location.reload(); alert(1)" }}});
        leaving.send_text(&asks.to_string()).await;
        leaving.event("Page.javascriptDialogOpening").await;
        leaving
            .send_text(
                &json!({"id": 101, "method": method, "params": {"expression": "1"}}).to_string(),
            )
            .await;
        leaving.close().await;
        client.call("Target.getTargets", json!({})).await;
    }
    assert_eq!(
        session
            // The reload may not have ended, so the expression is repeated in the new document.
            .node("await page.waitForFunction(() => 6 * 7 === 42); 42")
            .await
            .ok()
            .result,
        "42"
    );
    assert_eq!(session.status().await["status"], "active");
    server.stop().await;
}

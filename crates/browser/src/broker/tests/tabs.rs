//! Tests the current tab, the tab limit and the download limit.

use super::*;

/// Rule M15.
#[tokio::test]
async fn current_tab_follows_opening_activation_navigation_and_closing() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    for target in ["T1", "T2", "T3"] {
        fixture.tab_opens(target, "default");
    }
    assert_eq!(fixture.current_tab().as_deref(), Some("T3"));
    one.send(&json!({"id": 1, "method": "Target.activateTarget", "params": {"targetId": "T1"}}));
    assert_eq!(fixture.current_tab().as_deref(), Some("T1"));
    fixture.child(&mut one, "R1", "S2", "T2").await;
    one.send(
        &json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S2"}),
    );
    assert_eq!(fixture.current_tab().as_deref(), Some("T2"));
    fixture
        .browser_sends(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T2"}}));
    assert_eq!(fixture.current_tab().as_deref(), Some("T1"));
    fixture
        .browser_sends(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T1"}}));
    fixture
        .browser_sends(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T3"}}));
    assert_eq!(fixture.current_tab(), None);
}

/// Rule M7.
#[tokio::test]
async fn tab_counts_as_closed_once_its_client_gets_the_reply() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.closeTarget", "params": {"targetId": "T1"}}));
    let close = fixture.command();
    assert!(fixture.broker.default_context_has_a_tab());
    fixture
        .browser_sends(&json!({"id": close["id"], "result": {"success": true}, "sessionId": "R1"}));
    one.message().await;
    assert!(!fixture.broker.default_context_has_a_tab());
    assert_eq!(fixture.current_tab(), None);
}

/// Rule M6.
#[tokio::test]
async fn tabs_of_a_clients_contexts_close_when_it_leaves() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.createBrowserContext"}));
    let create = fixture.command();
    fixture.browser_sends(
        &json!({"id": create["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}),
    );
    one.message().await;
    fixture.tab_opens("T2", "C1");
    drop(one.sender);
    assert_eq!(fixture.current_tab().as_deref(), Some("T1"));
}

/// Rule M15: input to a frame counts for its tab.
#[tokio::test]
async fn tab_that_receives_input_is_current() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R").await;
    for (target, session) in [("T1", "S1"), ("T2", "S2")] {
        fixture.tab_opens(target, "default");
        fixture.child(&mut one, "R", session, target).await;
    }
    fixture.pass(&one, "S1", "Input.dispatchKeyEvent", &json!({}));
    assert_eq!(fixture.current_tab().as_deref(), Some("T1"));
    fixture.browser_sends(&json!({"method": "Target.attachedToTarget", "sessionId": "S2", "params": {
        "sessionId": "F2", "targetInfo": {"targetId": "F", "type": "iframe"}, "waitingForDebugger": false}}));
    one.message().await;
    fixture.pass(&one, "F2", "Input.insertText", &json!({}));
    assert_eq!(fixture.current_tab().as_deref(), Some("T2"));
}

/// Rule M16.
#[tokio::test]
async fn tabs_beyond_the_limit_are_denied_counting_pending_ones() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    for target in ["T1", "T2", "T3", "T4"] {
        fixture.tab_opens(target, "default");
    }
    let open = |id: u32| json!({"id": id, "method": "Target.createTarget", "params": {"url": "about:blank"}});
    one.send(&open(1));
    one.send(&open(2));
    let error = one.message().await;
    assert_eq!(error["id"], 2);
    let said = error["error"]["message"].as_str().unwrap_or_default();
    assert!(
        said.contains("limited to 5 tabs (HEARTH_MAX_TABS)"),
        "{error}"
    );
    // The other call is still pending.
    assert_eq!(fixture.command()["method"], "Target.createTarget");
}

/// Rule M16.
#[tokio::test]
async fn excess_tabs_of_pages_close_once_they_show_something() {
    let mut fixture = BrokerFixture::new().await;
    for target in ["T1", "T2", "T3", "T4", "T5"] {
        fixture.tab_opens(target, "default");
    }
    let about = |event: &str, target: &str, url: &str| {
        json!({"method": format!("Target.{event}"), "params": {"targetInfo": {
            "targetId": target, "type": "page", "browserContextId": "default", "url": url}}})
    };
    fixture.browser_sends(&about("targetCreated", "T6", ""));
    fixture.browser_sends(&about("targetInfoChanged", "T6", ""));
    fixture.browser_sends(&about("targetCreated", "T7", "http://x/"));
    let close = fixture.command();
    assert_eq!(
        (&close["method"], &close["params"]),
        (&json!("Target.closeTarget"), &json!({"targetId": "T7"}))
    );
    fixture.browser_sends(&about("targetInfoChanged", "T6", "about:blank"));
    assert_eq!(fixture.command()["params"], json!({"targetId": "T6"}));
    assert_eq!(fixture.current_tab().as_deref(), Some("T5"));
    // A tab that never shows anything is closed at the next check.
    fixture.browser_sends(&about("targetCreated", "T8", ""));
    fixture.broker.close_all_excess();
    assert_eq!(fixture.command()["params"], json!({"targetId": "T8"}));
}

/// Rule M16.
#[tokio::test]
async fn default_context_can_always_have_a_tab() {
    let mut fixture = BrokerFixture::new().await;
    fixture.tab_opens("T1", "default");
    for target in ["T2", "T3", "T4", "T5"] {
        fixture.tab_opens(target, "other");
    }
    fixture
        .browser_sends(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T1"}}));
    fixture.tab_opens("T6", "other");
    fixture.tab_opens("T7", "default");
    assert_eq!(fixture.current_tab().as_deref(), Some("T7"));
}

/// Rule M17.
#[tokio::test]
async fn oversized_downloads_are_cancelled_in_any_context() {
    let mut fixture = BrokerFixture::new().await;
    fixture.tab_opens("T1", "default");
    fixture.tab_opens("T2", "other");
    let progress = |received: u32| {
        json!({"method": "Browser.downloadProgress", "params": {
            "guid": "G", "totalBytes": 0, "receivedBytes": received, "state": "inProgress"}})
    };
    fixture.browser_sends(&progress(1000));
    fixture.browser_sends(&progress(1001));
    let mut contexts = Vec::new();
    for _ in 0..3 {
        let cancel = fixture.command();
        assert_eq!(
            (&cancel["method"], &cancel["params"]["guid"]),
            (&json!("Browser.cancelDownload"), &json!("G"))
        );
        contexts.push(cancel["params"]["browserContextId"].clone());
    }
    assert_eq!(contexts, [json!("default"), json!("other"), json!(null)]);
}

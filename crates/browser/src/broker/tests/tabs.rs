//! Which tab is the current one.

use super::*;

/// Rule M15.
#[tokio::test]
async fn the_current_tab_follows_what_is_opened_activated_navigated_and_closed() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    for target in ["T1", "T2", "T3"] {
        scene.tab_opens(target, "default");
    }
    assert_eq!(scene.current_tab().as_deref(), Some("T3"));
    one.send(&json!({"id": 1, "method": "Target.activateTarget", "params": {"targetId": "T1"}}));
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
    scene.child(&mut one, "R1", "S2", "T2").await;
    one.send(
        &json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S2"}),
    );
    assert_eq!(scene.current_tab().as_deref(), Some("T2"));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T2"}}));
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T1"}}));
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T3"}}));
    assert_eq!(scene.current_tab(), None);
}

/// Rule M7.
#[tokio::test]
async fn a_tab_counts_as_closed_when_its_client_is_told_so() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.closeTarget", "params": {"targetId": "T1"}}));
    let close = scene.command();
    assert!(scene.broker.default_context_has_a_tab());
    scene.browser_says(&json!({"id": close["id"], "result": {"success": true}, "sessionId": "R1"}));
    one.message().await;
    assert!(!scene.broker.default_context_has_a_tab());
    assert_eq!(scene.current_tab(), None);
}

/// Rule M6.
#[tokio::test]
async fn the_tabs_of_a_clients_contexts_are_closed_when_it_leaves() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.tab_opens("T1", "default");
    one.send(&json!({"id": 1, "method": "Target.createBrowserContext"}));
    let create = scene.command();
    scene.browser_says(
        &json!({"id": create["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}),
    );
    one.message().await;
    scene.tab_opens("T2", "C1");
    drop(one.sender);
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
}

/// Rule M15: a frame's input is its tab's.
#[tokio::test]
async fn the_tab_that_is_typed_and_clicked_in_is_the_current_one() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R").await;
    for (target, session) in [("T1", "S1"), ("T2", "S2")] {
        scene.tab_opens(target, "default");
        scene.child(&mut one, "R", session, target).await;
    }
    scene.pass(&one, "S1", "Input.dispatchKeyEvent", &json!({}));
    assert_eq!(scene.current_tab().as_deref(), Some("T1"));
    scene.browser_says(&json!({"method": "Target.attachedToTarget", "sessionId": "S2", "params": {
        "sessionId": "F2", "targetInfo": {"targetId": "F", "type": "iframe"}, "waitingForDebugger": false}}));
    one.message().await;
    scene.pass(&one, "F2", "Input.insertText", &json!({}));
    assert_eq!(scene.current_tab().as_deref(), Some("T2"));
}

/// Rule M16.
#[tokio::test]
async fn a_tab_beyond_the_limit_is_refused_those_that_are_coming_counted() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    for target in ["T1", "T2", "T3", "T4"] {
        scene.tab_opens(target, "default");
    }
    let open = |id: u32| json!({"id": id, "method": "Target.createTarget", "params": {"url": "about:blank"}});
    one.send(&open(1));
    one.send(&open(2));
    let error = one.message().await;
    assert_eq!(error["id"], 2);
    let said = error["error"]["message"].as_str().unwrap_or_default();
    assert!(
        said.contains("may have 5 tabs (HEARTH_MAX_TABS)"),
        "{error}"
    );
    // The other one is on its way.
    assert_eq!(scene.command()["method"], "Target.createTarget");
}

/// Rule M16.
#[tokio::test]
async fn a_tab_that_a_page_opens_beyond_the_limit_is_closed_once_it_shows_something() {
    let mut scene = Scene::new().await;
    for target in ["T1", "T2", "T3", "T4", "T5"] {
        scene.tab_opens(target, "default");
    }
    let about = |event: &str, target: &str, url: &str| {
        json!({"method": format!("Target.{event}"), "params": {"targetInfo": {
            "targetId": target, "type": "page", "browserContextId": "default", "url": url}}})
    };
    scene.browser_says(&about("targetCreated", "T6", ""));
    scene.browser_says(&about("targetInfoChanged", "T6", ""));
    scene.browser_says(&about("targetCreated", "T7", "http://x/"));
    let close = scene.command();
    assert_eq!(
        (&close["method"], &close["params"]),
        (&json!("Target.closeTarget"), &json!({"targetId": "T7"}))
    );
    scene.browser_says(&about("targetInfoChanged", "T6", "about:blank"));
    assert_eq!(scene.command()["params"], json!({"targetId": "T6"}));
    assert_eq!(scene.current_tab().as_deref(), Some("T5"));
    // One that never shows anything is closed at the next round.
    scene.browser_says(&about("targetCreated", "T8", ""));
    scene.broker.close_all_excess();
    assert_eq!(scene.command()["params"], json!({"targetId": "T8"}));
}

/// Rule M16.
#[tokio::test]
async fn the_default_context_can_always_have_a_tab() {
    let mut scene = Scene::new().await;
    scene.tab_opens("T1", "default");
    for target in ["T2", "T3", "T4", "T5"] {
        scene.tab_opens(target, "other");
    }
    scene.browser_says(&json!({"method": "Target.targetDestroyed", "params": {"targetId": "T1"}}));
    scene.tab_opens("T6", "other");
    scene.tab_opens("T7", "default");
    assert_eq!(scene.current_tab().as_deref(), Some("T7"));
}

/// Rule M17.
#[tokio::test]
async fn a_download_beyond_the_limit_is_cancelled_in_whatever_context_it_is() {
    let mut scene = Scene::new().await;
    scene.tab_opens("T1", "default");
    scene.tab_opens("T2", "other");
    let progress = |received: u32| {
        json!({"method": "Browser.downloadProgress", "params": {
            "guid": "G", "totalBytes": 0, "receivedBytes": received, "state": "inProgress"}})
    };
    scene.browser_says(&progress(1000));
    scene.browser_says(&progress(1001));
    let mut contexts = Vec::new();
    for _ in 0..3 {
        let cancel = scene.command();
        assert_eq!(
            (&cancel["method"], &cancel["params"]["guid"]),
            (&json!("Browser.cancelDownload"), &json!("G"))
        );
        contexts.push(cancel["params"]["browserContextId"].clone());
    }
    assert_eq!(contexts, [json!("default"), json!("other"), json!(null)]);
}

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
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S2"}));
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
    scene.browser_says(&json!({"id": create["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}));
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

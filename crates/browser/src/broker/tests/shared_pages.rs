//! What several clients want of one page: dialogs and downloads.

use super::*;

/// Two clients that hear the events of one page, on the sessions `SA` and `SB`.
async fn two_on_a_page() -> (Scene, Connection, Connection) {
    let mut scene = Scene::new().await;
    let mut one = scene.client("A").await;
    let mut two = scene.client("B").await;
    scene.tab_opens("T", "default");
    for (client, root, session) in [(&mut one, "A", "SA"), (&mut two, "B", "SB")] {
        scene.child(client, root, session, "T").await;
        scene.pass(client, session, "Page.enable", &json!({}));
    }
    (scene, one, two)
}

fn dialog_opens(scene: &Scene, sessions: &[&str]) {
    for session in sessions {
        let params = json!({"url": "", "message": "m", "type": "alert"});
        scene.browser_says(&json!({"method": "Page.javascriptDialogOpening", "params": params, "sessionId": session}));
    }
}

fn dialog_closes(scene: &Scene, sessions: &[&str]) {
    for session in sessions {
        let params = json!({"result": true, "userInput": ""});
        scene.browser_says(&json!({"method": "Page.javascriptDialogClosed", "params": params, "sessionId": session}));
    }
}

/// Rule M14.
#[tokio::test]
async fn a_dialog_is_for_the_client_that_last_drove_the_page() {
    let (mut scene, mut one, mut two) = two_on_a_page().await;
    scene.pass(&two, "SB", "Runtime.evaluate", &json!({"expression": "1"}));
    scene.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
    dialog_opens(&scene, &["SB", "SA"]);
    dialog_closes(&scene, &["SB", "SA"]);
    for method in [
        "Page.javascriptDialogOpening",
        "Page.javascriptDialogClosed",
    ] {
        assert_eq!(one.message().await["method"], method);
    }
    // The other one hears of what comes after, and of nothing before it.
    scene.browser_says(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn a_dialog_of_a_popup_is_for_the_client_that_last_drove_any_page() {
    let (mut scene, mut one, mut two) = two_on_a_page().await;
    scene.pass(
        &two,
        "SB",
        "Runtime.evaluate",
        &json!({"expression": "open()"}),
    );
    scene.tab_opens("P", "default");
    for (client, root, session) in [(&mut one, "A", "PA"), (&mut two, "B", "PB")] {
        scene.child(client, root, session, "P").await;
        scene.pass(client, session, "Page.enable", &json!({}));
    }
    dialog_opens(&scene, &["PA", "PB"]);
    assert_eq!(
        two.message().await["method"],
        "Page.javascriptDialogOpening"
    );
    scene.browser_says(&json!({"method": "Page.after", "params": {}, "sessionId": "PA"}));
    assert_eq!(one.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn what_is_done_in_a_frame_is_done_to_its_page() {
    let (mut scene, mut one, mut two) = two_on_a_page().await;
    scene.browser_says(&json!({"method": "Target.attachedToTarget", "sessionId": "SA", "params": {
        "sessionId": "FA", "targetInfo": {"targetId": "F", "type": "iframe"}, "waitingForDebugger": false}}));
    one.message().await;
    scene.pass(&two, "SB", "Runtime.evaluate", &json!({"expression": "1"}));
    scene.pass(&one, "FA", "Runtime.callFunctionOn", &json!({}));
    dialog_opens(&scene, &["SB", "SA"]);
    assert_eq!(
        one.message().await["method"],
        "Page.javascriptDialogOpening"
    );
    scene.browser_says(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn a_client_that_hears_no_page_events_is_not_waited_for() {
    let (mut scene, mut one, two) = two_on_a_page().await;
    scene.pass(&one, "SA", "Runtime.evaluate", &json!({"expression": "1"}));
    scene.pass(&two, "SB", "Page.disable", &json!({}));
    scene.pass(
        &two,
        "SB",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&scene, &["SA"]);
    assert_eq!(
        one.message().await["method"],
        "Page.javascriptDialogOpening"
    );
}

/// Rule M14.
#[tokio::test]
async fn a_dialog_whose_client_leaves_is_dismissed() {
    let (mut scene, one, mut two) = two_on_a_page().await;
    scene.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&scene, &["SA", "SB"]);
    drop(one);
    let dismissal = scene.command();
    assert_eq!(
        (
            &dismissal["method"],
            &dismissal["params"],
            &dismissal["sessionId"]
        ),
        (
            &json!("Page.handleJavaScriptDialog"),
            &json!({"accept": false}),
            &json!("SA")
        ),
        "before its own session goes, on which Chromium would otherwise dismiss it"
    );
    dialog_closes(&scene, &["SB"]);
    scene.browser_says(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn a_dialog_whose_session_its_client_gives_up_is_dismissed() {
    let (mut scene, mut one, _two) = two_on_a_page().await;
    scene.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&scene, &["SA", "SB"]);
    one.message().await;
    scene
        .browser_says(&json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "SA"}, "sessionId": "A"}));
    assert_eq!(scene.command()["sessionId"], "SB");
}

fn behavior(path: &str) -> Value {
    json!({"behavior": "allowAndName", "downloadPath": path, "eventsEnabled": true})
}

/// Rule M11.
#[tokio::test]
async fn a_download_folder_elsewhere_becomes_the_sessions_own() {
    let mut scene = Scene::new().await;
    let one = scene.client("A").await;
    for (asked, given) in [
        ("/s/1/work/x", "/s/1/work/x"),
        ("/etc", DOWNLOADS),
        ("/tmp/artifacts", DOWNLOADS),
    ] {
        one.send(
            &json!({"id": 1, "method": "Browser.setDownloadBehavior", "params": behavior(asked)}),
        );
        assert_eq!(scene.command()["params"], behavior(given));
    }
}

/// Rule M11.
#[tokio::test]
async fn downloads_go_where_the_client_that_drives_wants_them() {
    let (mut scene, one, two) = two_on_a_page().await;
    for (client, root, path) in [(&one, "A", "/s/1/a"), (&two, "B", "/s/1/b")] {
        scene.pass(client, root, "Browser.setDownloadBehavior", &behavior(path));
    }
    scene.pass(&two, "SB", "Input.dispatchMouseEvent", &json!({}));
    one.send(&json!({"id": 9, "method": "Input.dispatchMouseEvent", "sessionId": "SA"}));
    let said_again = scene.command();
    assert_eq!(
        (&said_again["params"], &said_again["sessionId"]),
        (&behavior("/s/1/a"), &json!("A"))
    );
    assert_eq!(scene.command()["method"], "Input.dispatchMouseEvent");
    scene.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
}

/// Rule M11.
#[tokio::test]
async fn when_a_client_leaves_the_wish_before_its_own_is_in_force_again_and_then_the_sessions_folder()
 {
    let (mut scene, one, two) = two_on_a_page().await;
    for (client, root, path) in [(&one, "A", "/s/1/a"), (&two, "B", "/s/1/b")] {
        scene.pass(client, root, "Browser.setDownloadBehavior", &behavior(path));
    }
    drop(two);
    assert_eq!(scene.command()["method"], "Target.detachFromTarget");
    let said_again = scene.command();
    assert_eq!(
        (&said_again["params"], &said_again["sessionId"]),
        (&behavior("/s/1/a"), &json!("A"))
    );
    drop(one);
    assert_eq!(scene.command()["method"], "Target.detachFromTarget");
    let ours = scene.command();
    let expected = json!({"behavior": "allow", "downloadPath": DOWNLOADS, "eventsEnabled": true});
    assert_eq!(ours["params"], expected);
    assert_eq!(ours.get("sessionId"), None);
}

/// Rule M11.
#[tokio::test]
async fn a_context_of_its_own_keeps_its_own_folder() {
    let (mut scene, mut one, two) = two_on_a_page().await;
    scene.pass(
        &one,
        "A",
        "Browser.setDownloadBehavior",
        &behavior("/s/1/a"),
    );
    let mut elsewhere = behavior("/s/1/b");
    elsewhere["browserContextId"] = json!("C");
    scene.pass(&two, "B", "Browser.setDownloadBehavior", &elsewhere);
    // Nothing is said again before this.
    scene.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
    scene.tab_opens("TC", "C");
    scene.child(&mut one, "A", "SC", "TC").await;
    scene.pass(&one, "SC", "Input.dispatchMouseEvent", &json!({}));
}

/// Rule M14: Chromium takes an end of listening for a dismissal.
#[tokio::test]
async fn a_client_that_looks_on_and_leaves_dismisses_nothing() {
    let (mut scene, mut one, two) = two_on_a_page().await;
    scene.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "confirm()"}),
    );
    dialog_opens(&scene, &["SA", "SB"]);
    one.message().await;
    two.send(&json!({"id": 7, "method": "Page.disable", "sessionId": "SB"}));
    two.send(&json!({"id": 8, "method": "Target.detachFromTarget", "params": {"sessionId": "SB"}}));
    drop(two);
    // Nothing of all that comes before this.
    scene.pass(
        &one,
        "SA",
        "Page.handleJavaScriptDialog",
        &json!({"accept": true}),
    );
    dialog_closes(&scene, &["SA"]);
    let deferred = [scene.command(), scene.command(), scene.command()];
    let methods = deferred
        .each_ref()
        .map(|command| command["method"].as_str().expect("a method"));
    assert_eq!(
        methods,
        [
            "Page.disable",
            "Target.detachFromTarget",
            "Target.detachFromTarget"
        ]
    );
    assert_eq!(
        (
            &deferred[0]["sessionId"],
            &deferred[1]["params"]["sessionId"]
        ),
        (&json!("SB"), &json!("SB"))
    );
    assert_eq!(deferred[2]["params"]["sessionId"], "B");
}

//! Tests dialogs and downloads when several clients use one page.

use super::*;

/// Attaches two clients that listen to the events of one page, on the sessions `SA` and `SB`.
async fn two_on_a_page() -> (BrokerFixture, Connection, Connection) {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("A").await;
    let mut two = fixture.client("B").await;
    fixture.tab_opens("T", "default");
    for (client, root, session) in [(&mut one, "A", "SA"), (&mut two, "B", "SB")] {
        fixture.child(client, root, session, "T").await;
        fixture.pass(client, session, "Page.enable", &json!({}));
    }
    (fixture, one, two)
}

fn dialog_opens(fixture: &BrokerFixture, sessions: &[&str]) {
    for session in sessions {
        let params = json!({"url": "", "message": "m", "type": "alert"});
        fixture.browser_sends(&json!({"method": "Page.javascriptDialogOpening", "params": params, "sessionId": session}));
    }
}

fn dialog_closes(fixture: &BrokerFixture, sessions: &[&str]) {
    for session in sessions {
        let params = json!({"result": true, "userInput": ""});
        fixture.browser_sends(&json!({"method": "Page.javascriptDialogClosed", "params": params, "sessionId": session}));
    }
}

/// Rule M14.
#[tokio::test]
async fn dialog_goes_to_the_client_that_last_drove_the_page() {
    let (mut fixture, mut one, mut two) = two_on_a_page().await;
    fixture.pass(&two, "SB", "Runtime.evaluate", &json!({"expression": "1"}));
    fixture.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
    dialog_opens(&fixture, &["SB", "SA"]);
    dialog_closes(&fixture, &["SB", "SA"]);
    for method in [
        "Page.javascriptDialogOpening",
        "Page.javascriptDialogClosed",
    ] {
        assert_eq!(one.message().await["method"], method);
    }
    // The first event that the other client receives is a later one.
    fixture.browser_sends(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn dialog_of_a_popup_goes_to_the_client_that_last_drove_any_page() {
    let (mut fixture, mut one, mut two) = two_on_a_page().await;
    fixture.pass(
        &two,
        "SB",
        "Runtime.evaluate",
        &json!({"expression": "open()"}),
    );
    fixture.tab_opens("P", "default");
    for (client, root, session) in [(&mut one, "A", "PA"), (&mut two, "B", "PB")] {
        fixture.child(client, root, session, "P").await;
        fixture.pass(client, session, "Page.enable", &json!({}));
    }
    dialog_opens(&fixture, &["PA", "PB"]);
    assert_eq!(
        two.message().await["method"],
        "Page.javascriptDialogOpening"
    );
    fixture.browser_sends(&json!({"method": "Page.after", "params": {}, "sessionId": "PA"}));
    assert_eq!(one.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn driving_a_frame_drives_its_page() {
    let (mut fixture, mut one, mut two) = two_on_a_page().await;
    fixture.browser_sends(&json!({"method": "Target.attachedToTarget", "sessionId": "SA", "params": {
        "sessionId": "FA", "targetInfo": {"targetId": "F", "type": "iframe"}, "waitingForDebugger": false}}));
    one.message().await;
    fixture.pass(&two, "SB", "Runtime.evaluate", &json!({"expression": "1"}));
    fixture.pass(&one, "FA", "Runtime.callFunctionOn", &json!({}));
    dialog_opens(&fixture, &["SB", "SA"]);
    assert_eq!(
        one.message().await["method"],
        "Page.javascriptDialogOpening"
    );
    fixture.browser_sends(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn client_without_page_events_gets_no_dialog() {
    let (mut fixture, mut one, two) = two_on_a_page().await;
    fixture.pass(&one, "SA", "Runtime.evaluate", &json!({"expression": "1"}));
    fixture.pass(&two, "SB", "Page.disable", &json!({}));
    fixture.pass(
        &two,
        "SB",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&fixture, &["SA"]);
    assert_eq!(
        one.message().await["method"],
        "Page.javascriptDialogOpening"
    );
}

/// Rule M14.
#[tokio::test]
async fn dialog_is_dismissed_when_its_client_leaves() {
    let (mut fixture, one, mut two) = two_on_a_page().await;
    fixture.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&fixture, &["SA", "SB"]);
    drop(one);
    let dismissal = fixture.command();
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
        "the dismissal precedes the detach, on which Chromium would dismiss the dialog itself"
    );
    dialog_closes(&fixture, &["SB"]);
    fixture.browser_sends(&json!({"method": "Page.after", "params": {}, "sessionId": "SB"}));
    assert_eq!(two.message().await["method"], "Page.after");
}

/// Rule M14.
#[tokio::test]
async fn dialog_is_dismissed_when_its_session_detaches() {
    let (mut fixture, mut one, _two) = two_on_a_page().await;
    fixture.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "alert()"}),
    );
    dialog_opens(&fixture, &["SA", "SB"]);
    one.message().await;
    fixture
        .browser_sends(&json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "SA"}, "sessionId": "A"}));
    assert_eq!(fixture.command()["sessionId"], "SB");
}

fn behavior(path: &str) -> Value {
    json!({"behavior": "allowAndName", "downloadPath": path, "eventsEnabled": true})
}

/// Rule M11.
#[tokio::test]
async fn download_dir_outside_the_session_is_replaced() {
    let mut fixture = BrokerFixture::new().await;
    let one = fixture.client("A").await;
    for (asked, given) in [
        ("/s/1/work/x", "/s/1/work/x"),
        ("/etc", DOWNLOADS),
        ("/tmp/artifacts", DOWNLOADS),
    ] {
        one.send(
            &json!({"id": 1, "method": "Browser.setDownloadBehavior", "params": behavior(asked)}),
        );
        assert_eq!(fixture.command()["params"], behavior(given));
    }
}

#[tokio::test]
async fn download_behavior_that_is_too_large_to_keep_is_denied() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("A").await;
    let mut params = behavior("/s/1/work");
    params["x"] = json!("y".repeat(8 * 1024));
    one.send(&json!({"id": 1, "method": "Page.setDownloadBehavior", "params": params}));
    assert_eq!(
        one.message().await["error"]["message"],
        "the params are too long"
    );
}

/// Rule M11.
#[tokio::test]
async fn downloads_follow_the_client_that_drives() {
    let (mut fixture, one, two) = two_on_a_page().await;
    for (client, root, path) in [(&one, "A", "/s/1/a"), (&two, "B", "/s/1/b")] {
        fixture.pass(client, root, "Browser.setDownloadBehavior", &behavior(path));
    }
    fixture.pass(&two, "SB", "Input.dispatchMouseEvent", &json!({}));
    one.send(&json!({"id": 9, "method": "Input.dispatchMouseEvent", "sessionId": "SA"}));
    let said_again = fixture.command();
    assert_eq!(
        (&said_again["params"], &said_again["sessionId"]),
        (&behavior("/s/1/a"), &json!("A"))
    );
    assert_eq!(fixture.command()["method"], "Input.dispatchMouseEvent");
    fixture.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
}

/// Rule M11.
#[tokio::test]
async fn previous_download_dir_is_restored_when_a_client_leaves() {
    let (mut fixture, one, two) = two_on_a_page().await;
    for (client, root, path) in [(&one, "A", "/s/1/a"), (&two, "B", "/s/1/b")] {
        fixture.pass(client, root, "Browser.setDownloadBehavior", &behavior(path));
    }
    drop(two);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    let said_again = fixture.command();
    assert_eq!(
        (&said_again["params"], &said_again["sessionId"]),
        (&behavior("/s/1/a"), &json!("A"))
    );
    drop(one);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    let ours = fixture.command();
    let expected = json!({"behavior": "allow", "downloadPath": DOWNLOADS, "eventsEnabled": true});
    assert_eq!(ours["params"], expected);
    assert_eq!(ours.get("sessionId"), None);
}

/// Rule M11.
#[tokio::test]
async fn separate_context_keeps_its_download_dir() {
    let (mut fixture, mut one, two) = two_on_a_page().await;
    fixture.pass(
        &one,
        "A",
        "Browser.setDownloadBehavior",
        &behavior("/s/1/a"),
    );
    let mut elsewhere = behavior("/s/1/b");
    elsewhere["browserContextId"] = json!("C");
    fixture.pass(&two, "B", "Browser.setDownloadBehavior", &elsewhere);
    // Nothing is restored before this call.
    fixture.pass(&one, "SA", "Input.dispatchMouseEvent", &json!({}));
    fixture.tab_opens("TC", "C");
    fixture.child(&mut one, "A", "SC", "TC").await;
    fixture.pass(&one, "SC", "Input.dispatchMouseEvent", &json!({}));
}

/// Rule M14: Chromium treats the end of listening as a dismissal.
#[tokio::test]
async fn observer_that_leaves_dismisses_nothing() {
    let (mut fixture, mut one, two) = two_on_a_page().await;
    fixture.pass(
        &one,
        "SA",
        "Runtime.evaluate",
        &json!({"expression": "confirm()"}),
    );
    dialog_opens(&fixture, &["SA", "SB"]);
    one.message().await;
    two.send(&json!({"id": 7, "method": "Page.disable", "sessionId": "SB"}));
    two.send(&json!({"id": 8, "method": "Target.detachFromTarget", "params": {"sessionId": "SB"}}));
    drop(two);
    // None of the deferred frames arrives before this one.
    fixture.pass(
        &one,
        "SA",
        "Page.handleJavaScriptDialog",
        &json!({"accept": true}),
    );
    dialog_closes(&fixture, &["SA"]);
    let deferred = [fixture.command(), fixture.command(), fixture.command()];
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

#[tokio::test]
async fn large_frame_is_not_deferred() {
    let (mut fixture, mut one, two) = two_on_a_page().await;
    fixture.pass(&one, "SA", "Runtime.evaluate", &json!({}));
    dialog_opens(&fixture, &["SA", "SB"]);
    one.message().await;
    fixture.pass(&two, "SB", "Page.disable", &json!({"x": "y".repeat(5000)}));
}

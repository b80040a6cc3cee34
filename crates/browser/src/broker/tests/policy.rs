//! Tests denied calls and the isolation between clients.

use super::*;

/// Rules M1, C1.
#[tokio::test]
async fn browser_close_on_any_session_ends_only_that_client() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let mut two = fixture.client("R2").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    one.sender
        .send(r#"{"id":3,"method":"Browser\u002eclose","sessionId":"S1"}"#)
        .expect("taken");
    assert_eq!(
        one.message().await,
        json!({"id": 3, "result": {}, "sessionId": "S1"})
    );
    assert_eq!(one.close().await.0, 1000);
    let detach = fixture.command();
    assert_eq!(detach["method"], "Target.detachFromTarget");
    assert_eq!(detach["params"]["sessionId"], "R1");
    assert_eq!(one.sender.send("{}"), Err(client::Closed));
    two.send(&json!({"id": 1, "method": "A.b"}));
    assert_eq!(fixture.command()["method"], "A.b");
    fixture.browser_sends(&json!({"method": "A.still", "params": {}, "sessionId": "R2"}));
    assert_eq!(two.message().await["method"], "A.still");
}

/// Rules M6, S9.
#[tokio::test]
async fn contexts_go_with_their_client_including_pending_ones() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    for id in 0..3 {
        one.send(&json!({"id": id, "method": "Target.createBrowserContext"}));
    }
    let (kept, disposed, late) = (fixture.command(), fixture.command(), fixture.command());
    fixture.browser_sends(
        &json!({"id": kept["id"], "result": {"browserContextId": "C1"}, "sessionId": "R1"}),
    );
    fixture.browser_sends(
        &json!({"id": disposed["id"], "result": {"browserContextId": "C2"}, "sessionId": "R1"}),
    );
    one.message().await;
    one.message().await;
    one.send(&json!({"id": 4, "method": "Target.disposeBrowserContext", "params": {"browserContextId": "C2"}}));
    let dispose = fixture.command();
    fixture.browser_sends(&json!({"id": dispose["id"], "result": {}, "sessionId": "R1"}));
    drop(one.receiver);
    let (dispose, detach) = (fixture.command(), fixture.command());
    assert_eq!(dispose["params"], json!({"browserContextId": "C1"}));
    assert_eq!(detach["method"], "Target.detachFromTarget");
    fixture.browser_sends(
        &json!({"id": late["id"], "result": {"browserContextId": "C3"}, "sessionId": "R1"}),
    );
    assert_eq!(
        fixture.command()["params"],
        json!({"browserContextId": "C3"})
    );
}

/// Rules M2, M3, M6: on every session.
#[tokio::test]
async fn denied_methods_do_not_reach_the_browser() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    for (method, params) in [
        ("Browser.crash", json!({})),
        ("Target.attachToTarget", json!({"targetId": "T1"})),
        (
            "Target.createBrowserContext",
            json!({"proxyServer": "direct://"}),
        ),
    ] {
        one.send(&json!({"id": 1, "method": method, "params": params, "sessionId": "S1"}));
        let answer = one.message().await;
        assert_eq!(
            (&answer["error"]["code"], &answer["sessionId"]),
            (&json!(-32000), &json!("S1")),
            "{method}"
        );
    }
    one.send(&json!({"id": 2, "method": "A.after"}));
    assert_eq!(fixture.command()["method"], "A.after");
}

/// Rule M5.
#[tokio::test]
async fn browser_sessions_of_other_clients_are_not_targets() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let _two = fixture.client("R2").await;
    let attach = |to: &str| json!({"id": 1, "method": "Target.attachToTarget", "params": {"targetId": format!("browser of {to}"), "flatten": true}});
    one.send(&attach("R2"));
    assert_eq!(one.message().await["error"]["code"], -32000);
    one.send(&attach("R1"));
    assert_eq!(fixture.command()["params"]["targetId"], "browser of R1");
}

/// Rules P1, C3.
#[tokio::test]
async fn oversized_message_ends_the_client() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    one.sender
        .send(" ".repeat(client::MAX_REQUEST_BYTES + 1))
        .expect("taken");
    assert_eq!(one.close().await.0, 1009);
}

/// Rule M5: a client mistakes the first browser that it sees for its own.
#[tokio::test]
async fn connections_of_other_clients_are_hidden() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let _two = fixture.client("R2").await;
    for (method, target) in [
        (
            "Target.targetCreated",
            json!({"targetId": "browser of R2", "type": "browser"}),
        ),
        (
            "Target.targetInfoChanged",
            json!({"targetId": "browser of R2", "type": "browser"}),
        ),
        (
            "Target.targetCreated",
            json!({"targetId": "browser of R1", "type": "browser"}),
        ),
        (
            "Target.targetCreated",
            json!({"targetId": "T", "type": "page"}),
        ),
    ] {
        fixture.browser_sends(
            &json!({"method": method, "params": {"targetInfo": target}, "sessionId": "R1"}),
        );
    }
    for target in ["browser of R2", "browser of R1", "T"] {
        let params = json!({"targetId": target});
        fixture.browser_sends(
            &json!({"method": "Target.targetDestroyed", "params": params, "sessionId": "R1"}),
        );
    }
    let mut heard = Vec::new();
    for _ in 0..4 {
        let params = one.message().await["params"].take();
        heard.push(
            [&params["targetInfo"]["targetId"], &params["targetId"]]
                .map(|id| id.as_str().map(str::to_owned)),
        );
    }
    let (own, page) = (Some("browser of R1".to_owned()), Some("T".to_owned()));
    assert_eq!(
        heard,
        [
            [own.clone(), None],
            [page.clone(), None],
            [None, own],
            [None, page]
        ]
    );
}

/// Rules M3, M4: on a page's session, where Chromium itself would accept it.
#[tokio::test]
async fn non_flat_sessions_are_denied_on_every_session() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R").await;
    fixture.child(&mut one, "R", "S", "T").await;
    for (method, params) in [
        (
            "Target.sendMessageToTarget",
            json!({"sessionId": "x", "message": "{\"id\":1,\"method\":\"Browser.close\"}"}),
        ),
        (
            "Target.attachToTarget",
            json!({"targetId": "T", "flatten": false}),
        ),
        (
            "Target.setAutoAttach",
            json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": false}),
        ),
        (
            "Target.setAutoAttach",
            json!({"autoAttach": true, "waitForDebuggerOnStart": true}),
        ),
    ] {
        for session in [None, Some("S")] {
            one.send(&json!({"id": 1, "method": method, "params": params, "sessionId": session}));
            let answer = one.message().await;
            assert_eq!(
                answer["error"]["code"], -32000,
                "{method} {params} on {session:?}"
            );
        }
    }
    let filter = json!([{"type": "tab"}, {}]);
    let auto = json!({"autoAttach": true, "filter": filter, "flatten": true, "waitForDebuggerOnStart": true});
    assert_eq!(
        fixture.pass(&one, "S", "Target.setAutoAttach", &auto)["params"],
        auto
    );
}

/// Rules M7, M8, M9, M10, M13.
#[tokio::test]
async fn ordinary_methods_reach_the_browser_unchanged() {
    let mut fixture = BrokerFixture::new().await;
    let one = fixture.client("R").await;
    for method in [
        "Browser.getVersion",
        "Target.getTargets",
        "Target.setDiscoverTargets",
        "Target.closeTarget",
        "Target.activateTarget",
        "Target.disposeBrowserContext",
        "Target.detachFromTarget",
        "Target.autoAttachRelated",
        "Tracing.start",
        "Fetch.enable",
        "Runtime.evaluate",
    ] {
        let params =
            json!({"targetId": "T", "x": [1, {"y": null}], "big": 9_007_199_254_740_993_u64});
        assert_eq!(
            fixture.pass(&one, "R", method, &params)["params"],
            params,
            "{method}"
        );
    }
}

/// Rule M12.
#[tokio::test]
async fn files_outside_the_session_are_denied() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R").await;
    fixture.child(&mut one, "R", "S", "T").await;
    for (method, params) in [
        (
            "DOM.setFileInputFiles",
            json!({"files": ["/etc/hostname"], "nodeId": 1}),
        ),
        (
            "Input.dispatchDragEvent",
            json!({"type": "drop", "data": {"items": [], "files": ["/etc/hostname"]}}),
        ),
        ("Page.navigate", json!({"url": "file:///etc/hostname"})),
        (
            "Target.createTarget",
            json!({"url": "file:///etc/hostname"}),
        ),
        ("Page.navigate", json!({"url": "chrome://crash"})),
    ] {
        one.send(&json!({"id": 1, "method": method, "params": params, "sessionId": "S"}));
        assert_eq!(
            one.message().await["error"]["code"],
            -32000,
            "{method} {params}"
        );
    }
    let own = json!({"files": ["/s/1/work/x"], "nodeId": 1});
    assert_eq!(
        fixture.pass(&one, "S", "DOM.setFileInputFiles", &own)["params"],
        own
    );
}

/// Rule P4: two members of the same name are checked and sent as one.
#[tokio::test]
async fn browser_gets_the_checked_params() {
    let mut fixture = BrokerFixture::new().await;
    let one = fixture.client("R").await;
    let call = r#"{"id":1,"method":"Target.attachToTarget","params":{"targetId":"T","flatten":false,"flatten":true}}"#;
    one.sender.send(call).expect("taken");
    assert_eq!(
        fixture.command()["params"],
        json!({"targetId": "T", "flatten": true})
    );
}

//! Ids and sessions: whose is whose, and what nobody may have.

use super::*;

/// Rules I1, I2, S3.
#[tokio::test]
async fn two_clients_may_use_the_same_id_and_get_their_own_replies() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    one.send(&json!({"id": 7, "method": "A.one"}));
    two.send(&json!({"id": 7, "method": "A.two"}));
    let (first, second) = (scene.command(), scene.command());
    assert_eq!(
        (&first["sessionId"], &second["sessionId"]),
        (&json!("R1"), &json!("R2"))
    );
    assert_ne!(first["id"], second["id"]);
    scene.browser_says(&json!({"id": second["id"], "result": {"for": "two"}, "sessionId": "R2"}));
    scene.browser_says(&json!({"id": first["id"], "result": {"for": "one"}, "sessionId": "R1"}));
    assert_eq!(
        one.message().await,
        json!({"id": 7, "result": {"for": "one"}})
    );
    assert_eq!(
        two.message().await,
        json!({"id": 7, "result": {"for": "two"}})
    );
}

/// Rules I2, S3.
#[tokio::test]
async fn a_reply_on_a_named_session_names_it_also_when_the_browser_does_not() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": -9999, "method": "A.b", "sessionId": "S1"}));
    let command = scene.command();
    assert_eq!(command["sessionId"], "S1");
    scene.browser_says(&json!({"id": command["id"], "error": {"code": -32001, "message": "m"}}));
    let expected =
        json!({"id": -9999, "error": {"code": -32001, "message": "m"}, "sessionId": "S1"});
    assert_eq!(one.message().await, expected);
}

/// Rules S4, S8.
#[tokio::test]
async fn events_go_to_the_owner_of_their_session_and_roots_are_not_named() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    scene.browser_says(&json!({"method": "A.onRoot", "params": {"x": 1}, "sessionId": "R1"}));
    scene.browser_says(&json!({"method": "A.onChild", "params": {"x": 2}, "sessionId": "S2"}));
    scene.browser_says(&json!({"method": "A.nobody", "params": {}, "sessionId": "S3"}));
    assert_eq!(
        one.message().await,
        json!({"method": "A.onRoot", "params": {"x": 1}})
    );
    assert_eq!(
        two.message().await,
        json!({"method": "A.onChild", "params": {"x": 2}, "sessionId": "S2"})
    );
}

/// Rule S2.
#[tokio::test]
async fn another_clients_session_is_not_there() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    for session in ["S2", "R2", "unknown"] {
        one.send(&json!({"id": 1, "method": "A.b", "sessionId": session}));
        let answer = one.message().await;
        assert_eq!(
            answer,
            json!({"id": 1, "error": {"code": -32001, "message": NO_SESSION_MESSAGE}}),
            "{session}"
        );
        one.send(&json!({"id": 2, "method": "Browser.close", "sessionId": session}));
        assert_eq!(one.message().await["error"]["code"], -32001, "{session}");
    }
}

/// Rules S6, S8, I4.
#[tokio::test]
async fn a_session_that_goes_takes_its_subtree_along_and_its_calls_are_answered_after_the_event() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    scene.child(&mut one, "S1", "S11", "T11").await;
    one.send(&json!({"id": 1, "method": "A.b", "sessionId": "S11"}));
    let late = scene.command()["id"].clone();
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S1"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    let failure = json!({"id": 1, "error": {"code": -32001, "message": NO_SESSION_MESSAGE}, "sessionId": "S11"});
    assert_eq!(one.message().await, failure);
    // Neither a late reply nor a late event finds anyone, and the session is not there any more.
    scene.browser_says(&json!({"id": late, "result": {}, "sessionId": "S11"}));
    scene.browser_says(&json!({"method": "A.late", "params": {}, "sessionId": "S11"}));
    one.send(&json!({"id": 2, "method": "A.b", "sessionId": "S11"}));
    assert_eq!(one.message().await["error"]["code"], -32001);
}

/// Rules S6, M9.
#[tokio::test]
async fn a_client_cannot_make_another_ones_session_end() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let mut two = scene.client("R2").await;
    scene.child(&mut two, "R2", "S2", "T2").await;
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S2"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    two.send(&json!({"id": 1, "method": "A.b", "sessionId": "S2"}));
    assert_eq!(scene.command()["sessionId"], "S2");
}

/// Rule I3.
#[tokio::test]
async fn what_is_no_call_is_answered_and_the_client_stays() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    one.sender.send("nonsense").expect("taken");
    assert_eq!(one.message().await["error"]["code"], -32700);
    one.send(&json!({"id": "7", "method": "A.b"}));
    assert_eq!(one.message().await["error"]["code"], -32600);
    one.send(&json!({"id": 1, "method": "A.b"}));
    assert_eq!(scene.command()["method"], "A.b");
}

/// Rule S7.
#[tokio::test]
async fn sessions_nest_as_deep_as_a_client_likes() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R").await;
    let sessions = ["R", "S1", "S2", "S3", "S4", "S5"];
    for pair in sessions.windows(2) {
        scene.child(&mut one, pair[0], pair[1], "T").await;
    }
    scene.pass(&one, "S5", "A.b", &json!({}));
}

/// Rules S5, S2.
#[tokio::test]
async fn a_session_is_known_from_its_reply_where_no_event_announced_it() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R").await;
    one.send(&json!({"id": 1, "method": "Target.attachToBrowserTarget"}));
    let attach = scene.command();
    scene
        .browser_says(&json!({"id": attach["id"], "result": {"sessionId": "S"}, "sessionId": "R"}));
    one.message().await;
    scene.pass(&one, "S", "A.b", &json!({}));
}

/// Rule S12.
#[tokio::test]
async fn the_root_of_a_client_on_one_target_is_that_target() {
    let mut scene = Scene::new().await;
    let mut one = scene.page_client("R", "T").await;
    one.send(&json!({"id": 5, "method": "Page.enable"}));
    let enable = scene.command();
    assert_eq!(enable["sessionId"], "R");
    scene.browser_says(&json!({"id": enable["id"], "result": {}, "sessionId": "R"}));
    assert_eq!(one.message().await, json!({"id": 5, "result": {}}));
    scene.browser_says(&json!({"method": "Page.x", "params": {}, "sessionId": "R"}));
    assert_eq!(
        one.message().await,
        json!({"method": "Page.x", "params": {}})
    );
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "R"}}),
    );
    assert_eq!(one.close().await, (1001, "the tab was closed".to_owned()));
}

/// Rule S12.
#[tokio::test]
async fn a_target_that_is_not_there_is_the_browsers_to_refuse() {
    let mut scene = Scene::new().await;
    let attach = PendingAttach {
        root: Root::Target("T".to_owned()),
        origin: ClientOrigin::External,
    };
    let client = scene.broker.request_client(attach).expect("sent");
    let command = scene.command();
    let error = json!({"code": -32602, "message": "No target with given id found"});
    scene.browser_says(&json!({"id": command["id"], "error": error}));
    assert!(client.await.expect("answered").is_err());
}

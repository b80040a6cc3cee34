//! Tests that ids and sessions of different clients are kept apart.

use super::*;

/// Rules I1, I2, S3.
#[tokio::test]
async fn clients_may_use_the_same_id() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let mut two = fixture.client("R2").await;
    one.send(&json!({"id": 7, "method": "A.one"}));
    two.send(&json!({"id": 7, "method": "A.two"}));
    let (first, second) = (fixture.command(), fixture.command());
    assert_eq!(
        (&first["sessionId"], &second["sessionId"]),
        (&json!("R1"), &json!("R2"))
    );
    assert_ne!(first["id"], second["id"]);
    fixture
        .browser_sends(&json!({"id": second["id"], "result": {"for": "two"}, "sessionId": "R2"}));
    fixture.browser_sends(&json!({"id": first["id"], "result": {"for": "one"}, "sessionId": "R1"}));
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
async fn reply_names_the_session_that_the_client_named() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": -9999, "method": "A.b", "sessionId": "S1"}));
    let command = fixture.command();
    assert_eq!(command["sessionId"], "S1");
    fixture.browser_sends(&json!({"id": command["id"], "error": {"code": -32001, "message": "m"}}));
    let expected =
        json!({"id": -9999, "error": {"code": -32001, "message": "m"}, "sessionId": "S1"});
    assert_eq!(one.message().await, expected);
}

/// Rules S4, S8.
#[tokio::test]
async fn events_go_to_the_session_owner_without_naming_roots() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let mut two = fixture.client("R2").await;
    fixture.child(&mut two, "R2", "S2", "T2").await;
    fixture.browser_sends(&json!({"method": "A.onRoot", "params": {"x": 1}, "sessionId": "R1"}));
    fixture.browser_sends(&json!({"method": "A.onChild", "params": {"x": 2}, "sessionId": "S2"}));
    fixture.browser_sends(&json!({"method": "A.unknown", "params": {}, "sessionId": "S3"}));
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
async fn sessions_of_other_clients_are_unknown() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let mut two = fixture.client("R2").await;
    fixture.child(&mut two, "R2", "S2", "T2").await;
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
async fn dropped_session_takes_its_subtree_and_answers_its_calls() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    fixture.child(&mut one, "S1", "S11", "T11").await;
    one.send(&json!({"id": 1, "method": "A.b", "sessionId": "S11"}));
    let late = fixture.command()["id"].clone();
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S1"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    let failure = json!({"id": 1, "error": {"code": -32001, "message": NO_SESSION_MESSAGE}, "sessionId": "S11"});
    assert_eq!(one.message().await, failure);
    // Late replies and events are dropped, and the session is unknown.
    fixture.browser_sends(&json!({"id": late, "result": {}, "sessionId": "S11"}));
    fixture.browser_sends(&json!({"method": "A.late", "params": {}, "sessionId": "S11"}));
    one.send(&json!({"id": 2, "method": "A.b", "sessionId": "S11"}));
    assert_eq!(one.message().await["error"]["code"], -32001);
}

/// Rules S6, M9.
#[tokio::test]
async fn client_cannot_end_sessions_of_others() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let mut two = fixture.client("R2").await;
    fixture.child(&mut two, "R2", "S2", "T2").await;
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "S2"}, "sessionId": "R1"}),
    );
    assert_eq!(one.message().await["method"], "Target.detachedFromTarget");
    two.send(&json!({"id": 1, "method": "A.b", "sessionId": "S2"}));
    assert_eq!(fixture.command()["sessionId"], "S2");
}

/// Rule I3.
#[tokio::test]
async fn invalid_calls_get_errors_and_the_client_stays() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    one.sender.send("nonsense").expect("taken");
    assert_eq!(one.message().await["error"]["code"], -32700);
    one.send(&json!({"id": "7", "method": "A.b"}));
    assert_eq!(one.message().await["error"]["code"], -32600);
    one.send(&json!({"id": 1, "method": "A.b"}));
    assert_eq!(fixture.command()["method"], "A.b");
}

/// Rule S7.
#[tokio::test]
async fn sessions_nest_without_limit() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R").await;
    let sessions = ["R", "S1", "S2", "S3", "S4", "S5"];
    for pair in sessions.windows(2) {
        fixture.child(&mut one, pair[0], pair[1], "T").await;
    }
    fixture.pass(&one, "S5", "A.b", &json!({}));
}

/// Rules S5, S2.
#[tokio::test]
async fn session_is_learned_from_its_reply_without_an_event() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R").await;
    one.send(&json!({"id": 1, "method": "Target.attachToBrowserTarget"}));
    let attach = fixture.command();
    fixture.browser_sends(
        &json!({"id": attach["id"], "result": {"sessionId": "S"}, "sessionId": "R"}),
    );
    one.message().await;
    fixture.pass(&one, "S", "A.b", &json!({}));
}

/// Rule S12.
#[tokio::test]
async fn root_of_a_target_client_is_that_target() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.page_client("R", "T").await;
    one.send(&json!({"id": 5, "method": "Page.enable"}));
    let enable = fixture.command();
    assert_eq!(enable["sessionId"], "R");
    fixture.browser_sends(&json!({"id": enable["id"], "result": {}, "sessionId": "R"}));
    assert_eq!(one.message().await, json!({"id": 5, "result": {}}));
    fixture.browser_sends(&json!({"method": "Page.x", "params": {}, "sessionId": "R"}));
    assert_eq!(
        one.message().await,
        json!({"method": "Page.x", "params": {}})
    );
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "R"}}),
    );
    assert_eq!(one.close().await, (1001, "the tab was closed".to_owned()));
}

/// Rule S12.
#[tokio::test]
async fn unknown_target_is_rejected_by_the_browser() {
    let mut fixture = BrokerFixture::new().await;
    let attach = PendingAttach {
        root: Root::Target("T".to_owned()),
        origin: ClientOrigin::External,
    };
    let client = fixture.broker.request_client(attach).expect("sent");
    let command = fixture.command();
    let error = json!({"code": -32602, "message": "No target with given id found"});
    fixture.browser_sends(&json!({"id": command["id"], "error": error}));
    assert!(client.await.expect("answered").is_err());
}

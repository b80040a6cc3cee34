//! Tests crashes and disconnects, and the calls that are pending at that time.

use super::*;

/// Rule S13.
#[tokio::test]
async fn calls_to_a_crashed_target_fail_until_it_is_navigated() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    let evaluate = json!({"id": 1, "method": "Runtime.evaluate", "sessionId": "S1"});
    one.send(&evaluate);
    fixture.command();
    fixture.browser_sends(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    let crashed =
        json!({"id": 1, "error": {"code": -32001, "message": "Target crashed"}, "sessionId": "S1"});
    assert_eq!(one.message().await, crashed);
    one.send(&evaluate);
    assert_eq!(one.message().await, crashed);
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    assert_eq!(fixture.command()["method"], "Page.navigate");
    one.send(&evaluate);
    assert_eq!(fixture.command()["method"], "Runtime.evaluate");
}

/// Rule S13.
#[tokio::test]
async fn late_crash_event_does_not_fail_the_next_navigation() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": 1, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    let navigate = fixture.command();
    fixture.browser_sends(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    fixture.browser_sends(
        &json!({"id": navigate["id"], "result": {"frameId": "F"}, "sessionId": "S1"}),
    );
    assert_eq!(one.message().await["result"]["frameId"], "F");
    one.send(&json!({"id": 2, "method": "Runtime.evaluate", "sessionId": "S1"}));
    assert_eq!(fixture.command()["method"], "Runtime.evaluate");
}

/// Rule S13.
#[tokio::test]
async fn failed_navigation_leaves_a_target_crashed() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.child(&mut one, "R1", "S1", "T1").await;
    fixture.browser_sends(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    one.send(
        &json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S1"}),
    );
    let navigate = fixture.command();
    one.send(&json!({"id": 3, "method": "Runtime.evaluate", "sessionId": "S1"}));
    fixture.command();
    fixture.browser_sends(&json!({"id": navigate["id"], "error": {"code": -32000, "message": "m"}, "sessionId": "S1"}));
    assert_eq!(one.message().await["id"], 2);
    assert_eq!(one.message().await["error"]["message"], "Target crashed");
}

/// Rules S10, C2.
#[tokio::test]
async fn client_is_closed_when_its_root_detaches() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "R1"}}),
    );
    assert_eq!(one.close().await.0, 1001);
}

/// Rule C4.
#[tokio::test]
async fn all_clients_close_when_the_browser_is_gone() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("R1").await;
    let coming = fixture
        .broker
        .request_client(browser_client())
        .expect("sent");
    fixture.broker.shut_down(1011, "browser crashed (signal 9)");
    assert_eq!(
        one.close().await,
        (1011, "browser crashed (signal 9)".to_owned())
    );
    assert!(coming.await.is_err());
    assert!(fixture.broker.request_client(browser_client()).is_err());
}

/// Rules S1, S9.
#[tokio::test]
async fn abandoned_attach_leaves_nothing() {
    let mut fixture = BrokerFixture::new().await;
    drop(
        fixture
            .broker
            .request_client(browser_client())
            .expect("sent"),
    );
    let command = fixture.command();
    fixture.browser_sends(&json!({"id": command["id"], "result": {"sessionId": "R1"}}));
    assert_eq!(fixture.command()["params"], json!({"sessionId": "R1"}));
}

/// Rule P2: the browser keeps reading and sends nothing.
#[tokio::test(start_paused = true)]
async fn silent_browser_with_a_pending_reply_is_given_up() {
    let mut fixture = BrokerFixture::new().await;
    let one = fixture.client("R").await;
    one.send(&json!({"id": 1, "method": "Runtime.evaluate"}));
    tokio::time::timeout(Duration::from_mins(1), fixture.broker.watch_liveness())
        .await
        .expect("given up");
}

/// Rule P2.
#[tokio::test(start_paused = true)]
async fn idle_browser_may_be_silent() {
    let mut fixture = BrokerFixture::new().await;
    let _one = fixture.client("R").await;
    let watching = tokio::time::timeout(Duration::from_hours(1), fixture.broker.watch_liveness());
    assert!(watching.await.is_err());
}

/// Rule P2: a call has no time limit while the browser responds.
#[tokio::test(start_paused = true)]
async fn browser_that_answers_probes_is_alive() {
    let mut fixture = BrokerFixture::new().await;
    let one = fixture.client("R").await;
    one.send(&json!({"id": 1, "method": "Runtime.evaluate"}));
    fixture.command();
    let broker = Arc::clone(&fixture.broker);
    let answering = async {
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(6)).await;
            tokio::task::yield_now().await;
            let probe = fixture.command();
            assert_eq!(probe["method"], "Browser.getVersion");
            fixture.browser_sends(
                &json!({"id": probe["id"], "result": {"protocolVersion": "1", "product": "p",
                "revision": "r", "userAgent": "u", "jsVersion": "j"}}),
            );
            // The reply counts as a message, so the next check sends no probe.
            tokio::time::advance(Duration::from_secs(5)).await;
        }
    };
    tokio::select! {
        biased;
        () = broker.watch_liveness() => panic!("given up"),
        () = answering => {}
    }
}

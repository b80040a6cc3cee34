//! Crashes, ends and whoever waits then.

use super::*;

/// Rule S13.
#[tokio::test]
async fn calls_to_a_crashed_target_are_answered_until_it_is_navigated() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    let evaluate = json!({"id": 1, "method": "Runtime.evaluate", "sessionId": "S1"});
    one.send(&evaluate);
    scene.command();
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    let crashed =
        json!({"id": 1, "error": {"code": -32001, "message": "Target crashed"}, "sessionId": "S1"});
    assert_eq!(one.message().await, crashed);
    one.send(&evaluate);
    assert_eq!(one.message().await, crashed);
    one.send(&json!({"id": 2, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    assert_eq!(scene.command()["method"], "Page.navigate");
    one.send(&evaluate);
    assert_eq!(scene.command()["method"], "Runtime.evaluate");
}

/// Rule S13.
#[tokio::test]
async fn a_crash_that_is_announced_late_does_not_hit_the_navigation_after_it() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    one.send(&json!({"id": 1, "method": "Page.navigate", "params": {"url": "about:blank"}, "sessionId": "S1"}));
    let navigate = scene.command();
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    scene.browser_says(
        &json!({"id": navigate["id"], "result": {"frameId": "F"}, "sessionId": "S1"}),
    );
    assert_eq!(one.message().await["result"]["frameId"], "F");
    one.send(&json!({"id": 2, "method": "Runtime.evaluate", "sessionId": "S1"}));
    assert_eq!(scene.command()["method"], "Runtime.evaluate");
}

/// Rule S13.
#[tokio::test]
async fn a_navigation_that_loads_nothing_leaves_a_crashed_target_crashed() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.child(&mut one, "R1", "S1", "T1").await;
    scene.browser_says(&json!({"method": "Target.targetCrashed", "params": {"targetId": "T1"}}));
    one.send(
        &json!({"id": 2, "method": "Page.navigate", "params": {"url": "x"}, "sessionId": "S1"}),
    );
    let navigate = scene.command();
    one.send(&json!({"id": 3, "method": "Runtime.evaluate", "sessionId": "S1"}));
    scene.command();
    scene.browser_says(&json!({"id": navigate["id"], "error": {"code": -32000, "message": "m"}, "sessionId": "S1"}));
    assert_eq!(one.message().await["id"], 2);
    assert_eq!(one.message().await["error"]["message"], "Target crashed");
}

/// Rules S10, C2.
#[tokio::test]
async fn a_client_whose_root_the_browser_ends_is_told() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    scene.browser_says(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "R1"}}),
    );
    assert_eq!(one.close().await.0, 1001);
}

/// Rule C4.
#[tokio::test]
async fn when_the_browser_is_gone_everyone_is_told_and_nobody_waits() {
    let mut scene = Scene::new().await;
    let mut one = scene.client("R1").await;
    let coming = scene.broker.request_client(browser_client()).expect("sent");
    scene.broker.shut_down(1011, "browser crashed (signal 9)");
    assert_eq!(
        one.close().await,
        (1011, "browser crashed (signal 9)".to_owned())
    );
    assert!(coming.await.is_err());
    assert!(scene.broker.request_client(browser_client()).is_err());
}

/// Rules S1, S9.
#[tokio::test]
async fn a_client_that_nobody_waits_for_any_more_leaves_nothing() {
    let mut scene = Scene::new().await;
    drop(scene.broker.request_client(browser_client()).expect("sent"));
    let command = scene.command();
    scene.browser_says(&json!({"id": command["id"], "result": {"sessionId": "R1"}}));
    assert_eq!(scene.command()["params"], json!({"sessionId": "R1"}));
}

/// Rule P2: the browser reads on and says nothing more.
#[tokio::test(start_paused = true)]
async fn a_browser_that_owes_an_answer_and_says_nothing_is_given_up() {
    let mut scene = Scene::new().await;
    let one = scene.client("R").await;
    one.send(&json!({"id": 1, "method": "Runtime.evaluate"}));
    tokio::time::timeout(Duration::from_mins(1), scene.broker.watch_liveness())
        .await
        .expect("given up");
}

/// Rule P2.
#[tokio::test(start_paused = true)]
async fn a_browser_of_which_nothing_is_asked_may_be_silent() {
    let mut scene = Scene::new().await;
    let _one = scene.client("R").await;
    let watching = tokio::time::timeout(Duration::from_hours(1), scene.broker.watch_liveness());
    assert!(watching.await.is_err());
}

/// Rule P2: a call may take as long as it likes while the browser is well.
#[tokio::test(start_paused = true)]
async fn a_browser_that_answers_the_question_is_well_however_long_a_call_takes() {
    let mut scene = Scene::new().await;
    let one = scene.client("R").await;
    one.send(&json!({"id": 1, "method": "Runtime.evaluate"}));
    scene.command();
    let broker = Arc::clone(&scene.broker);
    let answering = async {
        for _ in 0..10 {
            tokio::time::advance(Duration::from_secs(6)).await;
            tokio::task::yield_now().await;
            let question = scene.command();
            assert_eq!(question["method"], "Browser.getVersion");
            scene.browser_says(
                &json!({"id": question["id"], "result": {"protocolVersion": "1", "product": "p",
                "revision": "r", "userAgent": "u", "jsVersion": "j"}}),
            );
            // The answer itself is a word: the next look asks nothing.
            tokio::time::advance(Duration::from_secs(5)).await;
        }
    };
    tokio::select! {
        biased;
        () = broker.watch_liveness() => panic!("given up"),
        () = answering => {}
    }
}

//! Every fault, with its real effect.

use std::time::{Duration, Instant};

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Site, process};
use reqwest::Method;
use serde_json::{Value, json};

use super::{answer, control, fault, start};

#[tokio::test]
async fn a_browser_crashes_on_demand_while_code_runs() {
    let (server, site) = (start().await, Site::start().await);
    let session = server.session().await;
    let client = CdpClient::connect(session.cdp_url()).await;
    let browsers = || {
        let tree = process::tree(server.pid()).into_iter();
        tree.filter(|process| process.command.contains("--remote-debugging-pipe"))
            .count()
    };
    assert!(browsers() > 0);
    let code = format!(
        "{} await new Promise(() => {{}})",
        site.node_signal("begun")
    );
    let crash = async {
        site.signalled("begun").await;
        fault(
            &server,
            json!({"fault": "browser_crash", "session": session.id()}),
        )
        .await
    };
    let (execution, pending) = tokio::join!(session.node(&code), crash);
    assert_eq!((execution.exit_code, pending), (1, json!([])));
    let closed = client.closed(Duration::from_secs(5)).await;
    let (code, reason) = closed.expect("a reason");
    assert!(
        code == 1011 && reason.contains("crashed"),
        "{code} {reason}"
    );
    session.assert_destroyed("browser_crashed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_browser_crashes_during_the_next_execution() {
    let server = start().await;
    let session = server.session().await;
    let waiting = json!({"fault": "browser_crash", "requests": 1, "on": "execute", "delayMs": 300});
    let pending = fault(&server, waiting.clone()).await;
    assert_eq!(pending, json!([waiting]));
    session.status().await;
    let execution = session.node("await new Promise(() => {})").await;
    assert_eq!(execution.exit_code, 1, "{execution:?}");
    session.assert_destroyed("browser_crashed").await;
    server.stop().await;
}

#[tokio::test]
async fn a_delayed_fault_withholds_no_response() {
    let server = start().await;
    let session = server.session().await;
    let waiting = json!({"fault": "expiry", "requests": 1, "on": "status", "delayMs": 10_000});
    fault(&server, waiting).await;
    session.status().await;
    assert_eq!(session.status().await["status"], "active");
    // The end of a session ends its fault too.
    server.stop().await;
}

#[tokio::test]
async fn an_ended_session_uses_up_no_fault() {
    let server = start().await;
    let session = server.session().await;
    session.delete().await;
    let waiting = json!({"fault": "cdp_drop", "requests": 1, "on": "status", "delayMs": 0});
    fault(&server, waiting.clone()).await;
    session.status().await;
    let (_, state) = control(&server, Method::GET, "/v2/test/faults", &json!({})).await;
    assert_eq!(state["pending"], json!([waiting]));
    server.stop().await;
}

#[tokio::test]
async fn a_cdp_connection_breaks_and_the_session_continues() {
    let server = start().await;
    let (session, other) = (server.session().await, server.session().await);
    let mut bystander = CdpClient::connect(other.cdp_url()).await;
    let client = CdpClient::connect(session.cdp_url()).await;
    fault(
        &server,
        json!({"fault": "cdp_drop", "session": session.id()}),
    )
    .await;
    let closed = client.closed(Duration::from_secs(5)).await;
    assert_eq!(closed, None, "without a closing message");
    bystander.call("Browser.getVersion", json!({})).await;
    let mut again = CdpClient::connect(session.cdp_url()).await;
    again.call("Browser.getVersion", json!({})).await;
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    fault(&server, json!({"fault": "cdp_drop", "on": "status"})).await;
    session.status().await;
    assert_eq!(again.closed(Duration::from_secs(5)).await, None);
    server.stop().await;
}

#[tokio::test]
async fn a_session_expires_at_once() {
    let server = start().await;
    let (session, other) = (server.session().await, server.session().await);
    fault(&server, json!({"fault": "expiry", "session": session.id()})).await;
    session.assert_destroyed("ttl").await;
    fault(&server, json!({"fault": "expiry", "requests": 1})).await;
    server.list("").await.ok();
    let late = other.execute(&json!({"code": "1"})).await;
    late.assert_error(410, "Browser session has been destroyed.");
    other.assert_destroyed("ttl").await;
    server.stop().await;
}

#[tokio::test]
async fn requests_get_the_errors_of_a_real_server() {
    let server = start().await;
    let session = server.session().await;
    let execute = || {
        let path = format!("/{}/execute", session.id());
        let request = server.request(Method::POST, &path);
        request.json(&json!({"code": "globalThis.runs = (globalThis.runs ?? 0) + 1"}))
    };
    for (status, error) in [
        (409, "Another session saves to the profile"),
        (
            429,
            "You have reached the maximum number of active browser sessions.",
        ),
        (503, "The server is stopping."),
    ] {
        let body = json!({"fault": status.to_string(), "requests": 2, "on": "execute"});
        fault(&server, body).await;
        for _ in 0..2 {
            let (seen, body, retry) = answer(execute()).await;
            assert_eq!((seen, &body["success"]), (status, &json!(false)));
            assert!(
                body["error"]
                    .as_str()
                    .is_some_and(|text| text.starts_with(error))
            );
            assert!(retry.is_some(), "Retry-After");
        }
    }
    let (status, body, _) = answer(execute()).await;
    assert_eq!(
        (status, &body["result"]),
        (200, &json!("1")),
        "no failed request ran code"
    );
    fault(&server, json!({"fault": "429", "on": "create"})).await;
    server.list("").await.ok();
    assert_eq!(server.create(&json!({})).await.status, 429);
    assert_eq!(server.create(&json!({})).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_fault_of_a_session_meets_only_its_requests() {
    let server = start().await;
    let (session, other) = (server.session().await, server.session().await);
    let body = json!({"fault": "503", "session": session.id(), "requests": 1});
    fault(&server, body).await;
    other.status().await;
    server.list("").await.ok();
    let status = |id: &str| answer(server.request(Method::GET, &format!("/{id}")));
    assert_eq!(status(session.id()).await.0, 503);
    assert_eq!(status(session.id()).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_response_is_slow() {
    let server = start().await;
    fault(
        &server,
        json!({"fault": "slow", "delayMs": 700, "on": "list"}),
    )
    .await;
    let began = Instant::now();
    server.list("").await.ok();
    let elapsed = began.elapsed();
    assert!(elapsed >= Duration::from_millis(700), "{elapsed:?}");
    server.stop().await;
}

#[tokio::test]
async fn faults_are_listed_removed_and_checked() {
    let server = start().await;
    let path = "/v2/test/faults";
    fault(&server, json!({"fault": "slow", "requests": 3})).await;
    let (status, listed) = control(&server, Method::GET, path, &json!({})).await;
    let expected = json!([{"fault": "slow", "requests": 3, "delayMs": 1000}]);
    assert_eq!((status, &listed["pending"]), (200, &expected));
    let (_, cleared) = control(&server, Method::DELETE, path, &json!({})).await;
    assert_eq!(cleared["pending"], json!([]));
    for invalid in [
        json!({}),
        json!({"fault": "fire"}),
        json!({"fault": "slow", "requests": 0}),
    ] {
        let (status, body) = control(&server, Method::POST, path, &invalid).await;
        assert_eq!(
            (status, &body["code"]),
            (400, &json!("BAD_REQUEST")),
            "{body}"
        );
    }
    let unknown = json!({"fault": "expiry", "session": "00000000-0000-7000-8000-00000000ffff"});
    let (status, _) = control(&server, Method::POST, path, &unknown).await;
    assert_eq!(status, 404);
    let mut last = (200, Value::Null);
    for _ in 0..101 {
        last = control(&server, Method::POST, path, &json!({"fault": "slow"})).await;
    }
    assert_eq!(last.0, 400, "{}", last.1);
    server.stop().await;
}

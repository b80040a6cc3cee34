//! The log: one line per request and per session end, and no secrets.

use std::time::Duration;

use hearth_test_support::{Exchange, TestServer, eventually};
use reqwest::Method;
use serde_json::{Value, json};

/// Returns the lines with this message.
fn lines(server: &TestServer, message: &str) -> Vec<Value> {
    let output = server.output();
    let lines = output
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["fields"]["message"] == message)
        .collect()
}

#[tokio::test]
async fn every_request_and_session_end_is_one_log_line_with_ids() {
    // Two nodes log a request that one of them forwards.
    let server = TestServer::builder()
        .single()
        .setting("HEARTH_LOG_FORMAT", "json")
        .setting("HEARTH_API_KEYS", "shop:secret")
        .start()
        .await;
    let api = server.with_key("secret");
    let session = api.session().await;
    session.bash("exit 3").await;
    let probe = Exchange::of(server.request_outside(Method::GET, "/readyz")).await;
    let unknown = Exchange::of(server.request_outside(Method::GET, "/nowhere")).await;
    session.delete().await;
    for asset in [
        "/operator/page/page.js",
        "/live/page/page.js",
        "/openapi.json",
    ] {
        Exchange::of(server.request_outside(Method::GET, asset)).await;
    }
    // Requests of probes, metrics and static files are not logged.
    let expected = json!([["POST", 200], ["POST", 200], ["GET", 404], ["DELETE", 200]]);
    eventually(
        Duration::from_secs(5),
        "every request has a line",
        || async {
            let lines = lines(&server, "request finished");
            let seen: Value = lines
                .iter()
                .map(|line| json!([line["span"]["method"], line["fields"]["status"]]))
                .collect();
            if seen == expected {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        },
    )
    .await;
    let answered = lines(&server, "request finished");
    for line in [&answered[0], &answered[1], &answered[3]] {
        assert_eq!(line["span"]["session"], session.id(), "{line}");
        assert_eq!(line["span"]["team"], "shop", "{line}");
        assert!(line["fields"]["duration_ms"].is_u64(), "{line}");
    }
    assert_eq!(
        answered[2]["span"]["id"],
        unknown.headers["x-request-id"].to_str().expect("text")
    );
    assert!(probe.headers.contains_key("x-request-id"));
    eventually(
        Duration::from_secs(5),
        "the end has a line",
        async || match lines(&server, "session ended").len() {
            1 => Ok(()),
            count => Err(format!("{count} lines")),
        },
    )
    .await;
    let ended = lines(&server, "session ended");
    let fields = &ended[0]["fields"];
    assert_eq!(
        (&ended[0]["span"], &fields["reason"]),
        (
            &json!({ "name": "session", "session": session.id(), "team": "shop" }),
            &json!("deleted")
        )
    );
    assert_eq!(fields["executions"], 1);
    let ran = lines(&server, "execution finished");
    assert_eq!((ran.len(), &ran[0]["fields"]["exit_code"]), (1, &json!(3)));
    let expected = json!({
        "name": "request",
        "id": answered[1]["span"]["id"],
        "method": "POST",
        "path": answered[1]["span"]["path"],
        "team": "shop",
        "session": session.id(),
        "language": "bash",
    });
    assert_eq!(ran[0]["span"], expected);
    let created = lines(&server, "session created");
    assert_eq!(created[0]["span"], answered[0]["span"]);
    let dir = created[0]["fields"]["dir"].as_str();
    assert!(dir.is_some_and(|dir| !dir.is_empty()), "{}", created[0]);
    for line in server.output().lines().filter(|line| line.starts_with('{')) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line.get("spans"), None, "{line}");
    }
    server.stop().await;
}

#[tokio::test]
async fn profiles_appear_by_name_with_the_team_and_the_session() {
    let server = TestServer::builder()
        .setting("HEARTH_LOG_FORMAT", "json")
        .setting("HEARTH_API_KEYS", "shop:secret")
        .start()
        .await;
    let session = server
        .with_key("secret")
        .session_with(&json!({"profile": {"name": "my \"shop\"", "saveChanges": true}}))
        .await;
    session.delete().await;
    let saved = lines(&server, "profile saved");
    assert_eq!(
        (&saved[0]["fields"]["profile"], &saved[0]["span"]),
        (
            &json!("my \"shop\""),
            &json!({ "name": "session", "session": session.id(), "team": "shop" })
        )
    );
    server.stop().await;
}

#[tokio::test]
async fn no_code_no_output_no_page_and_no_token_is_logged() {
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "secret-of-the-team");
    let server = builder
        .setting("HEARTH_LOG", "debug")
        .setting("HEARTH_OPERATOR_KEY", "secret-of-the-boss")
        .start()
        .await;
    let api = server.with_key("secret-of-the-team");
    let session = api.session().await;
    session.node("console.log('marked-' + 'output'); await page.goto('data:text/html,<title>marked-page</title>'); 'marked-code'").await.ok();
    session.python("raise ValueError('marked-error')").await;
    session.bash("echo marked-shell >&2; exit 1").await;
    let state = Exchange::of(
        server
            .with_key("secret-of-the-boss")
            .request_outside(Method::GET, "/operator/state"),
    )
    .await;
    let link = state.json()["sessions"][0]["liveViewUrl"]
        .as_str()
        .expect("a link")
        .to_owned();
    let token = link.split("token=").nth(1).expect("a token").to_owned();
    let page = link.strip_prefix(server.origin()).expect("ours").to_owned();
    assert_eq!(
        Exchange::of(server.request_outside(Method::GET, &page))
            .await
            .status,
        200
    );
    session.delete().await;
    let log = server.output();
    for secret in [
        "marked",
        "secret-of",
        &token,
        session.cdp_url().split("token=").nth(1).expect("a token"),
    ] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_clients_request_id_is_used_only_if_it_is_safe_to_log() {
    let server = TestServer::start().await;
    let answered = async |id: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(id).expect("a header");
        let request = server
            .request_outside(Method::GET, "/livez")
            .header("x-request-id", value);
        let answer = Exchange::of(request).await;
        answer.headers["x-request-id"]
            .to_str()
            .expect("text")
            .to_owned()
    };
    assert_eq!(answered(b"job-17/step:3").await, "job-17/step:3");
    let long = "x".repeat(129);
    for bad in [long.as_bytes(), b"", b"two words", b"\xff\xfe"] {
        let id = answered(bad).await;
        assert_eq!(id.len(), 36, "{id}");
    }
    server.stop().await;
}

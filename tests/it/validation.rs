//! Every recorded request, sent to a real server, gets a response equal to the recorded one, byte
//! for byte.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use hearth_test_support::{Api, PREFIXES, Reply, TestServer};
use serde_json::Value;
use serde_json::value::RawValue;

const UNKNOWN_ID: &str = "01920000-0000-7000-8000-000000000000";

/// One line of the fixture. Raw values keep numbers and the order of keys as recorded.
struct Recorded {
    endpoint: String,
    input: String,
    /// The body of the error response; `None` for a request that is accepted.
    response: Option<String>,
}

fn recorded() -> Vec<Recorded> {
    let lines: Vec<BTreeMap<String, Box<RawValue>>> =
        serde_json::from_str(include_str!("../fixtures/validation.json")).unwrap();
    assert!(
        lines.len() >= 82,
        "the fixture has only {} lines",
        lines.len()
    );
    lines
        .into_iter()
        .map(|line| Recorded {
            endpoint: serde_json::from_str(line["endpoint"].get()).unwrap(),
            input: expand(line["input"].get()),
            response: line
                .get("response")
                .map(|response| response.get().to_owned()),
        })
        .collect()
}

/// Replaces `{"$repeat":["x",n]}` with a string of n letters, in the text itself.
fn expand(input: &str) -> String {
    const START: &str = "{\"$repeat\":[";
    let Some((before, rest)) = input.split_once(START) else {
        return input.to_owned();
    };
    let (pair, after) = rest.split_once("]}").unwrap();
    let (letter, count): (String, usize) = serde_json::from_str(&format!("[{pair}]")).unwrap();
    format!("{before}\"{}\"{after}", letter.repeat(count))
}

/// Builds a query string from the recorded names and values.
fn query(input: &str) -> String {
    let pairs: BTreeMap<String, String> = serde_json::from_str(input).unwrap();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("?{}", pairs.join("&"))
    }
}

async fn send(api: &Api, session: &str, line: &Recorded) -> Reply {
    match line.endpoint.as_str() {
        "create" => api.post_text("", line.input.clone()).await,
        "execute" => {
            api.post_text(&format!("/{session}/execute"), line.input.clone())
                .await
        }
        "list" => api.list(&query(&line.input)).await,
        other => panic!("unknown endpoint {other}"),
    }
}

async fn check(api: &Api, session: &str, line: &Recorded) {
    let reply = send(api, session, line).await;
    let what: String = format!("{} {}", line.endpoint, line.input)
        .chars()
        .take(200)
        .collect();
    if let Some(expected) = &line.response {
        assert_eq!(reply.status, 400, "{what}: {}", reply.text);
        assert_eq!(&reply.text, expected, "{what}");
        return;
    }
    assert_eq!(reply.status, 200, "{what}: {}", reply.text);
    if line.endpoint == "create" {
        api.delete(reply.body["id"].as_str().unwrap()).await.ok();
    }
}

#[tokio::test]
async fn every_recorded_request_gets_its_recorded_response() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for line in recorded() {
        check(&server, session.id(), &line).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn errors_are_the_same_under_both_prefixes() {
    let server = TestServer::builder().without_browser().start().await;
    for prefix in PREFIXES {
        let api = server.under(prefix);
        for line in recorded().iter().filter(|line| line.response.is_some()) {
            // The server rejects an invalid body before it looks up the session.
            check(&api, UNKNOWN_ID, line).await;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_number_with_a_decimal_point_and_no_fraction_is_an_integer() {
    let server = TestServer::start().await;
    let created = server.post_text("", r#"{"ttl":60.0}"#).await.ok();
    server.delete(created["id"].as_str().unwrap()).await.ok();
    server.stop().await;
}

#[tokio::test]
async fn a_repeated_status_filter_is_rejected_like_an_unknown_one() {
    let server = TestServer::builder().without_browser().start().await;
    let repeated = server.list("?status=active&status=active").await;
    let unknown = server.list("?status=bogus").await;
    assert_eq!((repeated.status, repeated.body), (400, unknown.body));
    server.stop().await;
}

#[tokio::test]
async fn code_is_counted_in_code_points() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let comment = format!("#{}", "🔥".repeat(99_999));
    let body = serde_json::json!({"code": comment, "language": "bash"});
    session.execute(&body).await.ok();
    let longer = serde_json::json!({"code": format!("{comment}x"), "language": "bash"});
    let refused = session.execute(&longer).await;
    assert_eq!(
        (refused.status, &refused.body["details"][0]["code"]),
        (400, &Value::from("too_big"))
    );
    server.stop().await;
}

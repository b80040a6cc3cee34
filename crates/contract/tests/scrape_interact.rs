//! Tests the validation of requests to a scrape's session.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use hearth_contract::{Body, InteractTask, Issue, Language, ScrapeInteractRequest};
use serde_json::{Value, json};

fn parse(body: &Value) -> Result<ScrapeInteractRequest, Vec<Issue>> {
    ScrapeInteractRequest::parse(&Body::parse(body.to_string().as_bytes()).unwrap())
}

fn issues(body: &Value) -> Value {
    serde_json::to_value(parse(body).unwrap_err()).unwrap()
}

fn neither() -> Value {
    json!({"code": "custom", "path": [], "message": "Either 'code' or 'prompt' must be provided."})
}

#[test]
fn code_or_a_prompt_is_required() {
    assert_eq!(issues(&json!({})), json!([neither()]));
    let found = issues(&json!({"prompt": ""}));
    assert_eq!(
        (&found[0]["code"], &found[0]["path"]),
        (&json!("too_small"), &json!(["prompt"]))
    );
    assert_eq!(found[1], neither());
    let found = issues(&json!({"code": "", "prompt": "x"}));
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(
        (&found[0]["code"], &found[0]["path"]),
        (&json!("too_small"), &json!(["code"]))
    );
}

#[test]
fn a_wrong_type_hides_the_rule_about_code_and_prompt() {
    for body in [
        json!({"code": 1}),
        json!({"language": "perl"}),
        json!({"url": null}),
    ] {
        let found = issues(&body);
        assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
        assert_ne!(found[0]["code"], "custom");
    }
}

#[test]
fn code_wins_over_a_prompt() {
    let request = parse(&json!({"code": "1", "prompt": "press it", "language": "bash"})).unwrap();
    let InteractTask::Code(code) = request.task else {
        panic!("{request:?}");
    };
    assert_eq!((&*code.code, code.language), ("1", Language::Bash));
    assert_eq!(
        (code.timeout, request.timeout),
        (Duration::from_secs(30), None)
    );
    let request = parse(&json!({"prompt": "press it"})).unwrap();
    assert_eq!(request.task, InteractTask::Prompt("press it".to_owned()));
}

#[test]
fn a_timeout_may_have_a_fraction() {
    let request = parse(&json!({"code": "1", "timeout": 1.5})).unwrap();
    let timeout = Duration::from_millis(1500);
    assert_eq!(request.timeout, Some(timeout));
    assert!(matches!(request.task, InteractTask::Code(code) if code.timeout == timeout));
    let found = issues(&json!({"timeout": 0}));
    assert_eq!(
        found,
        json!([
            {"origin": "number", "code": "too_small", "minimum": 1, "inclusive": true, "path": ["timeout"],
             "message": "Too small: expected number to be >=1"},
            neither(),
        ])
    );
    assert_eq!(
        issues(&json!({"code": "1", "timeout": 300.5}))[0]["code"],
        "too_big"
    );
}

#[test]
fn a_url_names_a_page() {
    let url = |url: &str| parse(&json!({"code": "1", "url": url}));
    assert_eq!(
        url(" http://a.example ").unwrap().url.unwrap(),
        "http://a.example/"
    );
    let found = issues(&json!({"code": "1", "url": "nope"}));
    assert_eq!(
        found,
        json!([{"code": "invalid_format", "format": "url", "path": ["url"], "message": "Invalid URL"}])
    );
    let found = issues(&json!({"code": "1", "url": "ftp://a.example"}));
    assert_eq!(found[0]["message"], "URL uses unsupported protocol");
}

#[test]
fn the_other_fields_are_checked_in_order() {
    let found = issues(&json!({
        "zeroDataRetention": "x", "existingSessionId": 1, "integration": 2, "origin": 3, "prompt": 4,
    }));
    let paths: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| &issue["path"][0])
        .collect();
    assert_eq!(
        paths,
        [
            "prompt",
            "origin",
            "integration",
            "existingSessionId",
            "zeroDataRetention"
        ]
    );
    let request = parse(
        &json!({"code": "1", "zeroDataRetention": true, "existingSessionId": "a", "other": 1}),
    );
    let request = request.unwrap();
    assert!(request.zero_data_retention);
    assert_eq!(request.existing_session_id.as_deref(), Some("a"));
}

#[test]
fn a_prompt_has_at_most_10000_characters() {
    assert!(parse(&json!({"prompt": "\u{e4}".repeat(10_000)})).is_ok());
    let found = issues(&json!({"prompt": "a".repeat(10_001)}));
    assert_eq!(
        (&found[0]["code"], &found[0]["maximum"]),
        (&json!("too_big"), &json!(10_000))
    );
}

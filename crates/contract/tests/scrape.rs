//! Tests requests for scrapes, and what a later session needs of them.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use hearth_contract::action::{Action, Direction};
use hearth_contract::{Body, Format, Issue, ScrapeContext, ScrapeRequest};
use serde_json::{Value, json};

fn parse(body: &Value) -> Result<ScrapeRequest, Vec<Issue>> {
    ScrapeRequest::parse(&Body::parse(body.to_string().as_bytes()).unwrap())
}

fn issues(body: &Value) -> Value {
    serde_json::to_value(parse(body).unwrap_err()).unwrap()
}

#[test]
fn a_request_has_the_documented_defaults() {
    let request = parse(&json!({"url": "intranet/x?a=b"})).unwrap();
    assert_eq!(request.url, "http://intranet/x?a=b");
    assert_eq!(request.source_url, "intranet/x?a=b");
    assert_eq!(request.formats, [Format::Markdown]);
    assert_eq!((request.timeout_ms, request.wait_for_ms), (60_000, 0));
    assert!(request.only_main_content && !request.mobile && !request.skip_tls_verification);
}

#[test]
fn repeated_formats_count_once_and_screenshots_do_not_repeat() {
    let formats =
        json!(["markdown", {"type": "markdown"}, "links", {"type": "screenshot", "quality": 50}]);
    let request = parse(&json!({"url": "a.example", "formats": formats})).unwrap();
    let names: Vec<&str> = request.formats.iter().map(Format::as_str).collect();
    assert_eq!(names, ["markdown", "links", "screenshot"]);
    let found = issues(&json!({"url": "a.example", "formats": ["screenshot", "screenshot"]}));
    assert_eq!(
        found[0]["message"],
        "You may only specify one screenshot format"
    );
}

#[test]
fn the_summary_of_a_scrape_is_in_milliseconds() {
    let issues = parse(&json!({"url": "a.example", "timeout": 5})).unwrap_err();
    let error = serde_json::to_value(hearth_contract::ErrorBody::validation(issues)).unwrap();
    assert_eq!(
        error["error"],
        "Bad Request: timeout: Too small: expected number to be >=1000 (milliseconds)"
    );
}

#[test]
fn a_long_list_is_one_issue() {
    let many = vec![json!({"type": "wait", "milliseconds": 1}); 100_000];
    let found =
        issues(&json!({"url": "a.example", "actions": many, "includeTags": vec!["p"; 501]}));
    let messages: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| &issue["message"])
        .collect();
    assert_eq!(
        messages,
        [
            "Number of includeTags cannot exceed 500",
            "Number of actions cannot exceed 50"
        ]
    );
}

#[test]
fn zero_data_retention_excludes_a_profile() {
    let body = json!({"url": "a.example", "zeroDataRetention": true, "profile": {"name": "p"}});
    assert_eq!(
        issues(&body)[0]["message"],
        "Recordings and saved profiles are not supported with Zero Data Retention."
    );
}

/// Returns the actions of a request that another server has accepted.
fn cleaned(actions: &Value) -> Vec<Action> {
    let request = json!({"url": "https://a.example/", "actions": actions});
    let context = ScrapeContext::from_accepted(&Body::from(&request));
    context.unwrap().actions
}

#[test]
fn actions_of_another_server_are_cleaned() {
    let actions = json!([
        {"type": "wait", "milliseconds": 10},
        {"type": "wait"},
        {"type": "wait", "milliseconds": 10, "selector": "p"},
        {"type": "wait", "milliseconds": 60_001},
        {"type": "wait", "selector": "p"},
        {"type": "scroll"},
        {"type": "click"},
        {"type": "future"},
        "click",
        null,
    ]);
    assert_eq!(
        cleaned(&actions),
        [
            Action::Wait { milliseconds: 10 },
            Action::WaitFor {
                selector: "p".to_owned()
            },
            Action::Scroll {
                direction: Direction::Down,
                selector: None
            },
        ]
    );
    assert_eq!(cleaned(&json!({"type": "scroll"})), []);
}

#[test]
fn a_context_leaves_out_what_is_malformed() {
    let request = json!({
        "url": "https://a.example/",
        "waitFor": "soon",
        "actions": [{"type": "click", "selector": "a"}, 1],
        "headers": {"X-A": "1"},
        "mobile": true,
        "profile": {"name": ""},
        "location": {"country": "DE", "languages": ["de"]},
        "blockAds": false,
    });
    let context = ScrapeContext::from_accepted(&Body::from(&request)).unwrap();
    assert_eq!((context.wait_for_ms, context.actions.len()), (0, 1));
    assert_eq!(
        (context.mobile, context.block_ads, context.profile.is_none()),
        (true, false, true)
    );
    assert_eq!(context.country.as_deref(), Some("de"));
    assert_eq!(context.headers["X-A"], "1");
    for unusable in [
        json!({}),
        json!({"url": 1}),
        json!({"url": "ftp://a"}),
        json!([]),
    ] {
        assert_eq!(
            ScrapeContext::from_accepted(&Body::from(&unusable)),
            None,
            "{unusable}"
        );
    }
    let stored = serde_json::to_string(&context).unwrap();
    assert_eq!(
        serde_json::from_str::<ScrapeContext>(&stored).unwrap(),
        context
    );
}

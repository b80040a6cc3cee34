//! Tests the recorded request and response pairs, and the cases that they do not cover.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_contract::{
    Body, CreateRequest, ErrorBody, ExecuteRequest, Issue, Language, ListRequest, StatusFilter,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

const FIXTURE: &str = include_str!("../../../tests/fixtures/validation.json");

/// Returns the error body for an invalid request, or `None` for a valid one.
fn error_body(endpoint: &str, input: &Value) -> Option<String> {
    let issues = match endpoint {
        "create" => create(input).err(),
        "execute" => execute(input).err(),
        "list" => {
            let pairs = input
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
            ListRequest::parse(pairs).err()
        }
        other => panic!("unknown endpoint {other}"),
    };
    issues.map(|issues| serde_json::to_string(&ErrorBody::validation(issues)).unwrap())
}

/// Replaces each `{"$repeat":[text, n]}` with the text n times.
fn expand(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            if let Some(repeat) = fields.get("$repeat") {
                let count = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
                return Value::String(repeat[0].as_str().unwrap().repeat(count));
            }
            Value::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name, expand(value)))
                    .collect(),
            )
        }
        Value::Array(items) => Value::Array(items.into_iter().map(expand).collect()),
        other => other,
    }
}

fn body(value: &Value) -> Body {
    Body::parse(value.to_string().as_bytes()).unwrap()
}

fn create(value: &Value) -> Result<CreateRequest, Vec<Issue>> {
    CreateRequest::parse(&body(value))
}

fn execute(value: &Value) -> Result<ExecuteRequest, Vec<Issue>> {
    ExecuteRequest::parse(&body(value))
}

fn issues_of<T: std::fmt::Debug>(result: Result<T, Vec<Issue>>) -> Value {
    serde_json::to_value(result.unwrap_err()).unwrap()
}

#[test]
fn every_recorded_request_is_answered_byte_for_byte() {
    // Raw values preserve the order of the keys, which parsed values would lose.
    let lines: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(FIXTURE).unwrap();
    assert!(
        lines.len() >= 82,
        "lines are missing from the fixture: {}",
        lines.len()
    );
    for line in lines {
        let endpoint: String = serde_json::from_str(line["endpoint"].get()).unwrap();
        let input = expand(serde_json::from_str(line["input"].get()).unwrap());
        let valid: bool = serde_json::from_str(line["valid"].get()).unwrap();
        let expected = line
            .get("response")
            .map(|response| response.get().to_owned());
        assert_eq!(valid, expected.is_none(), "{endpoint} {}", line["input"]);
        assert_eq!(
            error_body(&endpoint, &input),
            expected,
            "{endpoint} {}",
            line["input"]
        );
    }
}

#[test]
fn an_empty_body_creates_a_session_with_the_documented_defaults() {
    let expected = CreateRequest {
        ttl_seconds: 600,
        activity_ttl_seconds: 300,
        stream_web_view: true,
        record_session: false,
        zero_data_retention: false,
        block_ads: None,
        profile: None,
        location: None,
    };
    assert_eq!(create(&json!({})), Ok(expected));
}

#[test]
fn every_field_of_a_create_request_is_used() {
    let body = json!({
        "ttl": 31, "activityTtl": 11, "streamWebView": false, "recordSession": true,
        "blockAds": false, "profile": {"name": "shop", "saveChanges": false},
        "location": {"country": "Gb"},
    });
    let request = create(&body).unwrap();
    assert_eq!(
        (request.ttl_seconds, request.activity_ttl_seconds),
        (31, 11)
    );
    assert_eq!(
        (
            request.stream_web_view,
            request.record_session,
            request.block_ads
        ),
        (false, true, Some(false))
    );
    let location = request.location.map(|location| location.country);
    assert_eq!(location.as_deref(), Some("gb"));
    let private = create(&json!({"zeroDataRetention": true})).unwrap();
    assert!(private.zero_data_retention);
    let profile = request.profile.unwrap();
    assert_eq!(
        (profile.name.as_str(), profile.save_changes),
        ("shop", false)
    );
}

#[test]
fn a_profile_saves_its_changes_by_default() {
    assert!(
        create(&json!({"profile": {"name": "shop"}}))
            .unwrap()
            .profile
            .unwrap()
            .save_changes
    );
}

#[test]
fn a_whole_number_with_a_decimal_point_is_an_integer() {
    let request =
        CreateRequest::parse(&Body::parse(br#"{"ttl":60.0,"activityTtl":1.2e2}"#).unwrap())
            .unwrap();
    assert_eq!(
        (request.ttl_seconds, request.activity_ttl_seconds),
        (60, 120)
    );
}

#[test]
fn a_fraction_out_of_range_is_only_reported_as_a_fraction() {
    assert_eq!(
        issues_of(create(&json!({"ttl": 5000.5})))
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn an_integer_below_the_safe_range_gives_two_issues() {
    let body: Value = serde_json::from_str(r#"{"ttl":-1e21}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&create(&body).unwrap_err()).unwrap(),
        concat!(
            r#"[{"code":"too_small","minimum":-9007199254740991,"note":"Integers must be within the safe integer range.","#,
            r#""origin":"int","path":["ttl"],"message":"Too small: expected int to be >-9007199254740991"},"#,
            r#"{"origin":"number","code":"too_small","minimum":30,"inclusive":true,"path":["ttl"],"#,
            r#""message":"Too small: expected number to be >=30"}]"#
        )
    );
}

#[test]
fn the_largest_safe_integer_is_merely_too_big() {
    assert_eq!(
        issues_of(create(&json!({"ttl": 9_007_199_254_740_991_i64})))
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_request_to_run_code_has_the_documented_defaults() {
    let request = execute(&json!({"code": "1"})).unwrap();
    assert_eq!(
        (request.language, request.timeout),
        (Language::Node, Duration::from_secs(30))
    );
}

#[test]
fn every_language_is_parsed_by_its_name() {
    for language in [Language::Python, Language::Node, Language::Bash] {
        let body = json!({"code": "1", "language": language.as_str(), "timeout": 7});
        let request = execute(&body).unwrap();
        assert_eq!(
            (request.language, request.timeout),
            (language, Duration::from_secs(7))
        );
    }
}

#[test]
fn characters_are_code_points_and_not_bytes_or_utf_16_units() {
    let longest = "🔥".repeat(100_000);
    assert_eq!(execute(&json!({"code": longest})).unwrap().code, longest);
    assert_eq!(
        issues_of(execute(&json!({"code": format!("{longest}x")})))[0]["code"],
        json!("too_big")
    );
}

#[test]
fn a_status_filter_is_parsed_among_other_parameters() {
    let request = ListRequest::parse([("page", "2"), ("status", "destroyed")].into_iter()).unwrap();
    assert_eq!(request.status, Some(StatusFilter::Destroyed));
    let request = ListRequest::parse([("status", "error")].into_iter()).unwrap();
    assert_eq!(request.status, Some(StatusFilter::Error));
    assert_eq!(ListRequest::parse(std::iter::empty()).unwrap().status, None);
}

#[test]
fn a_repeated_status_filter_is_rejected() {
    let issues = issues_of(ListRequest::parse(
        [("status", "active"), ("status", "active")].into_iter(),
    ));
    assert_eq!(issues[0]["code"], json!("invalid_value"));
}

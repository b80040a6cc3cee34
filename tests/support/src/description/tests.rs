//! Tests that responses which differ from the OpenAPI file are detected.

use super::*;

const CREATED: &str = r#"{"success":true,"id":"019aa6f0-5d2b-7c41-9d3e-5f2a8c1b7e60",
    "cdpUrl":"ws://127.0.0.1:1/cdp/019aa6f0-5d2b-7c41-9d3e-5f2a8c1b7e60?token=5f0c8a41d2e94b7f9a63c1e0b78d2f45",
    "liveViewUrl":"","interactiveLiveViewUrl":"","expiresAt":"2026-11-21T13:10:00.000Z"}"#;

fn headers(text: &str) -> HeaderMap {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs
        .map(|(name, value)| {
            (
                name.parse().unwrap_or_else(|_| panic!("{name}")),
                value.parse().unwrap(),
            )
        })
        .collect()
}

fn check(method: &Method, path: &str, status: u16, lines: &str, body: &str) -> Result<(), String> {
    let headers = headers(lines);
    DescribedResponse {
        method,
        path,
        status,
        headers: &headers,
        body,
    }
    .check()
}

const JSON: &str = "x-request-id: 1\ncontent-type: application/json";

#[track_caller]
fn assert_rejected(outcome: Result<(), String>, word: &str) {
    let problem = outcome.expect_err("the response differs from the file");
    assert!(problem.contains(word), "{problem}");
}

#[test]
fn a_described_response_is_accepted_under_both_prefixes_and_with_a_slash() {
    for path in [
        "/v2/interact",
        "/v2/browser",
        "/v2/browser/",
        "/v2/interact?x=1",
    ] {
        check(&Method::POST, path, 200, JSON, CREATED).expect(path);
    }
    check(&Method::HEAD, "/health", 200, JSON, "")
        .expect("HEAD has the headers of GET and no body");
    check(
        &Method::GET,
        "/nothing",
        404,
        JSON,
        r#"{"success":false,"error":"Not Found"}"#,
    )
    .expect("the file describes responses to unknown paths");
}

#[test]
fn a_body_that_breaks_its_schema_is_not_described() {
    let cases = [
        (
            CREATED.replace(r#""success":true"#, r#""success":"true""#),
            "/success",
        ),
        (CREATED.replace(r#""expiresAt""#, r#""expires""#), "expires"),
        (
            CREATED.replace(r#""liveViewUrl":"""#, r#""liveViewUrl":null"#),
            "/liveViewUrl",
        ),
        (CREATED.replace("token=5f0c", "token="), "/cdpUrl"),
        (CREATED.replace("-7c41-", "-4c41-"), "/id"),
        (CREATED.replace("10:00.000Z", "10:00Z"), "/expiresAt"),
        (CREATED.replace('{', "{\"more\":1,"), "more"),
        ("[]".to_owned(), "object"),
        ("{".to_owned(), "not JSON"),
    ];
    for (body, word) in cases {
        assert_rejected(check(&Method::POST, "/v2/interact", 200, JSON, &body), word);
    }
}

#[test]
fn an_execution_has_an_error_exactly_when_it_failed() {
    let execute = |rest: &str| {
        let body = format!(r#"{{"success":true,"stdout":"","result":"","stderr":"",{rest}}}"#);
        check(&Method::POST, "/v2/browser/x/execute", 200, JSON, &body)
    };
    execute(r#""exitCode":0,"killed":false"#).expect("success");
    execute(r#""exitCode":7,"killed":false,"error":"x""#).expect("failure");
    execute(r#""exitCode":137,"killed":true,"error":"x","truncated":true"#).expect("killed");
    assert_rejected(
        execute(r#""exitCode":0,"killed":false,"error":"x""#),
        "/error",
    );
    assert_rejected(
        execute(r#""exitCode":1,"killed":false"#),
        "\"error\" is a required",
    );
    assert_rejected(
        execute(r#""exitCode":1,"killed":true,"error":"x""#),
        "/exitCode",
    );
    assert_rejected(
        execute(r#""exitCode":0,"killed":false,"truncated":false"#),
        "/truncated",
    );
}

#[test]
fn an_ended_session_says_why_and_has_no_links() {
    let times = r#""createdAt":"2026-11-21T13:00:00.000Z","lastActivity":"2026-11-21T13:00:00.000Z","expiresAt":"2026-11-21T13:00:00.000Z""#;
    let status = |rest: &str| {
        let body = format!(
            r#"{{"success":true,"id":"019aa6f0-5d2b-7c41-9d3e-5f2a8c1b7e60","liveViewUrl":"","interactiveLiveViewUrl":"",{times},{rest}}}"#
        );
        check(&Method::GET, "/v2/interact/x", 200, JSON, &body)
    };
    let url =
        "ws://h/cdp/019aa6f0-5d2b-7c41-9d3e-5f2a8c1b7e60?token=5f0c8a41d2e94b7f9a63c1e0b78d2f45";
    let ending = r#""sessionDurationMs":5,"destroyedReason":"idle""#;
    status(&format!(r#""status":"active","cdpUrl":"{url}""#)).expect("active");
    status(&format!(r#""status":"destroyed","cdpUrl":"",{ending}"#)).expect("destroyed");
    assert_rejected(
        status(&format!(r#""status":"active","cdpUrl":"{url}",{ending}"#)),
        "/destroyedReason",
    );
    assert_rejected(
        status(&format!(
            r#""status":"destroyed","cdpUrl":"{url}",{ending}"#
        )),
        "/cdpUrl",
    );
    assert_rejected(
        status(r#""status":"destroyed","cdpUrl":"""#),
        "sessionDurationMs",
    );
}

#[test]
fn an_undocumented_status_header_or_content_type_is_not_described() {
    let no = |error: &str| format!(r#"{{"success":false,"error":"{error}"}}"#);
    assert_rejected(
        check(&Method::POST, "/v2/interact", 201, JSON, CREATED),
        "\"413\"",
    );
    assert_rejected(
        check(
            &Method::POST,
            "/v2/interact",
            500,
            JSON,
            &no("Internal server error"),
        ),
        "fault",
    );
    assert_rejected(
        check(&Method::GET, "/health", 404, JSON, &no("Not Found")),
        "/health",
    );
    assert_rejected(
        check(&Method::GET, "/nothing", 200, JSON, CREATED),
        "not served",
    );
    assert_rejected(
        check(&Method::PUT, "/v2/browser/x", 404, JSON, &no("Not Found")),
        "method",
    );
    assert_rejected(
        check(
            &Method::PUT,
            "/v2/browser/x",
            405,
            JSON,
            &no("Method Not Allowed"),
        ),
        "Allow",
    );
    assert_rejected(
        check(&Method::GET, "/v2/browser/x", 404, JSON, &no("Not Found")),
        "/error",
    );
    assert_rejected(
        check(
            &Method::POST,
            "/v2/interact",
            200,
            "content-type: application/json",
            CREATED,
        ),
        "x-request-id",
    );
    assert_rejected(
        check(
            &Method::POST,
            "/v2/interact",
            200,
            "x-request-id: 1\ncontent-type: text/plain",
            CREATED,
        ),
        "text/plain",
    );
    let limit = no("You have reached the maximum number of active browser sessions.");
    assert_rejected(
        check(&Method::POST, "/v2/interact", 429, JSON, &limit),
        "Retry-After",
    );
    assert_rejected(
        check(
            &Method::POST,
            "/v2/interact",
            429,
            &format!("{JSON}\nretry-after: 0"),
            &limit,
        ),
        "Retry-After",
    );
    check(
        &Method::POST,
        "/v2/interact",
        429,
        &format!("{JSON}\nretry-after: 5"),
        &limit,
    )
    .expect("as described");
}

#[test]
fn issues_are_limited_to_those_the_rules_can_produce() {
    let refused = |issue: &str| {
        let body = format!(
            r#"{{"success":false,"code":"BAD_REQUEST","error":"Bad Request: ttl: Too small: expected number to be >=30 (seconds)","details":[{issue}]}}"#
        );
        check(&Method::POST, "/v2/interact", 400, JSON, &body)
    };
    let issue = r#"{"origin":"number","code":"too_small","minimum":30,"inclusive":true,"path":["ttl"],"message":"Too small: expected number to be >=30"}"#;
    refused(issue).expect("as recorded");
    for (right, wrong) in [
        ("too_small", "too_big"),
        ("\"minimum\"", "\"maximum\""),
        (":30", ":31"),
        ("[\"ttl\"]", "\"ttl\""),
    ] {
        refused(&issue.replacen(right, wrong, 1)).expect_err(wrong);
    }
    refused("").expect_err("a list of issues is not empty");
}

//! Checks server responses against the OpenAPI file: path, method, status, headers, content type
//! and schema.
//!
//! Supports only the parts of OpenAPI that our file uses, and knows nothing else about the server.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

/// The OpenAPI file, as the server serves it.
pub const TEXT: &str = include_str!("../../../openapi/openapi.json");

/// The response to unknown paths. No path in the file leads to this response or the next one.
const UNKNOWN_PATH: (u16, &str) = (404, "UnknownPath");
const WRONG_METHOD: (u16, &str) = (405, "WrongMethod");
/// The response of a server without keys to foreign `Host` headers, on every path.
const FOREIGN_HOST: (u16, &str) = (403, "ForeignHost");

/// The parsed file.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(TEXT).expect("openapi.json is JSON"));

/// Compiled schemas, keyed by their text.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// One response of the server.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's path; a query is ignored.
    pub path: &'a str,
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: &'a str,
}

impl Answer<'_> {
    /// Asserts that the file describes this response.
    #[track_caller]
    pub fn assert_described(self) {
        if let Err(problem) = self.check() {
            let Self {
                method,
                path,
                status,
                headers,
                body,
            } = self;
            let body: String = body.chars().take(4000).collect();
            panic!(
                "{method} {path} is answered with {status}, and not as openapi.json says: {problem}\n{headers:?}\n{body}"
            );
        }
    }

    /// Returns an error that names the first difference from the file.
    pub fn check(self) -> Result<(), String> {
        let (name, response) = self.described()?;
        if self.status == 500 {
            return Err("it is described, and a fault of the server all the same".to_owned());
        }
        self.check_headers(response)?;
        self.check_body(response)
            .map_err(|problem| format!("{problem} (in {name})"))
    }

    /// Finds the response object in the file that this response must match, and its name for error
    /// messages.
    fn described(self) -> Result<(String, &'static Value), String> {
        let path = self.path.split('?').next().unwrap_or_default();
        let Some((template, has_slash)) = template_of(path) else {
            return self.one_of("the path is not served", &[UNKNOWN_PATH, FOREIGN_HOST]);
        };
        // The server answers HEAD wherever it answers GET.
        let method = if self.method == Method::HEAD {
            "get".to_owned()
        } else {
            self.method.as_str().to_lowercase()
        };
        let Some(operation) = DOCUMENT["paths"][template].get(&method) else {
            return self.one_of(
                "the path does not know the method",
                &[WRONG_METHOD, FOREIGN_HOST],
            );
        };
        let responses = operation["responses"]
            .as_object()
            .expect("an operation has responses");
        match responses.get(&self.status.to_string()) {
            Some(response) => Ok((format!("{method} {template}"), resolved(response))),
            // Not every path is also served with a trailing slash.
            None if has_slash && self.status == UNKNOWN_PATH.0 => self.one_of("", &[UNKNOWN_PATH]),
            None => Err(format!(
                "{template} has {:?}",
                responses.keys().collect::<Vec<_>>()
            )),
        }
    }

    fn one_of(
        self,
        why: &str,
        allowed: &[(u16, &str)],
    ) -> Result<(String, &'static Value), String> {
        let found = allowed.iter().find(|(status, _)| *status == self.status);
        let (_, name) = found.ok_or_else(|| format!("{why}, so only {allowed:?} are right"))?;
        Ok((
            (*name).to_owned(),
            &DOCUMENT["components"]["responses"][*name],
        ))
    }

    fn check_headers(self, response: &'static Value) -> Result<(), String> {
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = resolved(header);
            let Some(value) = self.headers.get(name.as_str()) else {
                if header["required"] == json!(true) {
                    return Err(format!("the header {name} is missing"));
                }
                continue;
            };
            let text = value
                .to_str()
                .map_err(|error| format!("the header {name}: {error}"))?;
            let is_integer = header["schema"]["type"] == json!("integer");
            let value = text
                .parse::<i64>()
                .ok()
                .filter(|_| is_integer)
                .map_or_else(|| json!(text), Value::from);
            validate(&header["schema"], &value)
                .map_err(|problem| format!("the header {name}: {problem}"))?;
        }
        Ok(())
    }

    fn check_body(self, response: &Value) -> Result<(), String> {
        let Some(content) = response.get("content").and_then(Value::as_object) else {
            return if self.body.is_empty() {
                Ok(())
            } else {
                Err("the file describes no body".to_owned())
            };
        };
        let kind = self
            .headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let Some(media) = content.get(kind) else {
            return Err(format!(
                "the content type is {kind:?} and not one of {:?}",
                content.keys().collect::<Vec<_>>()
            ));
        };
        if self.method == Method::HEAD {
            return if self.body.is_empty() {
                Ok(())
            } else {
                Err("HEAD has no body".to_owned())
            };
        }
        let value = if kind == "application/json" {
            serde_json::from_str(self.body)
                .map_err(|error| format!("the body is not JSON: {error}"))?
        } else {
            json!(self.body)
        };
        validate(&media["schema"], &value)
    }
}

/// Parses a raw HTTP response and asserts that the file describes it.
#[track_caller]
pub fn assert_raw_answer_is_described(method: &Method, path: &str, answer: &str) {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("incomplete response: {answer:?}"));
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status in {head:?}"));
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((
            name.parse::<reqwest::header::HeaderName>().ok()?,
            value.parse().ok()?,
        ))
    };
    let headers: HeaderMap = lines.filter_map(header).collect();
    Answer {
        method,
        path,
        status,
        headers: &headers,
        body,
    }
    .assert_described();
}

/// Lists every path in the file with its operations, keyed by method in capitals.
pub fn operations() -> impl Iterator<Item = (&'static str, Vec<(String, &'static Value)>)> {
    let paths = DOCUMENT["paths"].as_object().expect("the file has paths");
    paths.iter().map(|(path, item)| {
        let fields = item.as_object().expect("a path is an object").iter();
        let operations = fields
            .filter(|(name, _)| !matches!(name.as_str(), "parameters" | "summary" | "description"));
        (
            path.as_str(),
            operations
                .map(|(method, operation)| (method.to_uppercase(), operation))
                .collect(),
        )
    })
}

/// Follows one reference within the file.
pub fn resolved(value: &'static Value) -> &'static Value {
    let Some(reference) = value["$ref"].as_str() else {
        return value;
    };
    let target = reference
        .strip_prefix('#')
        .and_then(|pointer| DOCUMENT.pointer(pointer));
    target.unwrap_or_else(|| panic!("{reference} does not resolve"))
}

/// Finds the path template that a path matches. The flag is true if a trailing slash was removed.
fn template_of(path: &str) -> Option<(&'static str, bool)> {
    let exact = best_template(path).map(|template| (template, false));
    exact.or_else(|| Some((best_template(path.strip_suffix('/')?)?, true)))
}

/// Picks the matching template with the fewest parameters, because a literal segment beats a
/// parameter.
fn best_template(path: &str) -> Option<&'static str> {
    let fits = |template: &&str| {
        let (mut parts, mut given) = (template.split('/'), path.split('/'));
        let same = parts.by_ref().zip(given.by_ref()).all(|(part, given)| {
            if part.starts_with('{') {
                !given.is_empty()
            } else {
                part == given
            }
        });
        same && template.split('/').count() == path.split('/').count()
    };
    let parameters = |template: &&str| template.matches('{').count();
    let paths: &'static Map<String, Value> =
        DOCUMENT["paths"].as_object().expect("the file has paths");
    paths
        .keys()
        .map(String::as_str)
        .filter(fits)
        .min_by_key(parameters)
}

/// Validates a value against a schema of the file.
pub fn validate(schema: &Value, value: &Value) -> Result<(), String> {
    let validator = {
        let mut validators = VALIDATORS.lock().expect("the lock is not poisoned");
        let known = validators.entry(schema.to_string());
        Arc::clone(known.or_insert_with(|| Arc::new(compiled(schema))))
    };
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| problem(&error))
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("; "))
    }
}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    let text: String = error.to_string().chars().take(500).collect();
    format!("{text} at {:?}", error.instance_path().to_string())
}

/// Compiles a schema together with the file's components, because references point into them.
fn compiled(schema: &Value) -> Validator {
    let whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "components": {"schemas": DOCUMENT["components"]["schemas"]},
        "allOf": [schema],
    });
    // The generic builder would be compiled again in this crate, which takes most of a minute.
    let validator = jsonschema::draft202012::new(&whole);
    validator.unwrap_or_else(|error| panic!("{schema}: {error}"))
}

#[cfg(test)]
mod tests {
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

    fn check(
        method: &Method,
        path: &str,
        status: u16,
        lines: &str,
        body: &str,
    ) -> Result<(), String> {
        let headers = headers(lines);
        Answer {
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
    fn assert_refused(outcome: Result<(), String>, word: &str) {
        let problem = outcome.expect_err("it is not as the file says");
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
        .expect("no such path");
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
            assert_refused(check(&Method::POST, "/v2/interact", 200, JSON, &body), word);
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
        assert_refused(
            execute(r#""exitCode":0,"killed":false,"error":"x""#),
            "/error",
        );
        assert_refused(
            execute(r#""exitCode":1,"killed":false"#),
            "\"error\" is a required",
        );
        assert_refused(
            execute(r#""exitCode":1,"killed":true,"error":"x""#),
            "/exitCode",
        );
        assert_refused(
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
        let url = "ws://h/cdp/019aa6f0-5d2b-7c41-9d3e-5f2a8c1b7e60?token=5f0c8a41d2e94b7f9a63c1e0b78d2f45";
        let ending = r#""sessionDurationMs":5,"destroyedReason":"idle""#;
        status(&format!(r#""status":"active","cdpUrl":"{url}""#)).expect("active");
        status(&format!(r#""status":"destroyed","cdpUrl":"",{ending}"#)).expect("destroyed");
        assert_refused(
            status(&format!(r#""status":"active","cdpUrl":"{url}",{ending}"#)),
            "/destroyedReason",
        );
        assert_refused(
            status(&format!(
                r#""status":"destroyed","cdpUrl":"{url}",{ending}"#
            )),
            "/cdpUrl",
        );
        assert_refused(
            status(r#""status":"destroyed","cdpUrl":"""#),
            "sessionDurationMs",
        );
    }

    #[test]
    fn an_undocumented_status_header_or_content_type_is_not_described() {
        let no = |error: &str| format!(r#"{{"success":false,"error":"{error}"}}"#);
        assert_refused(
            check(&Method::POST, "/v2/interact", 201, JSON, CREATED),
            "\"413\"",
        );
        assert_refused(
            check(
                &Method::POST,
                "/v2/interact",
                500,
                JSON,
                &no("Internal server error"),
            ),
            "fault",
        );
        assert_refused(
            check(&Method::GET, "/health", 404, JSON, &no("Not Found")),
            "/health",
        );
        assert_refused(
            check(&Method::GET, "/nothing", 200, JSON, CREATED),
            "not served",
        );
        assert_refused(
            check(&Method::PUT, "/v2/browser/x", 404, JSON, &no("Not Found")),
            "method",
        );
        assert_refused(
            check(
                &Method::PUT,
                "/v2/browser/x",
                405,
                JSON,
                &no("Method Not Allowed"),
            ),
            "Allow",
        );
        assert_refused(
            check(&Method::GET, "/v2/browser/x", 404, JSON, &no("Not Found")),
            "/error",
        );
        assert_refused(
            check(
                &Method::POST,
                "/v2/interact",
                200,
                "content-type: application/json",
                CREATED,
            ),
            "x-request-id",
        );
        assert_refused(
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
        assert_refused(
            check(&Method::POST, "/v2/interact", 429, JSON, &limit),
            "Retry-After",
        );
        assert_refused(
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
                r#"{{"success":false,"code":"BAD_REQUEST","error":"Bad Request","details":[{issue}]}}"#
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
        refused("").expect_err("no issue at all");
    }
}

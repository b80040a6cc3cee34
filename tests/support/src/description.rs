//! Checks server responses against the OpenAPI file: path, method, status, headers, content type
//! and schema.
//!
//! It supports only the parts of OpenAPI that the file uses.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

/// The OpenAPI file, byte for byte as the server serves it.
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
pub struct DescribedResponse<'a> {
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

impl DescribedResponse<'_> {
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
                "the response {status} to {method} {path} differs from openapi.json: {problem}\n{headers:?}\n{body}"
            );
        }
    }

    /// Returns an error that names the first difference from the file.
    pub fn check(self) -> Result<(), String> {
        let (name, response) = self.described()?;
        // A scrape can fail because of its page.
        if self.status == 500 && !self.body.contains(r#""code":"SCRAPE_"#) {
            return Err("a status 500 is always a fault of the server".to_owned());
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
        // The server supports HEAD wherever it supports GET.
        let method = if self.method == Method::HEAD {
            "get".to_owned()
        } else {
            self.method.as_str().to_lowercase()
        };
        let Some(operation) = DOCUMENT["paths"][template].get(&method) else {
            return self.one_of(
                "the path does not support the method",
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
                "{template} allows only {:?}",
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
        let (_, name) = found.ok_or_else(|| format!("{why}, so only {allowed:?} are allowed"))?;
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
        let Some(media) = content.get(kind).or_else(|| content.get("*/*")) else {
            return Err(format!(
                "the content type is {kind:?} instead of one of {:?}",
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
        let value = if kind == "application/json" && content.contains_key(kind) {
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
    DescribedResponse {
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
        // The slashes in the path of a file may be encoded or not.
        let files = template
            .strip_suffix("{path}")
            .map(|above| above.matches('/').count());
        let path = files.map_or_else(|| path.to_owned(), |above| with_one_segment(path, above));
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

/// Encodes the slashes of a path after the first `above` ones.
fn with_one_segment(path: &str, above: usize) -> String {
    let mut parts = path.splitn(above + 1, '/');
    let mut start: Vec<String> = parts.by_ref().take(above).map(str::to_owned).collect();
    start.extend(parts.map(|rest| rest.replace('/', "%2F")));
    start.join("/")
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
mod tests;

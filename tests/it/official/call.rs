//! Calls that tests make through a client, and their results. Both use the wire's names, which may
//! differ from the client's.

use hearth_test_support::PREFIXES;
use serde_json::{Value, json};

/// One call of the API.
#[derive(Debug, Clone)]
pub enum Call<'a> {
    Create(Value),
    /// Holds the session id and the body.
    Execute(&'a str, Value),
    /// Holds the query.
    List(Value),
    Status(&'a str),
    Delete(&'a str),
    Scrape(Value),
    /// Holds the id of a scrape and the body.
    Interact(&'a str, Value),
    /// Holds the id of a scrape.
    Stop(&'a str),
    /// Holds the name of a call that only one program in tests/official has, and the body.
    Special(&'a str, Value),
}

impl Call<'_> {
    /// Serializes the call for the programs in tests/official.
    pub fn line(&self, key: Option<&str>) -> String {
        let mut line = match self {
            Self::Create(body) => json!({"call": "create", "body": body}),
            Self::Execute(id, body) => json!({"call": "execute", "id": id, "body": body}),
            Self::List(body) => json!({"call": "list", "body": body}),
            Self::Status(id) => json!({"call": "status", "id": id}),
            Self::Delete(id) => json!({"call": "delete", "id": id}),
            Self::Scrape(body) => json!({"call": "scrape", "body": body}),
            Self::Interact(id, body) => json!({"call": "interact", "id": id, "body": body}),
            Self::Stop(id) => json!({"call": "stop", "id": id}),
            Self::Special(name, body) => json!({"call": name, "body": body}),
        };
        if let Some(key) = key {
            line["key"] = json!(key);
        }
        format!("{line}\n")
    }

    /// Returns the action's name in the Python SDK's errors.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "create browser session",
            Self::Execute(..) => "execute browser code",
            Self::List(_) => "list browser sessions",
            Self::Status(_) | Self::Special(..) => unreachable!("no SDK offers it"),
            Self::Delete(_) => "delete browser session",
            Self::Scrape(_) => "scrape",
            Self::Interact(..) => "interact with scrape browser",
            Self::Stop(_) => "stop interaction",
        }
    }

    /// Returns the method, the path and the body of the call on the wire.
    pub fn request(&self) -> (&'static str, String, Option<&Value>) {
        let sessions = PREFIXES[0];
        match self {
            Self::Create(body) => ("POST", sessions.to_owned(), Some(body)),
            Self::Execute(id, body) => ("POST", format!("{sessions}/{id}/execute"), Some(body)),
            Self::List(query) => match query["status"].as_str() {
                Some(status) => ("GET", format!("{sessions}?status={status}"), None),
                None => ("GET", sessions.to_owned(), None),
            },
            Self::Status(id) => ("GET", format!("{sessions}/{id}"), None),
            Self::Delete(id) => ("DELETE", format!("{sessions}/{id}"), None),
            Self::Scrape(body) => ("POST", "/v2/scrape".to_owned(), Some(body)),
            Self::Interact(id, body) => ("POST", format!("/v2/scrape/{id}/interact"), Some(body)),
            Self::Stop(id) => ("DELETE", format!("/v2/scrape/{id}/interact"), None),
            Self::Special(name, _) => unreachable!("{name} has several requests"),
        }
    }
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum CallResult {
    /// A returned value with its keys as on the wire; keys that the client considers absent are
    /// missing.
    Returned(Value),
    /// An error as the client shows it: `name`, `message`, `status`, `code`, `details`.
    Raised(Value),
    /// The client does not offer this call. Holds the reason.
    NotOffered(&'static str),
}

impl CallResult {
    /// Parses the output of a program in tests/official.
    pub fn read(line: &str) -> Self {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        match (line.get("returned"), line.get("raised")) {
            (Some(value), None) => Self::Returned(in_camel_case(value)),
            (None, Some(error)) => Self::Raised(error.clone()),
            _ => panic!("neither returned nor raised: {line}"),
        }
    }
}

fn in_camel_case(value: &Value) -> Value {
    match value {
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (camel_case(key), in_camel_case(value)))
            .collect(),
        Value::Array(items) => items.iter().map(in_camel_case).collect(),
        other => other.clone(),
    }
}

fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        key + &word[..1].to_uppercase() + &word[1..]
    })
}

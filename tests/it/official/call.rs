//! Calls that tests make through a client, and their results. Both use the wire's names, which may
//! differ from the client's.

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
            Self::Status(_) => unreachable!("no SDK offers it"),
            Self::Delete(_) => "delete browser session",
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

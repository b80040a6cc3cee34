//! Runs scripts in the page: the server's own in an isolated world, and those of clients among the
//! page's scripts.

use hearth_contract::ScriptValue;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::PageDriver;
use super::error::PageError;

/// The name of the world in which the server's scripts run.
const WORLD: &str = "hearth";

/// The group of objects that are released after a script.
const OBJECTS: &str = "hearth";

/// Calls a function and returns its value as JSON text, if that is not too long. Replaces lone
/// surrogates, which JSON parsers reject.
const CALL: &str = "(async (call, limit) => {
    const text = JSON.stringify(await call(), (_, value) =>
        typeof value === 'string' ? value.toWellFormed() : value);
    return text?.length > limit ? { length: text.length } : { text: text ?? 'null' };
})";

/// Returns an object as JSON text, if that is not too long.
const TO_JSON: &str = "function (limit) {
    const text = JSON.stringify(this, (_, value) =>
        typeof value === 'string' ? value.toWellFormed() : value);
    return text?.length > limit ? { length: text.length } : { text: text ?? 'null' };
}";

/// Returns about the bytes that a value takes in memory.
pub(super) fn bytes_of(value: &Value) -> usize {
    let own = size_of::<Value>();
    match value {
        Value::String(text) => own + text.len(),
        Value::Array(values) => own + values.iter().map(bytes_of).sum::<usize>(),
        Value::Object(members) => {
            let of_member = |(name, value): (&String, &Value)| name.len() + 64 + bytes_of(value);
            own + members.iter().map(of_member).sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => own,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct World {
    execution_context_id: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Evaluated {
    result: RemoteObject,
    exception_details: Option<ExceptionDetails>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoteObject {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    value: Value,
    object_id: Option<String>,
}

#[derive(Deserialize)]
struct ExceptionDetails {
    text: String,
    exception: Option<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    description: Option<String>,
    value: Option<Value>,
}

/// A JSON text, or only its length if it is too long.
#[derive(Deserialize)]
struct Limited {
    text: Option<String>,
}

impl ExceptionDetails {
    fn into_error(self) -> PageError {
        let exception = self.exception.as_ref();
        let described = exception.and_then(|exception| {
            let description = exception.description.clone();
            // The rest is a stack trace.
            let line = description.and_then(|text| text.lines().next().map(str::to_owned));
            line.or_else(|| exception.value.as_ref().map(Value::to_string))
        });
        PageError::step(described.unwrap_or(self.text))
    }
}

impl PageDriver {
    /// Calls a function in an isolated world of the current tab's main frame, and returns its
    /// value. `source` is an expression whose value is a function, which may be asynchronous;
    /// `argument` is its argument. The value is written as JSON of at most `max_bytes`, which `what`
    /// names in the error.
    pub async fn evaluate_isolated<T: DeserializeOwned>(
        &mut self,
        source: &str,
        argument: &impl Serialize,
        (what, max_bytes): (&'static str, usize),
        deadline: Instant,
    ) -> Result<T, PageError> {
        let malformed = |source| PageError::Malformed {
            method: "Runtime.evaluate".to_owned(),
            source,
        };
        let argument = serde_json::to_string(argument).map_err(malformed)?;
        let world = json!({"frameId": self.connection.tab(), "worldName": WORLD});
        let world: World = self
            .connection
            .call("Page.createIsolatedWorld", &world, deadline)
            .await?;
        let params = json!({
            "expression": format!("{CALL}(() => ({source})({argument}), {max_bytes})"),
            "contextId": world.execution_context_id,
            "awaitPromise": true,
            "returnByValue": true,
        });
        let evaluated: Evaluated = self
            .connection
            .call("Runtime.evaluate", &params, deadline)
            .await?;
        if let Some(exception) = evaluated.exception_details {
            return Err(exception.into_error());
        }
        let limited: Limited = serde_json::from_value(evaluated.result.value).map_err(malformed)?;
        let text = limited.text.ok_or(PageError::TooLarge {
            what,
            max_mb: max_bytes >> 20,
        })?;
        serde_json::from_str(&text).map_err(malformed)
    }

    /// Runs a client's script among the page's own scripts. `body` is the body of an asynchronous
    /// function. A script that leaves the page returns nothing.
    pub(super) async fn run_script(
        &mut self,
        body: &str,
        max_bytes: usize,
        deadline: Instant,
    ) -> Result<ScriptValue, PageError> {
        let params = json!({
            // A line break, because the body can end with a comment.
            "expression": format!("(async () => {{\n{body}\n}})()"),
            "awaitPromise": true,
            "userGesture": true,
            "objectGroup": OBJECTS,
        });
        let evaluated: Result<Evaluated, _> = self
            .connection
            .call("Runtime.evaluate", &params, deadline)
            .await;
        let evaluated = match evaluated {
            Err(PageError::Rejected { message, .. }) if has_left(&message) => {
                return Ok(ScriptValue {
                    kind: "undefined".to_owned(),
                    value: Value::Null,
                });
            }
            evaluated => evaluated?,
        };
        if let Some(exception) = evaluated.exception_details {
            return Err(exception.into_error());
        }
        let RemoteObject {
            kind,
            value,
            object_id,
        } = evaluated.result;
        let value = match object_id {
            None => value,
            Some(_) if kind == "function" || kind == "symbol" => Value::Null,
            Some(object) => self.object_to_json(&object, max_bytes, deadline).await?,
        };
        let length = value.as_str().map_or(0, str::len);
        if length > max_bytes {
            return Err(too_large(max_bytes));
        }
        Ok(ScriptValue { kind, value })
    }

    /// Returns an object of the page as JSON. One that JSON cannot express is null.
    async fn object_to_json(
        &mut self,
        object: &str,
        max_bytes: usize,
        deadline: Instant,
    ) -> Result<Value, PageError> {
        let params = json!({
            "objectId": object,
            "functionDeclaration": TO_JSON,
            "arguments": [{"value": max_bytes}],
            "returnByValue": true,
        });
        let written: Result<Evaluated, _> = self
            .connection
            .call("Runtime.callFunctionOn", &params, deadline)
            .await;
        self.connection.send(
            "Runtime.releaseObjectGroup",
            &json!({"objectGroup": OBJECTS}),
        )?;
        let written = match written {
            Ok(written) if written.exception_details.is_none() => written,
            Ok(_) | Err(PageError::Rejected { .. }) => return Ok(Value::Null),
            Err(error) => return Err(error),
        };
        // The page can have replaced the functions that the script uses.
        let Ok(limited) = serde_json::from_value::<Limited>(written.result.value) else {
            return Ok(Value::Null);
        };
        let text = limited.text.ok_or_else(|| too_large(max_bytes))?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

fn too_large(max_bytes: usize) -> PageError {
    PageError::TooLarge {
        what: "value of a script",
        max_mb: max_bytes >> 20,
    }
}

/// Returns true for Chromium's errors of a call whose document has been replaced.
pub(super) fn has_left(message: &str) -> bool {
    [
        "Inspected target navigated or closed",
        "Execution context was destroyed",
        "Promise was collected",
        "Cannot find context",
    ]
    .iter()
    .any(|known| message.contains(known))
}

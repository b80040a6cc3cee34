//! Lines of the console: calls of `console`, uncaught exceptions, and messages of the browser.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redact::{cut, redact_url};

/// The maximum length of the text of a line, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// A line of the console.
#[derive(Debug, Serialize)]
struct ConsoleLine {
    kind: &'static str,
    /// `error`, `warning`, `info`, `log` or `debug`.
    level: &'static str,
    text: String,
    /// The address of the script and the line, if they are known.
    source: Option<String>,
    /// Milliseconds since 1970, by the clock of the browser.
    at: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsoleCall {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    args: Vec<RemoteObject>,
    timestamp: f64,
    stack_trace: Option<StackTrace>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemoteObject {
    #[serde(rename = "type")]
    kind: String,
    subtype: Option<String>,
    value: Option<Value>,
    unserializable_value: Option<String>,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StackTrace {
    call_frames: Vec<Place>,
}

/// A place in a script. Lines count from 0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(default)]
    url: String,
    #[serde(default)]
    line_number: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Thrown {
    timestamp: f64,
    exception_details: ExceptionDetails,
}

#[derive(Deserialize)]
struct ExceptionDetails {
    text: String,
    exception: Option<RemoteObject>,
    #[serde(flatten)]
    place: Place,
}

#[derive(Deserialize)]
struct LogAdded {
    entry: LogEntry,
}

#[derive(Deserialize)]
struct LogEntry {
    level: String,
    text: String,
    timestamp: f64,
    #[serde(flatten)]
    place: Place,
}

/// Returns the line of an event, or `None` for other events.
pub(super) fn line(method: &str, params: &str) -> Option<String> {
    let line = match method {
        "Runtime.consoleAPICalled" => call(serde_json::from_str(params).ok()?),
        "Runtime.exceptionThrown" => thrown(serde_json::from_str(params).ok()?),
        "Log.entryAdded" => added(serde_json::from_str(params).ok()?),
        _ => return None,
    };
    serde_json::to_string(&line).ok()
}

fn call(call: ConsoleCall) -> ConsoleLine {
    let level = match call.kind.as_str() {
        "error" | "assert" => "error",
        "warning" => "warning",
        "info" => "info",
        "debug" => "debug",
        _ => "log",
    };
    let mut text = String::new();
    for argument in &call.args {
        if !text.is_empty() {
            text.push(' ');
        }
        push(&mut text, argument);
        if text.len() > MAX_TEXT_BYTES {
            break;
        }
    }
    let place = call.stack_trace.and_then(|stack| {
        let mut frames = stack.call_frames.into_iter();
        frames.next()
    });
    new_line(level, &text, place.as_ref(), call.timestamp)
}

fn push(text: &mut String, argument: &RemoteObject) {
    match argument {
        RemoteObject {
            value: Some(Value::String(value)),
            ..
        } => text.push_str(value),
        RemoteObject {
            value: Some(value), ..
        } => {
            // Writing into a string cannot fail.
            let _ = write!(text, "{value}");
        }
        RemoteObject {
            unserializable_value,
            description,
            subtype,
            kind,
            ..
        } => {
            let shown = unserializable_value.as_ref().or(description.as_ref());
            text.push_str(shown.or(subtype.as_ref()).unwrap_or(kind));
        }
    }
}

fn thrown(thrown: Thrown) -> ConsoleLine {
    let Thrown {
        timestamp,
        exception_details,
    } = thrown;
    let ExceptionDetails {
        text,
        exception,
        place,
    } = exception_details;
    let mut shown = text;
    if let Some(exception) = &exception {
        shown.push(' ');
        push(&mut shown, exception);
    }
    new_line("error", &shown, Some(&place), timestamp)
}

fn added(added: LogAdded) -> ConsoleLine {
    let LogEntry {
        level,
        text,
        timestamp,
        place,
    } = added.entry;
    let level = match level.as_str() {
        "error" => "error",
        "warning" => "warning",
        "verbose" => "debug",
        _ => "info",
    };
    new_line(level, &text, Some(&place), timestamp)
}

fn new_line(level: &'static str, text: &str, place: Option<&Place>, at: f64) -> ConsoleLine {
    let place = place.filter(|place| !place.url.is_empty());
    ConsoleLine {
        kind: "console",
        level,
        text: cut(text, MAX_TEXT_BYTES),
        source: place.map(|place| format!("{}:{}", redact_url(&place.url), place.line_number + 1)),
        at,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(method: &str, params: &Value) -> Value {
        let line = line(method, &params.to_string()).expect("a line");
        serde_json::from_str(&line).expect("it is JSON")
    }

    #[test]
    fn a_call_of_the_console_shows_its_arguments() {
        let line = shown(
            "Runtime.consoleAPICalled",
            &json!({"type": "warning", "timestamp": 5.5, "executionContextId": 1, "args": [
                {"type": "string", "value": "two"}, {"type": "number", "value": 2},
                {"type": "bigint", "unserializableValue": "3n", "description": "3n"},
                {"type": "object", "className": "Array", "description": "Array(1)"},
                {"type": "undefined"}, {"type": "object", "subtype": "null", "value": null}],
                "stackTrace": {"callFrames": [{"url": "https://a.example/x.js", "lineNumber": 4, "columnNumber": 1}]}}),
        );
        assert_eq!(
            line,
            json!({"kind": "console", "level": "warning", "text": "two 2 3n Array(1) undefined null",
                "source": "https://a.example/x.js:5", "at": 5.5})
        );
    }

    #[test]
    fn an_exception_and_a_message_of_the_browser_are_lines() {
        let thrown = shown(
            "Runtime.exceptionThrown",
            &json!({"timestamp": 1.0, "exceptionDetails": {"exceptionId": 1, "text": "Uncaught", "lineNumber": 0,
                "columnNumber": 0, "exception": {"type": "object", "description": "Error: no\n    at x"}}}),
        );
        assert_eq!(thrown["text"], "Uncaught Error: no\n    at x");
        assert_eq!(
            (&thrown["level"], &thrown["source"]),
            (&json!("error"), &Value::Null)
        );
        let added = shown(
            "Log.entryAdded",
            &json!({"entry": {"source": "network", "level": "verbose", "text": "slow", "timestamp": 2.0,
                "url": "https://ann:x@a.example/"}}),
        );
        assert_eq!(
            (&added["level"], &added["source"]),
            (&json!("debug"), &json!("https://a.example/:1"))
        );
    }

    #[test]
    fn long_texts_are_cut_and_other_events_ignored() {
        let line = shown(
            "Runtime.consoleAPICalled",
            &json!({"type": "log", "timestamp": 0.0, "args": [{"type": "string", "value": "€".repeat(100_000)}]}),
        );
        assert!(line["text"].as_str().expect("text").len() < MAX_TEXT_BYTES + 4);
        assert_eq!(super::line("Page.loadEventFired", "{}"), None);
        assert_eq!(super::line("Runtime.consoleAPICalled", "{}"), None);
    }
}

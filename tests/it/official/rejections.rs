//! Error responses of the server, as each client shows them.

use hearth_test_support::report::Outcome;
use serde_json::{Value, json};

use super::call::{Call, CallResult};
use super::client::Kind;

/// Asserts that a client shows an error with this status and body; returns a note if the client
/// shows it in another form.
#[track_caller]
pub fn assert_rejected(
    kind: Kind,
    call: &Call<'_>,
    answer: CallResult,
    status: u16,
    body: &Value,
) -> Outcome {
    let error = body["error"].as_str().unwrap();
    let note = match (kind, answer) {
        (_, CallResult::NotOffered(why)) => return Outcome::NotOffered(why.to_owned()),
        (Kind::JavaScript, CallResult::Raised(raised)) => {
            let expected = json!({"name": "FirecrawlSdkError", "message": error, "status": status});
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(raised[key], *value, "{raised}");
            }
            if let Some(details) = body.get("details") {
                assert_eq!(
                    (&raised["code"], &raised["details"]),
                    (&body["code"], details)
                );
            }
            ""
        }
        (Kind::Python | Kind::PythonAsync, CallResult::Raised(raised)) => {
            assert_eq!(raised["status"], status, "{raised}");
            assert_raised_in_python(call, &raised, status, body);
            match status {
                403 => "raised as `WebsiteNotSupportedError`, like every 403",
                _ => "",
            }
        }
        (Kind::PythonAsync, CallResult::Returned(returned)) => {
            assert_eq!(returned, json!({"success": false, "error": error}));
            "it raises nothing and returns an object with `success=False` and the error"
        }
        (Kind::CommandLine, CallResult::Raised(raised)) => {
            let (message, note) = in_the_cli(call, error, status);
            assert_eq!(raised, json!({"message": message, "status": 1}));
            note
        }
        (Kind::Rust, CallResult::Raised(raised)) => {
            let action = match call {
                Call::Interact(..) => "scrape interact",
                call => call.action(),
            };
            let details = body
                .get("details")
                .map(|details| format!(" ({details})"))
                .unwrap_or_default();
            let message = format!("{action} failed: {error}{details}");
            assert_eq!(raised["message"], message);
            assert_eq!(raised["details"], body["details"]);
            ""
        }
        (Kind::McpServer, CallResult::Raised(raised)) => {
            let (message, note) = in_the_mcp_server(call, error, status);
            assert_eq!(raised, json!({"message": message}));
            note
        }
        (Kind::AiSdk, CallResult::Raised(raised)) => {
            assert_eq!(raised["message"], error);
            ""
        }
        (Kind::AiSdk, CallResult::Returned(returned)) => {
            if let Call::Stop(_) = call {
                return Outcome::NotOffered("it ignores the response".to_owned());
            }
            assert_eq!(returned["error"], error, "{returned}");
            "the model reads the error as a result"
        }
        (Kind::Curl, CallResult::Raised(raised)) => {
            let mut expected = body.clone();
            expected["status"] = json!(status);
            assert_eq!(raised, expected);
            ""
        }
        (_, answer) => panic!("not rejected with {status} {error}: {answer:?}"),
    };
    Outcome::Good(note.to_owned())
}

/// Returns what the CLI prints, and a note.
fn in_the_cli(call: &Call<'_>, error: &str, status: u16) -> (String, &'static str) {
    match (call, status) {
        (Call::Execute(id, _), 403 | 404 | 410) => (
            format!(
                "Error: Session {id} has expired or been destroyed.\nThe session may have exceeded its TTL or \
                 been closed.\nStart a new session with: firecrawl browser launch\n"
            ),
            "it reports each of these as an expired or destroyed session",
        ),
        (Call::Interact(id, _), _) => (format!("Using scrape {id}\nError: {error}\n"), ""),
        (Call::Stop(_), _) => (format!("Error: {error}\n"), ""),
        (_, 400) => (
            format!("Error: {error}\n"),
            "it shows the error without its details",
        ),
        _ => (format!("Error: {error}\n"), ""),
    }
}

/// Returns the text of the tool's error, and a note.
fn in_the_mcp_server(call: &Call<'_>, error: &str, status: u16) -> (String, &'static str) {
    let (tool, error, note) = match call {
        Call::Scrape(_) => ("firecrawl_scrape", error.to_owned(), ""),
        Call::Interact(..) => ("firecrawl_interact", error.to_owned(), ""),
        Call::Stop(_) => (
            "firecrawl_interact_stop",
            format!("Request failed with status code {status}"),
            "it shows the status instead of the error",
        ),
        _ => unreachable!("it has no tool for {call:?}"),
    };
    (format!("Tool '{tool}' execution failed: {error}"), note)
}

#[track_caller]
fn assert_raised_in_python(call: &Call<'_>, raised: &Value, status: u16, body: &Value) {
    let (error, action) = (body["error"].as_str().unwrap(), call.action());
    let (name, start) = match status {
        200 => ("DNSResolutionError", format!("Failed to {action}")),
        400 => (
            "BadRequestError",
            format!("Bad Request: Failed to {action}"),
        ),
        401 => (
            "UnauthorizedError",
            format!("Unauthorized: Failed to {action}"),
        ),
        403 => (
            "WebsiteNotSupportedError",
            format!("Website Not Supported: Failed to {action}"),
        ),
        408 => (
            "RequestTimeoutError",
            format!("Request Timeout: Failed to {action} as the request timed out"),
        ),
        500 => (
            "InternalServerError",
            format!("Internal Server Error: Failed to {action}"),
        ),
        _ => (
            "FirecrawlError",
            format!("Unexpected error during {action}: Status code {status}"),
        ),
    };
    assert_eq!(raised["name"], name, "{raised}");
    let message = raised["message"].as_str().unwrap();
    if status == 410 {
        return assert_eq!(message, error);
    }
    let start = format!("{start}. {error}");
    let details = message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{message:?} does not start with {start:?}"));
    let Some(issues) = body.get("details") else {
        let none = match status {
            200 => "",
            _ => " - No additional error details provided.",
        };
        return assert_eq!(details, none);
    };
    for issue in issues.as_array().unwrap() {
        let sentence = issue["message"].as_str().unwrap();
        assert!(
            details.contains(sentence),
            "{sentence:?} is not in {details:?}"
        );
    }
}

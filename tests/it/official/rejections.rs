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
        (Kind::Python, CallResult::Raised(raised)) => {
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
            let (message, note) = match (call, status) {
                (Call::Execute(id, _), 403 | 404 | 410) => (
                    format!(
                        "Error: Session {id} has expired or been destroyed.\nThe session may have exceeded its TTL or \
                         been closed.\nStart a new session with: firecrawl browser launch\n"
                    ),
                    "it reports each of these as an expired or destroyed session",
                ),
                (_, 400) => (
                    format!("Error: {error}\n"),
                    "it shows the error without its details",
                ),
                _ => (format!("Error: {error}\n"), ""),
            };
            assert_eq!(raised, json!({"message": message, "status": 1}));
            note
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

#[track_caller]
fn assert_raised_in_python(call: &Call<'_>, raised: &Value, status: u16, body: &Value) {
    let (name, failed) = match status {
        400 => ("BadRequestError", "Bad Request: Failed to "),
        401 => ("UnauthorizedError", "Unauthorized: Failed to "),
        403 => (
            "WebsiteNotSupportedError",
            "Website Not Supported: Failed to ",
        ),
        _ => ("FirecrawlError", "Unexpected error during "),
    };
    let action = call.action();
    let status = if name == "FirecrawlError" {
        format!(": Status code {status}")
    } else {
        String::new()
    };
    let start = format!(
        "{failed}{action}{status}. {} - ",
        body["error"].as_str().unwrap()
    );
    let message = raised["message"].as_str().unwrap();
    assert_eq!(raised["name"], name, "{raised}");
    let details = message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{message:?} does not start with {start:?}"));
    let Some(issues) = body.get("details") else {
        assert_eq!(details, "No additional error details provided.");
        return;
    };
    for issue in issues.as_array().unwrap() {
        let sentence = issue["message"].as_str().unwrap();
        assert!(
            details.contains(sentence),
            "{sentence:?} is not in {details:?}"
        );
    }
}

//! The steps that the server rejects, or a client itself.

use hearth_test_support::report::Outcome;
use serde_json::{Value, json};

use super::{Call, CallResult, Kind, Visit, closed_port, scrape_id};
use crate::official::rejections::assert_rejected;
use crate::official::visit::UNKNOWN;

/// The steps that are one call of the API.
pub const REJECTED: [&str; 14] = [
    "run code after the stop",
    "run code on an unknown scrape",
    "run code on another team's scrape",
    "run code on an id that is none",
    "neither code nor a prompt",
    "timeout of 301 s",
    "stop an unknown scrape",
    "stop another team's scrape",
    "stop a scrape that has no session",
    "scrape an address that is not of the web",
    "scrape in a format that the server does not make",
    "waitFor of 70 s",
    "scrape a port on which nothing listens",
    "scrape a page that never answers",
];

impl Visit<'_> {
    /// Runs a step that is one rejected call.
    pub(super) async fn rejection(&mut self, step: &str) -> Outcome {
        let (own, other_team) = (self.scrape_id.clone(), self.other_team);
        let run = json!({"language": "node", "code": "1"});
        let page = self.site.url("/title/Rejected");
        let (call, status) = match step {
            "run code after the stop" => (Call::Interact(&own, run), 410),
            "run code on an unknown scrape" => (Call::Interact(UNKNOWN, run), 404),
            "run code on another team's scrape" => (Call::Interact(other_team, run), 403),
            "run code on an id that is none" => (Call::Interact("scrape", run), 400),
            "neither code nor a prompt" => (Call::Interact(&own, json!({})), 400),
            "timeout of 301 s" => {
                let body = json!({"language": "node", "code": "1", "timeout": 301});
                (Call::Interact(&own, body), 400)
            }
            "stop an unknown scrape" => (Call::Stop(UNKNOWN), 404),
            "stop another team's scrape" => (Call::Stop(other_team), 403),
            "stop a scrape that has no session" => return self.stop_without_session().await,
            "scrape an address that is not of the web" => {
                (Call::Scrape(json!({"url": "ftp://127.0.0.1/"})), 400)
            }
            "scrape in a format that the server does not make" => {
                let body = json!({"url": page, "formats": ["summary"]});
                (Call::Scrape(body), 400)
            }
            "waitFor of 70 s" => {
                let body = json!({"url": page, "waitFor": 70_000});
                (Call::Scrape(body), 400)
            }
            "scrape a port on which nothing listens" => {
                (Call::Scrape(json!({"url": closed_port()})), 500)
            }
            "scrape a page that never answers" => {
                let body = json!({"url": self.site.url("/hang"), "timeout": 1000});
                (Call::Scrape(body), 408)
            }
            "unknown key" | "no key" => return self.unauthorized(step).await,
            _ => unreachable!("{step}"),
        };
        // The tests of the routes check that this response is correct.
        let direct = self.direct(&call).await;
        assert_eq!(direct.status, status, "{}", direct.text);
        let body = direct.json();
        assert_eq!(body["success"], false, "{body}");
        if let Some(error) = stated(step) {
            assert_eq!(body["error"], error, "{body}");
        }
        self.assert_rejected(&call, status, &body).await
    }

    /// Makes a call, and asserts that the client shows its rejection by the server or by itself.
    pub(super) async fn assert_rejected(
        &mut self,
        call: &Call<'_>,
        status: u16,
        body: &Value,
    ) -> Outcome {
        let answer = self.call(call).await;
        if is_rejected_by_client(self.kind(), call, &answer) {
            return Outcome::Good("rejected by the client itself".to_owned());
        }
        assert_rejected(self.kind(), call, answer, status, body)
    }

    async fn stop_without_session(&mut self) -> Outcome {
        let body = json!({"url": self.site.url("/title/Unused")});
        let document = self.scraped(&body).await;
        let call = Call::Stop(scrape_id(&document));
        let body = json!({"success": false, "error": "Browser session not found."});
        self.assert_rejected(&call, 404, &body).await
    }

    async fn unauthorized(&mut self, step: &str) -> Outcome {
        let call = Call::Scrape(json!({"url": self.site.url("/title/Rejected")}));
        let (key, error) = match (step, self.kind()) {
            ("unknown key", _) => (Some("nobody's"), "Unauthorized: Invalid token"),
            // It sends `Authorization: Bearer` without a token.
            (_, Kind::CommandLine) => (None, "Unauthorized: Token missing"),
            _ => (None, "Unauthorized"),
        };
        let answer = self.client.call(key, &call).await;
        let body = json!({"success": false, "error": error});
        assert_rejected(self.kind(), &call, answer, 401, &body)
    }
}

/// Returns the error of a step if clients are known to depend on its wording.
fn stated(step: &str) -> Option<&'static str> {
    Some(match step {
        "run code after the stop" => "Browser session has been destroyed.",
        "run code on an unknown scrape" => "Job not found.",
        "run code on another team's scrape" | "stop another team's scrape" => "Forbidden.",
        "run code on an id that is none" => "Invalid job ID format. Job ID must be a valid UUID.",
        "neither code nor a prompt" => "Either 'code' or 'prompt' must be provided.",
        "stop an unknown scrape" => "Browser session not found.",
        "scrape in a format that the server does not make" => {
            "This server does not make the format \"summary\"."
        }
        _ => return None,
    })
}

/// Returns true if the client rejected the call without sending it.
fn is_rejected_by_client(kind: Kind, call: &Call<'_>, answer: &CallResult) -> bool {
    let CallResult::Raised(raised) = answer else {
        return false;
    };
    let message = raised["message"].as_str().unwrap_or_default();
    let own = match (kind, call) {
        (Kind::CommandLine, Call::Scrape(_)) => "Error: URL is required.",
        (Kind::CommandLine, Call::Interact(..)) => "Error: Provide an AI prompt or use --code",
        (Kind::McpServer, _) => "MCP error -32602: ",
        (Kind::AiSdk, _) => "Invalid input for tool tool: ",
        (Kind::Rust, _) => "Misuse: ",
        (Kind::JavaScript | Kind::Python | Kind::PythonAsync, Call::Interact(..)) => {
            return message == "Either 'code' or 'prompt' must be provided";
        }
        _ => return false,
    };
    message.starts_with(own)
}

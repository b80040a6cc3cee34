//! The requests in the API reference. Only addresses, ids and keys are replaced.

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{ClientHome, Site, TestServer};
use serde_json::{Value, json};

use super::client::run;

/// The rows of the table.
pub const REQUESTS: [&str; 7] = [
    "create, without a body",
    "execute, the example in python",
    "execute, the example of an error",
    "execute, the template",
    "execute, `agent-browser` in bash",
    "list",
    "delete",
];

const CREATE: &str = r#"curl -X POST "https://api.firecrawl.dev/v2/interact" \
  -H "Authorization: Bearer $FIRECRAWL_API_KEY" \
  -H "Content-Type: application/json""#;

const EXECUTE: &str = r#"curl -X POST "https://api.firecrawl.dev/v2/interact/550e8400-e29b-41d4-a716-446655440000/execute" \
  -H "Authorization: Bearer $FIRECRAWL_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "code": "await page.goto(\"https://example.com\")\ntitle = await page.title()\nprint(title)",
    "language": "python"
  }'"#;

const TEMPLATE: &str = r#"curl --request POST \
  --url https://api.firecrawl.dev/v2/browser/{sessionId}/execute \
  --header 'Authorization: Bearer <token>' \
  --header 'Content-Type: application/json' \
  --data '
{
  "code": "<string>",
  "language": "node",
  "timeout": 150
}
'"#;

const LIST: &str = r#"curl "https://api.firecrawl.dev/v2/interact?status=active" \
  -H "Authorization: Bearer $FIRECRAWL_API_KEY""#;

const DELETE: &str = r#"curl -X DELETE "https://api.firecrawl.dev/v2/interact/550e8400-e29b-41d4-a716-446655440000" \
  -H "Authorization: Bearer $FIRECRAWL_API_KEY""#;

const KEY: &str = "curl-key";

/// A user with a shell, who has set `FIRECRAWL_API_KEY`.
struct Reader<'a> {
    prefix: &'static str,
    origin: &'a str,
    site: &'a Site,
    home: ClientHome,
    id: String,
}

/// Runs all steps under one prefix.
pub async fn run_all(prefix: &'static str, server: &TestServer, site: &Site) -> Report {
    let mut reader = Reader {
        prefix,
        origin: server.origin(),
        site,
        home: ClientHome::default(),
        id: String::new(),
    };
    let mut report = Report::new(&format!("`{prefix}`"), "");
    for request in REQUESTS {
        report
            .steps
            .push((request.to_owned(), Outcome::of(reader.take(request)).await));
    }
    reader.home.assert_nothing_runs().await;
    report
}

impl Reader<'_> {
    async fn take(&mut self, request: &str) -> Outcome {
        match request {
            "create, without a body" => {
                let created = self.runs(CREATE).await;
                assert_eq!(created["success"], true, "{created}");
                created["id"].as_str().unwrap().clone_into(&mut self.id);
            }
            "execute, the example in python" => {
                let execution = self.runs(EXECUTE).await;
                assert_eq!(
                    (&execution["success"], &execution["result"]),
                    (&json!(true), &json!("Example"))
                );
            }
            "execute, the example of an error" => {
                let wait = "await page.goto(\\\"https://example.com\\\", timeout=500)";
                let request = EXECUTE.replace("await page.goto(\\\"https://example.com\\\")", wait);
                let request = request.replace("https://example.com", &self.site.url("/hang"));
                let execution = self.runs(&request).await;
                let error = "TimeoutError: Page.goto: Timeout 500ms exceeded.";
                assert_eq!(
                    (&execution["success"], &execution["error"]),
                    (&json!(true), &json!(error)),
                    "{execution}"
                );
            }
            "execute, the template" => {
                let execution = self
                    .runs(&TEMPLATE.replace("<string>", "await page.title()"))
                    .await;
                assert_eq!(execution["success"], true, "{execution}");
            }
            "execute, `agent-browser` in bash" => {
                let code = "agent-browser open https://example.com && agent-browser get title";
                let execution = self
                    .runs(
                        &TEMPLATE
                            .replace("<string>", code)
                            .replace("\"node\"", "\"bash\""),
                    )
                    .await;
                assert!(
                    execution["stdout"].as_str().unwrap().ends_with("Example\n"),
                    "{execution}"
                );
            }
            "list" => {
                let listed = self.runs(LIST).await;
                let mut ids = listed["sessions"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|session| &session["id"]);
                assert!(ids.any(|id| *id == json!(self.id)), "{listed}");
            }
            _ => {
                let deleted = self.runs(DELETE).await;
                assert_eq!(
                    (&deleted["success"], &deleted["status"]),
                    (&json!(true), &json!("stopped")),
                    "{deleted}"
                );
            }
        }
        Outcome::Good(String::new())
    }

    /// Runs a request from the reference in a shell, and returns the server's response.
    async fn runs(&self, request: &str) -> Value {
        let request = request
            .replace("https://api.firecrawl.dev", self.origin)
            .replace("/v2/interact", self.prefix)
            .replace("/v2/browser", self.prefix)
            .replace("550e8400-e29b-41d4-a716-446655440000", &self.id)
            .replace("{sessionId}", &self.id)
            .replace("<token>", KEY)
            .replace("https://example.com", &self.site.url("/title/Example"));
        let mut command = self.home.command("bash");
        command.args(["-c", &request]).env("FIRECRAWL_API_KEY", KEY);
        let ran = run(command).await;
        assert_eq!(ran.code, 0, "{request}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }
}

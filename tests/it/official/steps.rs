//! The steps of every client, each with its exact expected result.

use std::time::{Duration, Instant};

use hearth_test_support::report::Outcome;
use serde_json::{Value, json};

use super::call::{Call, CallResult};
use super::client::Kind;
use super::visit::Visit;

/// The rows of the table.
pub const STEPS: [&str; 36] = [
    "create",
    "create with every option",
    "node: a value",
    "python: printed output",
    "bash: printed output",
    "no language given",
    "a variable in the next call",
    "an exception in node",
    "an exception in python",
    "exit codes of node, python and bash",
    "killed at its own timeout",
    "output above the limit",
    "list",
    "list the active ones",
    "list the destroyed ones",
    "status",
    "delete",
    "delete again",
    "delete an unknown session",
    "delete another team's session",
    "execute on a destroyed session",
    "execute on an unknown session",
    "execute on another team's session",
    "ttl of 5 s",
    "activityTtl and profile out of range",
    "ttl that is not a number",
    "streamWebView that is not a boolean",
    "empty code",
    "code that is not a string",
    "unknown language",
    "timeout of 0 s",
    "timeout that is not a number",
    "unknown status in a list",
    "unknown key",
    "no key",
    "no key, on a server without keys",
];

const NODE_ERROR: &str = "TypeError: Cannot read properties of null (reading 'x')";
const PRINTED: &str = "it prints stdout, or the result if stdout is empty, and the error to stderr";

fn good() -> Outcome {
    Outcome::Good(String::new())
}

impl Visit<'_> {
    pub async fn take(&mut self, step: &str) -> Outcome {
        match step {
            "create" => self.create().await,
            "create with every option" => self.create_with_every_option().await,
            "no language given" => self.no_language().await,
            "a variable in the next call" => self.variable().await,
            "exit codes of node, python and bash" => self.exit_codes().await,
            "killed at its own timeout" => self.killed().await,
            "output above the limit" => self.truncated().await,
            "list" => self.list(None).await,
            "list the active ones" => self.list(Some("active")).await,
            "list the destroyed ones" => self.list(Some("destroyed")).await,
            "status" => self.status().await,
            "delete" => self.delete().await,
            "delete again" => self.delete_once_more().await,
            "no key, on a server without keys" => self.without_keys().await,
            _ if step.starts_with("an exception") || step.contains(": ") => self.simple(step).await,
            _ => self.rejection(step).await,
        }
    }

    async fn create(&mut self) -> Outcome {
        let CallResult::Returned(created) = self.call(&Call::Create(json!({}))).await else {
            panic!("not created")
        };
        self.session = created;
        assert_created(
            self.kind(),
            &self.session,
            &self.status_of(&self.id()).await,
            600,
        );
        good()
    }

    async fn create_with_every_option(&mut self) -> Outcome {
        let profile = json!({"name": self.kind().name(), "saveChanges": false});
        let body =
            json!({"ttl": 60, "activityTtl": 30, "streamWebView": false, "profile": profile});
        let CallResult::Returned(created) = self.call(&Call::Create(body)).await else {
            panic!("not created")
        };
        let status = self.status_of(created["id"].as_str().unwrap()).await;
        assert_created(self.kind(), &created, &status, 60);
        let listed = self.api.list("?status=active").await.ok();
        let listed = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .find(|session| session["id"] == created["id"]);
        let is_streamed = &listed.unwrap()["streamWebView"];
        self.api.delete(created["id"].as_str().unwrap()).await.ok();
        if self.kind() == Kind::CommandLine {
            assert_eq!(*is_streamed, json!(true));
            return Outcome::Good(
                "it has no option for `streamWebView`, and ignores `--profile` after a subcommand: see below"
                    .to_owned(),
            );
        }
        assert_eq!(*is_streamed, json!(false));
        assert_eq!(
            (&created["liveViewUrl"], &created["interactiveLiveViewUrl"]),
            (&json!(""), &json!(""))
        );
        good()
    }

    /// Runs code in the client's session.
    async fn execute(&mut self, body: Value) -> CallResult {
        let id = self.id();
        self.call(&Call::Execute(&id, body)).await
    }

    async fn executed(&mut self, body: Value) -> Value {
        match self.execute(body.clone()).await {
            CallResult::Returned(execution) => execution,
            other => panic!("the result of {body} is {other:?}"),
        }
    }

    /// Runs a step that is one execution.
    async fn simple(&mut self, step: &str) -> Outcome {
        let (language, code) = match step {
            "node: a value" => ("node", "({answer: 6 * 7})"),
            "python: printed output" => ("python", "print('six'); print(6 * 7)"),
            "bash: printed output" => ("bash", "echo out; echo err >&2"),
            "an exception in node" => ("node", "console.log('before'); null.x"),
            "an exception in python" => ("python", "print('before'); {}['x']"),
            _ => unreachable!("{step}"),
        };
        let execution = self
            .executed(json!({"language": language, "code": code}))
            .await;
        let [stdout, result, stderr] = match step {
            "node: a value" => ["", "{\"answer\":42}", ""],
            "python: printed output" => ["six\n42\n", "six\n42", ""],
            "bash: printed output" => ["out\n", "out", "err\n"],
            _ => {
                let error = if language == "node" {
                    NODE_ERROR
                } else {
                    "KeyError: 'x'"
                };
                return self.assert_failed(&execution, error);
            }
        };
        if self.kind() == Kind::CommandLine {
            let printed = if stdout.is_empty() { result } else { stdout };
            assert_eq!(execution, json!({"printed": printed.trim_end()}));
            return Outcome::Good(PRINTED.to_owned());
        }
        let expected = json!({
            "success": true, "stdout": stdout, "result": result, "stderr": stderr, "exitCode": 0, "killed": false,
        });
        assert_eq!(execution, expected);
        good()
    }

    /// Asserts that code ended with an error after it had printed `before`.
    #[track_caller]
    fn assert_failed(&self, execution: &Value, error: &str) -> Outcome {
        if self.kind() == Kind::CommandLine {
            assert_eq!(*execution, json!({"printed": "before", "error": error}));
            return Outcome::Good(PRINTED.to_owned());
        }
        let expected = json!({
            "success": true, "stdout": "before\n", "error": error, "exitCode": 1, "killed": false,
        });
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(execution[key], *value, "{key} in {execution}");
        }
        assert!(
            execution["stderr"].as_str().unwrap().contains(error),
            "{execution}"
        );
        good()
    }

    async fn no_language(&mut self) -> Outcome {
        let (code, note) = match self.kind() {
            Kind::Curl => (
                "['no', 'de'].join('')",
                "node, which is the server's default",
            ),
            Kind::CommandLine => ("get url", "bash with an `agent-browser` prefix"),
            _ => ("echo $((6 * 7))", "bash, which is the client's own default"),
        };
        let result = self.value(json!({"code": code})).await;
        match self.kind() {
            Kind::Curl => assert_eq!(result, "node"),
            Kind::CommandLine => assert_eq!(result, "about:blank"),
            _ => assert_eq!(result, "42"),
        }
        Outcome::Good(note.to_owned())
    }

    /// Returns the result of code, as the client shows it.
    async fn value(&mut self, body: Value) -> String {
        value_in(&self.executed(body).await)
    }

    async fn variable(&mut self) -> Outcome {
        for (language, assign) in [("node", "const kept = 40"), ("python", "kept = 40")] {
            self.executed(json!({"language": language, "code": assign}))
                .await;
            assert_eq!(
                self.value(json!({"language": language, "code": "kept + 2"}))
                    .await,
                "42"
            );
        }
        good()
    }

    async fn exit_codes(&mut self) -> Outcome {
        let mut note = "";
        for (language, code) in [
            ("node", "process.exit(7)"),
            ("python", "import sys; sys.exit(7)"),
            ("bash", "exit 7"),
        ] {
            let execution = self
                .executed(json!({"language": language, "code": code}))
                .await;
            assert!(execution["error"].is_string(), "{execution}");
            if self.kind() == Kind::CommandLine {
                note = "it shows an error but no exit code; its own exit code is 0";
                continue;
            }
            assert_eq!(
                (&execution["exitCode"], &execution["killed"]),
                (&json!(7), &json!(false)),
                "{execution}"
            );
        }
        Outcome::Good(note.to_owned())
    }

    async fn killed(&mut self) -> Outcome {
        let start = Instant::now();
        let code = "echo before; sleep 60";
        let execution = match self
            .execute(json!({"language": "bash", "code": code, "timeout": 1}))
            .await
        {
            CallResult::Returned(execution) => execution,
            CallResult::NotOffered(why) => return Outcome::NotOffered(why.to_owned()),
            CallResult::Raised(error) => panic!("{error}"),
        };
        // The JavaScript SDK disconnects five seconds after the timeout.
        let elapsed = start.elapsed();
        assert!(
            elapsed >= Duration::from_secs(1) && elapsed < Duration::from_secs(5),
            "{elapsed:?}"
        );
        let (exit, killed) = (&execution["exitCode"], &execution["killed"]);
        assert_eq!(
            (exit, killed, &execution["stdout"]),
            (&json!(137), &json!(true), &json!("before\n")),
            "{execution}"
        );
        assert!(
            execution["error"].as_str().unwrap().contains('1'),
            "{execution}"
        );
        assert_eq!(
            self.value(json!({"language": "node", "code": "page.url()"}))
                .await,
            "about:blank"
        );
        good()
    }

    async fn truncated(&mut self) -> Outcome {
        let code = "printf begin; head -c 100000 /dev/zero | tr '\\0' x; printf end";
        let execution = self
            .executed(json!({"language": "bash", "code": code}))
            .await;
        let printed = value_in(&execution);
        assert!(
            printed.starts_with("begin") && printed.ends_with("end") && printed.len() < 21_000,
            "{execution}"
        );
        if self.kind() == Kind::CommandLine {
            return Outcome::Good(
                "it prints the kept output with the marker in the middle".to_owned(),
            );
        }
        assert_eq!(
            (&execution["truncated"], &execution["exitCode"]),
            (&json!(true), &json!(0)),
            "{execution}"
        );
        good()
    }

    async fn list(&mut self, status: Option<&str>) -> Outcome {
        let (query, text) = match status {
            Some(status) => (json!({"status": status}), format!("?status={status}")),
            None => (json!({}), String::new()),
        };
        let CallResult::Returned(listed) = self.call(&Call::List(query)).await else {
            panic!("not listed")
        };
        let all = self.api.list(&text).await.ok();
        let is_short = self.kind() == Kind::CommandLine;
        assert_eq!(
            listed,
            if is_short {
                super::cli_calls::in_short(&all)
            } else {
                all
            }
        );
        let seen: Vec<&str> = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(status_in)
            .collect();
        let expected: &[&str] = match status {
            None => &["destroyed", "active"],
            Some("active") => &["active"],
            Some(_) => &["destroyed"],
        };
        assert_eq!(seen, expected, "{listed}");
        Outcome::Good(
            if is_short {
                "it shows ids, statuses and times"
            } else {
                ""
            }
            .to_owned(),
        )
    }

    async fn status(&mut self) -> Outcome {
        let id = self.id();
        match self.call(&Call::Status(&id)).await {
            CallResult::Returned(status) => assert_eq!(status, self.status_of(&id).await),
            CallResult::NotOffered(why) => return Outcome::NotOffered(why.to_owned()),
            CallResult::Raised(error) => panic!("{error}"),
        }
        good()
    }

    async fn delete(&mut self) -> Outcome {
        let id = self.id();
        let CallResult::Returned(deleted) = self.call(&Call::Delete(&id)).await else {
            panic!("not deleted")
        };
        let status = self.status_of(&id).await;
        assert_eq!(status["status"], "destroyed", "{status}");
        self.deleted = deleted;
        if self.kind() == Kind::CommandLine {
            assert_eq!(self.deleted, json!({"closed": id}));
            return Outcome::Good(
                "it reports that the session is closed, without duration and credits".to_owned(),
            );
        }
        let mut expected = json!({
            "success": true, "status": "stopped", "sessionDurationMs": status["sessionDurationMs"], "creditsBilled": 0,
        });
        if matches!(self.kind(), Kind::JavaScript | Kind::Curl) {
            expected["cleanupQueued"] = json!(true);
        }
        assert_eq!(self.deleted, expected);
        good()
    }

    async fn delete_once_more(&mut self) -> Outcome {
        let id = self.id();
        let again = self.call(&Call::Delete(&id)).await;
        assert_eq!(again, CallResult::Returned(self.deleted.clone()));
        good()
    }

    async fn without_keys(&mut self) -> Outcome {
        let CallResult::Returned(created) = self.open.call(None, &Call::Create(json!({}))).await
        else {
            panic!("refused")
        };
        let id = created["id"].as_str().unwrap();
        let run = Call::Execute(id, json!({"language": "node", "code": "6 * 7"}));
        let CallResult::Returned(execution) = self.open.call(None, &run).await else {
            panic!("refused")
        };
        assert_eq!(value_in(&execution), "42");
        let listed = self
            .open
            .call(None, &Call::List(json!({"status": "active"})))
            .await;
        let CallResult::Returned(listed) = listed else {
            panic!("refused")
        };
        assert!(
            listed["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|session| session["id"] == created["id"]),
            "{listed}"
        );
        let CallResult::Returned(_) = self.open.call(None, &Call::Delete(id)).await else {
            panic!("refused")
        };
        good()
    }

    /// Reads a session's status directly from the server.
    async fn status_of(&self, id: &str) -> Value {
        self.api.status(id).await.ok()
    }
}

fn value_in(execution: &Value) -> String {
    let value = execution
        .get("result")
        .or(execution.get("printed"))
        .and_then(Value::as_str);
    value
        .unwrap_or_else(|| panic!("no result in {execution}"))
        .to_owned()
}

fn status_in(session: &Value) -> &str {
    session["status"].as_str().unwrap()
}

/// Asserts that the response to `create` matches the session's status, and that it expires after
/// `ttl`.
#[track_caller]
fn assert_created(kind: Kind, created: &Value, status: &Value, ttl_seconds: i64) {
    let mut expected = json!({"success": true});
    for key in [
        "id",
        "cdpUrl",
        "liveViewUrl",
        "interactiveLiveViewUrl",
        "expiresAt",
    ] {
        assert!(status[key].is_string(), "{key} in {status}");
        expected[key] = status[key].clone();
    }
    if kind == Kind::CommandLine {
        let shown = expected.as_object_mut().unwrap();
        shown.retain(|key, value| {
            !["success", "expiresAt"].contains(&key.as_str()) && *value != json!("")
        });
    }
    assert_eq!(*created, expected);
    assert_eq!(status["status"], "active", "{status}");
    let [created_at, expires_at] = ["createdAt", "expiresAt"]
        .map(|key| -> jiff::Timestamp { status[key].as_str().unwrap().parse().unwrap() });
    assert_eq!(
        expires_at.duration_since(created_at).as_secs(),
        ttl_seconds,
        "{status}"
    );
}

//! Shared parts of all measurements: the servers, a timed HTTP client, and the command line of a
//! session's browser.

use std::time::{Duration, Instant};

use hearth_test_support::process::Process;
use hearth_test_support::{Api, ServerBuilder, Session, TestServer, eventually};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::chromium::Recipe;
use crate::rows::Group;

/// The time in which sessions end and warm ones are ready, on a busy machine.
const SETTLED: Duration = Duration::from_mins(1);

/// The metric with the number of warm sessions.
const WARM_READY: &str = "hearth_warm_sessions{state=\"ready\"} ";

/// The extent of a run.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// Rounds of measurements that take a second.
    pub rounds: usize,
    /// True for a run that only checks that the bench works.
    pub is_quick: bool,
}

impl Extent {
    /// Returns the number of warm-up rounds, which a quick run omits.
    pub fn warm_up_rounds(self, group: Group) -> usize {
        self.pick(group.warm_up_rounds(), 0)
    }

    /// Returns `full`, or `quick` in a quick run.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        if self.is_quick { quick } else { full }
    }
}

/// Returns a builder for the main server of a run.
pub fn main_server() -> ServerBuilder {
    with_warm_sessions(0).setting("HEARTH_UIDS", "60706-60943")
}

/// Returns a builder for a server that runs beside the main one, with other user ids, and keeps
/// this many warm sessions.
pub fn second_server(warm: usize) -> ServerBuilder {
    with_warm_sessions(warm).setting("HEARTH_UIDS", "60944-61183")
}

fn with_warm_sessions(warm: usize) -> ServerBuilder {
    TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "40")
        .setting("HEARTH_WARM_SESSIONS", &warm.to_string())
}

/// A server under measurement.
#[derive(Debug)]
pub struct Harness<'a> {
    /// The server.
    pub server: &'a TestServer,
    /// The command line of its browsers.
    pub recipe: Recipe,
    /// The number of warm sessions that it keeps.
    pub warm: usize,
}

impl<'a> Harness<'a> {
    /// Creates a session, reads its browser's command line, and deletes the session. The server
    /// keeps no warm session.
    pub async fn setup(server: &'a TestServer) -> Self {
        let session = server.session().await;
        let processes = server.processes();
        let browser = processes
            .iter()
            .find(|process| process.is_browser())
            .expect("a session has a browser");
        let recipe = Recipe::of(browser);
        session.delete().await;
        Self {
            server,
            recipe,
            warm: 0,
        }
    }

    /// Returns a harness for another server, which should keep this many warm sessions. A server of
    /// an older version may not know them, and keeps none.
    pub async fn beside<'b>(&self, server: &'b TestServer, warm: usize) -> Harness<'b> {
        let knows_them = warm_ready(server).await.is_some();
        if !knows_them && warm > 0 {
            eprintln!("bench: this server has no warm sessions");
        }
        let harness = Harness {
            server,
            recipe: self.recipe.clone(),
            warm: if knows_them { warm } else { 0 },
        };
        harness.settle().await;
        harness
    }

    /// Waits until no deleted session is left and all warm sessions are ready.
    pub async fn settle(&self) {
        self.settle_beside(0).await;
    }

    /// Waits until only this many sessions are left besides the warm ones, which are all ready.
    pub async fn settle_beside(&self, others: usize) {
        let expected = format!("the server has its warm sessions and {others} others");
        eventually(SETTLED, &expected, async || {
            if self.has_only(others).await {
                Ok(())
            } else {
                Err(format!("the server has {:?}", self.server.session_dirs()))
            }
        })
        .await;
    }

    /// Returns true if no session is left but warm ones, and all of these are ready.
    pub async fn is_settled(&self) -> bool {
        self.has_only(0).await
    }

    async fn has_only(&self, others: usize) -> bool {
        // A server that knows no warm sessions has none.
        self.server.session_dirs().len() == self.warm + others
            && warm_ready(self.server).await.unwrap_or(0) == self.warm
    }

    /// Lists the processes of sessions.
    pub fn programs(&self) -> Vec<Process> {
        let own = self.server.own_pids();
        let mut all = self.server.processes();
        all.retain(|process| !own.contains(&process.pid));
        all
    }

    /// Creates a session that outlives the longest bench run.
    pub async fn session(&self) -> Session {
        self.create().await.0
    }

    /// Creates a session and times it.
    pub async fn create(&self) -> (Session, Duration) {
        self.create_with(&json!({})).await
    }

    /// Creates a session with these fields and times it.
    pub async fn create_with(&self, fields: &Value) -> (Session, Duration) {
        let mut body = json!({"ttl": 3600, "activityTtl": 3600});
        for (name, value) in fields.as_object().expect("fields are an object") {
            body[name] = value.clone();
        }
        let request = self.server.request(Method::POST, "");
        let (created, took) = timed(with_json(request, &body)).await;
        (self.server.session_of(created), took)
    }

    /// Creates sessions until there are `count`. Each runs `1` in node.
    pub async fn fill(&self, sessions: &mut Vec<Session>, count: usize) {
        while sessions.len() < count {
            let session = self.session().await;
            self.execute(&session, "node", "1").await;
            sessions.push(session);
        }
    }

    /// Deletes a session and times it.
    pub async fn delete(&self, session: &Session) -> Duration {
        let request = self
            .server
            .request(Method::DELETE, &format!("/{}", session.id()));
        timed(request).await.1
    }

    /// Runs code that must succeed; returns its result and the time over HTTP.
    pub async fn execute(
        &self,
        session: &Session,
        language: &str,
        code: &str,
    ) -> (String, Duration) {
        let (answer, took) = self.execute_for(session, language, code, 60).await;
        assert_eq!(
            answer["exitCode"],
            json!(0),
            "{language} {code:?}: {answer}"
        );
        (
            answer["result"]
                .as_str()
                .expect("a result is a string")
                .to_owned(),
            took,
        )
    }

    /// Runs code with a timeout in seconds; returns the whole response and the time over HTTP.
    pub async fn execute_for(
        &self,
        session: &Session,
        language: &str,
        code: &str,
        seconds: u64,
    ) -> (Value, Duration) {
        let body = json!({"language": language, "code": code, "timeout": seconds});
        let request = self
            .server
            .request(Method::POST, &format!("/{}/execute", session.id()));
        timed(with_json(request, &body)).await
    }

    /// Sends a POST to any path of the server; returns the response and the time over HTTP.
    pub async fn post(&self, path: &str, body: &Value) -> (Value, Duration) {
        let request = self.server.request_outside(Method::POST, path);
        timed(with_json(request, body)).await
    }

    /// Times the cheapest request.
    pub async fn health(&self) -> Duration {
        timed(self.server.request_outside(Method::GET, "/health"))
            .await
            .1
    }
}

/// Returns the number of warm sessions that are ready; `None` if the server knows none.
pub async fn warm_ready(server: &Api) -> Option<usize> {
    let request = server.request_outside(Method::GET, "/metrics");
    let answer = request.send().await.expect("the server answers");
    assert!(answer.status().is_success(), "{}", answer.status());
    let metrics = answer.text().await.expect("the response has a body");
    let ready = metrics
        .lines()
        .find_map(|line| line.strip_prefix(WARM_READY))?;
    Some(ready.parse().expect("the metric is a number"))
}

/// Adds a JSON body.
pub fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body.to_string())
}

/// Sends a request and times it up to the last byte of the response.
pub async fn timed(request: RequestBuilder) -> (Value, Duration) {
    let start = Instant::now();
    let answer = request.send().await.expect("the server answers");
    let is_success = answer.status().is_success();
    let text = answer.text().await.expect("the response has a body");
    let took = start.elapsed();
    assert!(is_success, "{text}");
    (
        serde_json::from_str(&text).expect("an answer is JSON"),
        took,
    )
}

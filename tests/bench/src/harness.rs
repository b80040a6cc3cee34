//! Shared parts of all measurements: the server, a timed HTTP client, and the command line of a
//! session's browser.

use std::time::{Duration, Instant};

use hearth_test_support::{Session, TestServer, eventually};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::chromium::Recipe;

/// The server under measurement.
#[derive(Debug)]
pub struct Harness<'a> {
    /// The server, which runs for the whole bench run.
    pub server: &'a TestServer,
    /// The command line of its browsers.
    pub recipe: Recipe,
}

impl<'a> Harness<'a> {
    /// Creates a session, reads its browser's command line, and deletes the session.
    pub async fn setup(server: &'a TestServer) -> Self {
        let session = server.session().await;
        let processes = server.processes();
        let browser = processes
            .iter()
            .find(|process| process.is_browser())
            .expect("a session has a browser");
        let recipe = Recipe::of(browser);
        session.delete().await;
        Self { server, recipe }
    }

    /// Creates a session that outlives the longest bench run.
    pub async fn session(&self) -> Session {
        self.server
            .session_with(&json!({"ttl": 3600, "activityTtl": 3600}))
            .await
    }

    /// Creates a session and times it.
    pub async fn create(&self) -> (Session, Duration) {
        let start = Instant::now();
        let session = self.session().await;
        (session, start.elapsed())
    }

    /// Deletes a session and times it. Returns when nothing of the session is left, because the
    /// cleanup would disturb the next measurement.
    pub async fn delete(&self, session: &Session) -> Duration {
        let request = self
            .server
            .request(reqwest::Method::DELETE, &format!("/{}", session.id()));
        let took = timed(request).await.1;
        let digits = session.id().replace('-', "");
        let name = &digits[digits.len() - 8..];
        eventually(
            Duration::from_secs(10),
            "the dir is removed",
            async || match self
                .server
                .session_dirs()
                .iter()
                .find(|dir| dir.ends_with(name))
            {
                Some(dir) => Err(dir.display().to_string()),
                None => Ok(()),
            },
        )
        .await;
        took
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
        let body = json!({"language": language, "code": code, "timeout": seconds}).to_string();
        let request = self
            .server
            .request(reqwest::Method::POST, &format!("/{}/execute", session.id()));
        timed(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    /// Times the cheapest request.
    pub async fn health(&self) -> Duration {
        timed(self.server.request_outside(reqwest::Method::GET, "/health"))
            .await
            .1
    }
}

/// Sends a request and times it up to the last byte of the response.
async fn timed(request: RequestBuilder) -> (Value, Duration) {
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

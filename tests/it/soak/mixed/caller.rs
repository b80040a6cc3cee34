//! HTTP requests with deadlines. Every request must get one complete, described response.

use std::time::{Duration, Instant};

use hearth_test_support::TestServer;
use hearth_test_support::description::DescribedResponse;
use reqwest::{Client, Method};
use serde_json::Value;

use super::journal::Journal;

/// A request, with the statuses that the load allows.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    pub what: &'static str,
    pub method: Method,
    pub path: String,
    pub body: Option<&'a Value>,
    /// The maximum time until the response has arrived.
    pub deadline: Duration,
    pub allowed: &'a [u16],
}

/// A response with an allowed status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub elapsed: Duration,
    /// The id of the request in the server's log.
    pub request_id: String,
}

impl Answer {
    /// Returns a string of the body, or an empty one.
    pub fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    pub fn is_ok(&self) -> bool {
        self.status == 200
    }
}

/// A client of one team, with its own connections.
#[derive(Debug)]
pub struct Caller {
    http: Client,
    origin: String,
    key: &'static str,
}

impl Caller {
    pub fn new(server: &TestServer, key: &'static str) -> Caller {
        // The server closes an idle connection after 75 s.
        let http = Client::builder()
            .no_proxy()
            .pool_idle_timeout(Duration::from_secs(30));
        Caller {
            http: http.build().expect("a client without TLS"),
            origin: server.origin().to_owned(),
            key,
        }
    }

    /// Sends a request. Returns `None` after it has recorded a violation: no response, an
    /// incomplete one, or one that is not described or not allowed.
    pub async fn call(&self, journal: &Journal, call: Call<'_>) -> Option<Answer> {
        let start = Instant::now();
        let (what, path) = (call.what, call.path.clone());
        match self.exchange(&call, start).await {
            Ok(answer) => {
                journal.took(what, answer.elapsed);
                if !answer.is_ok() {
                    // Without numbers, so that equal reasons count together.
                    let error = answer
                        .text("error")
                        .replace(|it: char| it.is_ascii_digit(), "");
                    let error: String = error.chars().take(70).collect();
                    journal.count(&format!("{what}: {} {error}", answer.status));
                }
                Some(answer)
            }
            Err(problem) => {
                let elapsed = start.elapsed();
                journal.violation(format!("{what} {path}, after {elapsed:.1?}: {problem}"));
                None
            }
        }
    }

    async fn exchange(&self, call: &Call<'_>, start: Instant) -> Result<Answer, String> {
        let url = format!("{}{}", self.origin, call.path);
        let request = self.http.request(call.method.clone(), url);
        let mut request = request.bearer_auth(self.key).timeout(call.deadline);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let lost = |error: reqwest::Error| format!("no complete response: {error:?}");
        let response = request.send().await.map_err(lost)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.map_err(lost)?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = header("x-request-id").unwrap_or_default().to_owned();
        let described = DescribedResponse {
            method: &call.method,
            path: &call.path,
            status,
            headers: &headers,
            body: &text,
        };
        let excerpt: String = text.chars().take(600).collect();
        let because = |problem: String| format!("{status} {request_id} {problem}: {excerpt}");
        described.check().map_err(because)?;
        if !call.allowed.contains(&status) {
            return Err(because("is not allowed here".to_owned()));
        }
        if status == 429 && header("retry-after").is_none() {
            return Err(because("has no Retry-After".to_owned()));
        }
        let body = serde_json::from_str(&text).map_err(|error| because(error.to_string()))?;
        Ok(Answer {
            status,
            body,
            elapsed: start.elapsed(),
            request_id,
        })
    }

    /// Sends a request and disconnects after `patience`, unless the response arrives earlier.
    pub async fn disconnect(&self, call: Call<'_>, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.exchange(&call, Instant::now())).await;
    }
}

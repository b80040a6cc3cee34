//! Scrape, then interact: every client scrapes pages, runs code in the scraped page and ends the
//! session, and shows every error.

pub mod agents;
pub mod cli;
mod rejected;
mod steps;

use std::net::TcpListener;

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{Api, ClientHome, Exchange, Site, TestServer};
use serde_json::{Value, json};

use super::call::{Call, CallResult};
use super::client::{Client, Kind};
use super::elsewhere::Elsewhere;
use rejected::REJECTED;

/// The rows of the table.
pub const STEPS: [&str; 32] = [
    "scrape",
    "scrape in every format",
    "scrape with actions",
    "a page that answers 401",
    "run code in the page, as the actions left it",
    "links of the session",
    "python: printed output",
    "bash: printed output",
    "no language given",
    "a variable in the next call",
    "an exception in node",
    "killed at its own timeout",
    "a prompt",
    "stop",
    "stop again",
    REJECTED[0],
    REJECTED[1],
    REJECTED[2],
    REJECTED[3],
    REJECTED[4],
    REJECTED[5],
    REJECTED[6],
    REJECTED[7],
    REJECTED[8],
    REJECTED[9],
    REJECTED[10],
    REJECTED[11],
    REJECTED[12],
    REJECTED[13],
    "unknown key",
    "no key",
    "no key, on a server without keys",
];

/// A client and what it has scraped so far.
pub struct Visit<'a> {
    client: Client<'a>,
    /// A client of the server without keys.
    open: Client<'a>,
    key: String,
    /// A direct API client for the client's team.
    api: Api,
    site: &'a Site,
    /// A scrape of another team, which has a session.
    other_team: &'a str,
    /// The scrape that the session belongs to.
    scrape_id: String,
    /// The status of the session.
    session: Value,
    /// The response to the first `stop`.
    stopped: Value,
}

impl<'a> Visit<'a> {
    pub async fn begin(
        kind: Kind,
        (keyed, open): (&TestServer, &TestServer),
        site: &'a Site,
        other_team: &'a str,
        elsewhere: &'a Elsewhere,
    ) -> Self {
        let key = format!("{}-key", kind.name());
        Self {
            client: Client::at(keyed.origin(), kind, elsewhere).await,
            open: Client::at(open.origin(), kind, elsewhere).await,
            api: keyed.with_key(&key),
            key,
            site,
            other_team,
            scrape_id: String::new(),
            session: Value::Null,
            stopped: Value::Null,
        }
    }

    /// Runs all steps, and stops the client. Returns its dir with the files it left.
    pub async fn run(mut self) -> (Report, ClientHome) {
        let mut report = Report::new(self.kind().title(), &self.client.version);
        for step in STEPS {
            report
                .steps
                .push((step.to_owned(), Outcome::of(self.take(step)).await));
        }
        self.open.leave().await;
        (report, self.client.leave().await)
    }

    fn kind(&self) -> Kind {
        self.client.kind
    }

    /// Makes a call with the client's key.
    async fn call(&mut self, call: &Call<'_>) -> CallResult {
        let key = self.key.clone();
        self.client.call(Some(&key), call).await
    }

    /// Makes a call that must succeed.
    async fn returned(&mut self, call: &Call<'_>) -> Value {
        match self.call(call).await {
            CallResult::Returned(value) => value,
            other => panic!("the result of {call:?} is {other:?}"),
        }
    }

    /// Scrapes through the client. Returns the document.
    async fn scraped(&mut self, body: &Value) -> Value {
        self.returned(&Call::Scrape(body.clone())).await
    }

    /// Runs code through the client in the session of the scrape.
    async fn interacted(&mut self, body: Value) -> CallResult {
        let id = self.scrape_id.clone();
        self.call(&Call::Interact(&id, body)).await
    }

    /// Makes a call without a client.
    async fn direct(&self, call: &Call<'_>) -> Exchange {
        direct(&self.api, call).await
    }
}

/// Makes a call without a client, with the key of `api`.
pub async fn direct(api: &Api, call: &Call<'_>) -> Exchange {
    let (method, path, body) = call.request();
    let mut request = api.request_outside(method.parse().unwrap(), &path);
    if let Some(body) = body {
        request = request.json(body);
    }
    Exchange::of(request).await
}

/// Scrapes a page without a client and runs code in it. Returns the id of the scrape.
pub async fn scrape_with_session(api: &Api, url: &str) -> String {
    let document = direct(api, &Call::Scrape(json!({"url": url}))).await.json();
    let id = document["data"]["metadata"]["scrapeId"]
        .as_str()
        .unwrap_or_else(|| panic!("not scraped: {document}"))
        .to_owned();
    let ran = direct(api, &Call::Interact(&id, json!({"code": "6 * 7"}))).await;
    assert_eq!(ran.json()["result"], "42", "{}", ran.text);
    id
}

/// Returns a loopback URL on which nothing listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// Returns the id of a scrape.
#[track_caller]
fn scrape_id(document: &Value) -> &str {
    document["metadata"]["scrapeId"]
        .as_str()
        .unwrap_or_else(|| panic!("no scrapeId in {document}"))
}

//! Runs one client through all steps.

use hearth_test_support::report::{Outcome, Report};
use hearth_test_support::{Api, ClientHome, TestServer};
use serde_json::Value;

use super::call::{Call, CallResult};
use super::client::{Client, Kind};
use super::elsewhere::Elsewhere;
use super::steps::STEPS;

/// An id that no session has.
pub const UNKNOWN: &str = "01a1fd13-eaf8-74d7-b771-4adfdda39df0";

pub struct Visit<'a> {
    pub client: Client<'a>,
    /// A client of the server without keys.
    pub open: Client<'a>,
    pub key: String,
    /// A direct API client for the client's team.
    pub api: Api,
    /// A session of another team.
    pub other_team: &'a str,
    /// The session that the first step created.
    pub session: Value,
    /// The response to the first `delete`.
    pub deleted: Value,
}

impl<'a> Visit<'a> {
    pub async fn begin(
        kind: Kind,
        keyed: &TestServer,
        open: &TestServer,
        other_team: &'a str,
        elsewhere: &'a Elsewhere,
    ) -> Self {
        let key = format!("{}-key", kind.name());
        Self {
            client: Client::at(keyed.origin(), kind, elsewhere).await,
            open: Client::at(open.origin(), kind, elsewhere).await,
            api: keyed.with_key(&key),
            key,
            other_team,
            session: Value::Null,
            deleted: Value::Null,
        }
    }

    /// Runs all steps.
    pub async fn run(&mut self) -> Report {
        let mut report = Report::new(self.client.kind.title(), &self.client.version);
        for step in STEPS {
            report
                .steps
                .push((step.to_owned(), Outcome::of(self.take(step)).await));
        }
        report
    }

    /// Stops the client and returns its dir with the files it left.
    pub async fn end(self) -> ClientHome {
        self.open.leave().await;
        self.client.leave().await
    }

    pub fn kind(&self) -> Kind {
        self.client.kind
    }

    /// Returns the id of the client's session.
    pub fn id(&self) -> String {
        self.session["id"]
            .as_str()
            .expect("the first step has created a session")
            .to_owned()
    }

    /// Makes a call with the client's key.
    pub async fn call(&mut self, call: &Call<'_>) -> CallResult {
        let key = self.key.clone();
        self.client.call(Some(&key), call).await
    }
}

//! One session of a client: its creation, its end, and its executions.

use std::time::{Duration, Instant};

use hearth_test_support::{TestServer, eventually};
use reqwest::Method;
use serde_json::{Value, json};

use super::caller::{Answer, Call, Caller};
use super::code::{Piece, foreign_mark};
use super::soak::Soak;

/// The maximum times for responses. They are far above the documented ones, because the machine is
/// overloaded: a creation may start a browser twice.
const CREATE_DEADLINE: Duration = Duration::from_mins(2);
const DELETE_DEADLINE: Duration = Duration::from_secs(40);
const STATUS_DEADLINE: Duration = Duration::from_secs(30);
/// The maximum time between the timeout of an execution and its response.
const LATE: Duration = Duration::from_secs(15);

/// A failed wait of at least this time is the machine's fault.
const SLOW: Duration = Duration::from_secs(10);

/// The maximum time between a response and its line in the log.
const LOG_DEADLINE: Duration = Duration::from_secs(30);

/// The time after which the response to a delete no longer tells whether the profile was saved.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(9);

/// A session in use.
pub struct Visit<'a> {
    pub soak: &'a Soak<'a>,
    pub caller: &'a Caller,
    /// The mark that the session's output may contain.
    pub mark: String,
    id: String,
    /// The name of the session's dir, which faults are recorded under.
    pub dir: String,
    pub cdp_url: String,
    pub live_view_url: String,
    pub since: Instant,
    /// The number of nonces so far.
    nonces: std::cell::Cell<usize>,
}

/// The end of a session.
#[derive(Debug)]
pub struct Ended {
    pub reason: String,
    pub warning: Option<String>,
    /// True if the response to the delete arrived in time to tell whether the profile was saved.
    pub is_final: bool,
}

/// Returns the request that creates a session.
pub fn creation(body: &Value) -> Call<'_> {
    Call {
        what: "create",
        method: Method::POST,
        path: "/v2/interact".to_owned(),
        body: Some(body),
        deadline: CREATE_DEADLINE,
        allowed: &[200, 409, 429, 503],
    }
}

impl<'a> Visit<'a> {
    /// Creates a session, unless the server rejects it for a documented reason.
    pub async fn create(
        soak: &'a Soak<'a>,
        caller: &'a Caller,
        mark: String,
        body: &Value,
    ) -> Option<Visit<'a>> {
        let since = Instant::now();
        let answer = caller.call(&soak.journal, creation(body)).await?;
        if !answer.is_ok() {
            if answer.status == 503
                && !soak
                    .hits
                    .any(since.checked_sub(Duration::from_secs(30)).unwrap())
            {
                let error = answer.text("error");
                soak.journal
                    .violation(format!("create failed without a fault: {error}"));
            }
            return None;
        }
        if let Some(warning) = answer.body.get("warning") {
            let profile = &body["profile"];
            soak.journal
                .violation(format!("created with a warning: {warning} {profile}"));
        }
        soak.journal.count("create: succeeded");
        let id = answer.text("id").to_owned();
        let dir = dir_of(soak.server, &id).await;
        let cdp_url = answer.text("cdpUrl").to_owned();
        let urls = &soak.cdp_urls;
        urls.lock()
            .expect("the lock is not poisoned")
            .insert(dir.clone(), cdp_url.clone());
        Some(Visit {
            soak,
            caller,
            mark,
            dir,
            cdp_url,
            live_view_url: answer.text("liveViewUrl").to_owned(),
            id,
            since,
            nonces: std::cell::Cell::new(0),
        })
    }

    /// Returns a text that occurs in no other output of the run.
    pub fn nonce(&self) -> String {
        self.nonces.set(self.nonces.get() + 1);
        format!("{}-e{}", self.mark, self.nonces.get())
    }

    /// Returns a fault that explains a failure of a request that was sent at `sent`.
    pub fn fault(&self, sent: Instant) -> Option<String> {
        self.soak.hits.explaining(&self.dir, sent)
    }

    fn call<'b>(&self, what: &'static str, method: Method, below: &str) -> Call<'b> {
        Call {
            what,
            method,
            path: format!("/v2/interact/{}{below}", self.id),
            body: None,
            deadline: STATUS_DEADLINE,
            allowed: &[200],
        }
    }

    pub async fn status(&self) -> Option<Value> {
        let call = self.call("status", Method::GET, "");
        Some(self.caller.call(&self.soak.journal, call).await?.body)
    }

    /// Deletes the session, and checks that it ended for this reason or after a fault.
    pub async fn end(self) -> Option<Ended> {
        let call = Call {
            deadline: DELETE_DEADLINE,
            ..self.call("delete", Method::DELETE, "")
        };
        let answer = self.caller.call(&self.soak.journal, call).await;
        let urls = &self.soak.cdp_urls;
        urls.lock()
            .expect("the lock is not poisoned")
            .remove(&self.dir);
        let answer = answer?;
        let status = self.status().await?;
        let reason = status["destroyedReason"].as_str().unwrap_or_default();
        self.soak.journal.count(&format!("ended: {reason}"));
        if reason != "deleted" && self.fault(self.since).is_none() {
            self.soak.journal.violation(format!(
                "session {} ended without a fault: {status}",
                self.id
            ));
        }
        Some(Ended {
            reason: reason.to_owned(),
            warning: answer.body["warning"].as_str().map(str::to_owned),
            is_final: answer.elapsed < CLEANUP_TIMEOUT,
        })
    }

    fn execution<'b>(&self, body: &'b Value, seconds: u64) -> Call<'b> {
        Call {
            body: Some(body),
            deadline: Duration::from_secs(seconds) + LATE,
            allowed: &[200, 410, 429, 503],
            ..self.call("execute", Method::POST, "/execute")
        }
    }

    /// Starts an execution and disconnects.
    pub async fn disconnect(&self, piece: &Piece, patience: Duration) {
        let body = json!({"language": piece.language, "code": piece.code, "timeout": 120});
        self.caller
            .disconnect(self.execution(&body, 120), patience)
            .await;
        self.soak.journal.count("execute: disconnected");
    }

    /// Runs a piece of code that must succeed, unless a fault or the machine's load explains a
    /// failure. Returns the result if it did.
    pub async fn run(&self, piece: &Piece, seconds: u64) -> Option<String> {
        let (answer, sent) = self.execute(piece, seconds).await?;
        let succeeded = answer.body["exitCode"] == 0;
        let what = format!("execute {}", piece.language);
        if !succeeded {
            let is_slow = answer.elapsed >= SLOW && answer.text("error").contains("imeout");
            if answer.body["killed"] == true || is_slow {
                self.soak.journal.count(&format!("{what}: timed out"));
            } else {
                self.failed(&what, sent, piece, &answer);
            }
            return None;
        }
        if answer.text("stdout") != piece.stdout || answer.text("result") != piece.result {
            self.violation("unexpected output", piece, &answer);
        }
        self.soak.journal.count(&format!("{what}: succeeded"));
        Some(answer.text("result").to_owned())
    }

    /// Runs a piece of code with a result that is not known. Returns the result if it succeeded.
    pub async fn evaluate(&self, piece: &Piece, seconds: u64) -> Option<Value> {
        let (answer, sent) = self.execute(piece, seconds).await?;
        if answer.body["exitCode"] == 0 {
            return serde_json::from_str(answer.text("result")).ok();
        }
        let is_slow = answer.elapsed >= SLOW;
        if answer.body["killed"] == true || is_slow {
            self.soak.journal.count("execute on a page: timed out");
        } else {
            self.failed("execute on a page", sent, piece, &answer);
        }
        None
    }

    /// Runs code until its timeout, which must kill it.
    pub async fn run_into_timeout(&self, piece: &Piece) {
        let Some((answer, sent)) = self.execute(piece, 1).await else {
            return;
        };
        if answer.body["killed"] == true {
            self.soak.journal.count("execute: killed at its timeout");
        } else {
            self.failed("execute into its timeout", sent, piece, &answer);
        }
    }

    /// Sends an execute request. Returns the response if code was started, after checking that it
    /// contains no output of another session and none that the code does not have.
    async fn execute(&self, piece: &Piece, seconds: u64) -> Option<(Answer, Instant)> {
        let body = json!({"language": piece.language, "code": piece.code, "timeout": seconds});
        let sent = Instant::now();
        let call = self.execution(&body, seconds);
        let answer = self.caller.call(&self.soak.journal, call).await?;
        match answer.status {
            200 => {}
            503 => {
                self.failed("the start of an execution", sent, piece, &answer);
                return None;
            }
            // The session has ended, which `end` explains, or is busy.
            _ => return None,
        }
        if let Some(foreign) = foreign_mark(&answer.body.to_string(), &self.mark) {
            let what = format!("output of another session, {foreign}");
            self.violation(&what, piece, &answer);
        }
        if !piece.stdout.is_empty() && !piece.stdout.starts_with(answer.text("stdout")) {
            self.violation("output that the code does not have", piece, &answer);
        }
        Some((answer, sent))
    }

    fn failed(&self, what: &str, sent: Instant, piece: &Piece, answer: &Answer) {
        self.soak.failed(what, self.fault(sent).as_deref(), || {
            self.describe(piece, answer)
        });
    }

    fn violation(&self, what: &str, piece: &Piece, answer: &Answer) {
        let details = self.describe(piece, answer);
        let fault = self.fault(self.since);
        self.soak
            .journal
            .violation(format!("{what}: {details}; faults before: {fault:?}"));
    }

    fn describe(&self, piece: &Piece, answer: &Answer) -> String {
        let body: String = answer.body.to_string().chars().take(1500).collect();
        format!(
            "session {}, request {}, {:.1?}, {}: {} {body}",
            self.id, answer.request_id, answer.elapsed, piece.code, answer.status
        )
    }
}

/// Returns the name of the session's dir from the log. A warm session has its dir before its id.
async fn dir_of(server: &TestServer, id: &str) -> String {
    let find = || server.last_log_line(&["\"session created\"", id]);
    eventually(LOG_DEADLINE, "the creation is logged", async || {
        find().map(drop).ok_or_else(|| id.to_owned())
    })
    .await;
    let line: Value = serde_json::from_str(&find().expect("a line")).expect("JSON");
    line["fields"]["dir"].as_str().expect("a dir").to_owned()
}

//! Interactions with the page of a scrape.

mod adoption;
mod limits;
mod opening;
mod page_state;
mod requests;
mod sessions;

use hearth_test_support::{Api, Exchange};
use reqwest::Method;
use serde_json::{Value, json};

/// The id of a scrape that the server has not seen.
const JOB: &str = "01920000-0000-7000-8000-00000000000a";

fn path(job: &str) -> String {
    format!("/v2/scrape/{job}/interact")
}

/// Sends a request to the session of a scrape.
async fn interact(api: &Api, job: &str, body: &Value) -> Exchange {
    let request = api.request_outside(Method::POST, &path(job));
    let request = request.header("content-type", "application/json");
    Exchange::of(request.body(body.to_string())).await
}

/// Runs code in the page at `url`, or in the session that the scrape has. Returns the response.
async fn run_at(api: &Api, job: &str, url: &str, code: &str) -> Value {
    let reply = interact(api, job, &json!({"code": code, "url": url})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    assert_eq!(body["success"], true, "{body}");
    body
}

/// Ends the session of a scrape.
async fn stop(api: &Api, job: &str) -> Exchange {
    Exchange::of(api.request_outside(Method::DELETE, &path(job))).await
}

#[track_caller]
fn assert_error(reply: &Exchange, status: u16, error: &str) {
    assert_eq!(reply.status, status, "{}", reply.text);
    assert_eq!(reply.json(), json!({"success": false, "error": error}));
}

/// Returns the ids of sessions with this status.
async fn listed(api: &Api, status: &str) -> Vec<String> {
    let list = api.list(&format!("?status={status}")).await.ok();
    let sessions = list["sessions"].as_array().expect("a list").iter();
    sessions
        .map(|session| session["id"].as_str().expect("an id").to_owned())
        .collect()
}

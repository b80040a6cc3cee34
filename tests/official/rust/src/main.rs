//! Runs calls of Firecrawl's Rust SDK for a test.
//!
//! The argument is the server's origin. Input and output are the lines of `sdk.mjs`.

use std::io::{BufRead, stdin};

use firecrawl::{Client, FirecrawlError, ScrapeOptions};
use serde_json::{Value, json, to_value};

const LOCK: &str = include_str!("../Cargo.lock");

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let origin = std::env::args().nth(1).expect("an argument");
    println!("{}", json!({"version": version()}));
    for line in stdin().lock().lines() {
        let line = line.expect("input is text");
        let call: Value = serde_json::from_str(&line).expect("a line is JSON");
        let answer = match outcome(&origin, &call).await {
            Ok(returned) => json!({"returned": returned}),
            Err(error) => json!({"raised": raised(&error)}),
        };
        println!("{answer}");
    }
}

/// Returns the SDK's version.
fn version() -> &'static str {
    let (_, rest) = LOCK
        .split_once("name = \"firecrawl\"\nversion = \"")
        .expect("the SDK is locked");
    rest.split('"').next().unwrap_or_default()
}

async fn outcome(origin: &str, line: &Value) -> Result<Value, FirecrawlError> {
    let client = Client::new_selfhosted(origin, line["key"].as_str())?;
    let id = line["id"].as_str().unwrap_or_default();
    let body = &line["body"];
    let value = match line["call"].as_str() {
        Some("scrape") => {
            let options: ScrapeOptions = parsed(body)?;
            let url = body["url"].as_str().unwrap_or_default();
            to_value(client.scrape(url, options).await?)
        }
        Some("interact") => to_value(client.interact(id, parsed(body)?).await?),
        Some("stop") => to_value(client.stop_interaction(id).await?),
        other => panic!("no call {other:?}"),
    };
    value.map_err(FirecrawlError::ResponseParseError)
}

/// Returns the options that a body describes. The SDK's types reject values that its users cannot
/// express.
fn parsed<T: serde::de::DeserializeOwned>(body: &Value) -> Result<T, FirecrawlError> {
    serde_json::from_value(body.clone()).map_err(|error| FirecrawlError::Misuse(error.to_string()))
}

fn raised(error: &FirecrawlError) -> Value {
    match error {
        FirecrawlError::APIError(_, body) => json!({
            "name": "APIError",
            "message": error.to_string(),
            "code": body.code,
            "details": body.details,
        }),
        FirecrawlError::Misuse(_) => json!({"name": "Misuse", "message": error.to_string()}),
        _ => json!({"name": "other", "message": error.to_string()}),
    }
}

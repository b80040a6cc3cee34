//! Scrapes that Firecrawl answers.

use hearth_test_support::Api;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::builder;
use super::stand_in::{Firecrawl, LARGE_BYTES, SCRAPE_ID};

async fn scrape(api: &Api, body: &Value) -> Response {
    let request = api.request_outside(Method::POST, "/v2/scrape");
    let request = request.header("accept-encoding", "gzip").json(body);
    request.send().await.expect("the server answers")
}

#[tokio::test]
async fn a_scrape_passes_and_keeps_its_id() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let body = json!({"url": "http://site.test/plain", "unknown": [1, {"a": null}]});
    let response = scrape(&api, &body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["data"]["metadata"]["scrapeId"], SCRAPE_ID);
    let seen = &firecrawl.seen()[0];
    assert_eq!(seen.method, "POST");
    assert_eq!(seen.header("accept-encoding"), ["identity"]);
    assert_eq!(
        seen.header("content-length"),
        [body.to_string().len().to_string()]
    );
    server.stop().await;
}

#[tokio::test]
async fn a_scrape_without_an_id_gets_one() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let response = scrape(&api, &json!({"url": "http://site.test/no-id"})).await;
    let length = response.content_length();
    let text = response.text().await.expect("a body");
    assert_eq!(length, Some(text.len() as u64));
    let mut answer: Value = serde_json::from_str(&text).expect("JSON");
    let id = answer["data"]["metadata"]["scrapeId"].take();
    Uuid::parse_str(id.as_str().expect("a text")).expect("a UUID");
    let rest = json!({
        "title": "Plain", "sourceURL": "http://site.test/no-id", "statusCode": 200,
        "scrapeId": null,
    });
    assert_eq!(
        answer,
        json!({"success": true, "data": {"markdown": "# Plain", "metadata": rest}})
    );
    server.stop().await;
}

#[tokio::test]
async fn a_large_response_is_not_kept() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let response = scrape(&api, &json!({"url": "http://site.test/large"})).await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.expect("a body");
    assert!(text.ends_with(r#"x","metadata":{}}}"#), "no id was added");
    assert!(text.len() > LARGE_BYTES);
    server.stop().await;
}

#[tokio::test]
async fn a_failed_scrape_passes() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let api = server.with_key("key");
    let response = scrape(&api, &json!({"url": "http://site.test/fails"})).await;
    assert_eq!(response.status(), 500);
    let answer: Value = response.json().await.expect("JSON");
    assert_eq!(answer["code"], "SCRAPE_SITE_ERROR");
    server.stop().await;
}

//! Scrapes that Firecrawl answers, and those that it would reject.

use hearth_test_support::{Api, Site, TestServer};
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

/// Sends scrapes, and asserts which of them Firecrawl gets. Each has options, and true if this
/// server answers.
async fn assert_served(api: &Api, site: &Site, firecrawl: &Firecrawl, cases: &[(Value, bool)]) {
    for (options, is_own) in cases {
        let before = firecrawl.seen().len();
        let mut body = options.clone();
        body["url"] = site.url("/title/plain").into();
        let response = scrape(api, &body).await;
        let answer: Value = response.json().await.expect("JSON");
        assert_eq!(
            firecrawl.seen().len() == before,
            *is_own,
            "{options}: {answer}"
        );
        if *is_own {
            assert_eq!(answer["success"], true, "{options}: {answer}");
            assert_ne!(answer["data"]["metadata"]["scrapeId"], SCRAPE_ID);
        }
    }
}

#[tokio::test]
async fn this_server_answers_what_firecrawl_rejects() {
    let (firecrawl, site) = tokio::join!(Firecrawl::start(), Site::start());
    let server = TestServer::builder()
        .setting("HEARTH_FIRECRAWL_URL", &firecrawl.url())
        .start()
        .await;
    let actions = json!([{"type": "wait", "milliseconds": 1}]);
    let cases = [
        (json!({"actions": actions}), true),
        (json!({"formats": ["markdown", "screenshot"]}), true),
        (
            json!({"formats": [{"type": "screenshot", "fullPage": true}]}),
            true,
        ),
        (json!({"profile": {"name": "shop"}}), true),
        (json!({}), false),
        (json!({"actions": []}), false),
        (
            json!({"formats": ["html", "links", "images", "rawHtml"], "mobile": true}),
            false,
        ),
        // This server does not make these formats.
        (json!({"actions": actions, "formats": ["json"]}), false),
        (
            json!({"formats": ["screenshot", {"type": "branding"}]}),
            false,
        ),
        // Firecrawl rejects invalid requests itself.
        (json!({"actions": [{"type": "fly"}]}), false),
        (json!({"actions": actions, "timeout": 1}), false),
    ];
    assert_served(&server, &site, &firecrawl, &cases).await;
    let response = scrape(&server, &json!({"alexandria": "x"})).await;
    assert_eq!(response.status(), 500);
    server.stop().await;
}

#[tokio::test]
async fn a_setting_selects_the_server_of_all_scrapes() {
    let (firecrawl, site) = tokio::join!(Firecrawl::start(), Site::start());
    let with_actions = json!({"actions": [{"type": "wait", "milliseconds": 1}]});
    for (setting, is_own) in [("self", true), ("firecrawl", false)] {
        let server = TestServer::builder()
            .setting("HEARTH_FIRECRAWL_URL", &firecrawl.url())
            .setting("HEARTH_SCRAPE", setting)
            .start()
            .await;
        let cases = [(json!({}), is_own), (with_actions.clone(), is_own)];
        assert_served(&server, &site, &firecrawl, &cases).await;
        server.stop().await;
    }
}

#[tokio::test]
async fn a_response_is_kept_only_if_the_buffers_have_room() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl)
        .setting("HEARTH_BUFFER_MB", "32")
        .start()
        .await;
    let api = server.with_key("key");
    let body = json!({"url": "http://site.test/medium"});
    // Not read yet, so that it takes 20 of 32 MiB.
    let first = scrape(&api, &body).await;
    let second = scrape(&api, &body).await;
    for (response, is_kept) in [(second, false), (first, true)] {
        let answer: Value = response.json().await.expect("JSON");
        let id = answer["data"]["metadata"].get("scrapeId");
        assert_eq!(id.is_some(), is_kept);
    }
    server.stop().await;
}

async fn interact(api: &Api, id: &str, body: &Value) -> (u16, Value) {
    let path = format!("/v2/scrape/{id}/interact");
    let request = api.request_outside(Method::POST, &path).json(body);
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

#[tokio::test]
async fn a_page_is_learned_from_every_body_that_firecrawl_accepts() {
    let (firecrawl, site) = tokio::join!(Firecrawl::start(), Site::start());
    let server = TestServer::builder()
        .setting("HEARTH_FIRECRAWL_URL", &firecrawl.url())
        .start()
        .await;
    let deep = ["[".repeat(1000), "]".repeat(1000)].concat();
    let url = site.url("/title/no-id");
    let bodies = [
        format!(r#"{{"x":{deep},"url":"{url}"}}"#),
        format!(r#"{{"url":"{url}","location":{{"x":{deep}}},"formats":["markdown",{deep}]}}"#),
        format!(r#"{{"url":"{url}","x":"\ud83d","y":1e999}}"#),
    ];
    for body in bodies {
        let request = server.request_outside(Method::POST, "/v2/scrape");
        let request = request.header("content-type", "application/json");
        let response = request.body(body.clone()).send().await.expect("an answer");
        assert_eq!(response.status(), 200, "{body}");
        let answer: Value = response.json().await.expect("JSON");
        let id = answer["data"]["metadata"]["scrapeId"].as_str();
        let id = id.expect("an id");
        let code = json!({"code": "await page.title()"});
        let (status, answer) = interact(&server, id, &code).await;
        assert_eq!(
            (status, &answer["result"]),
            (200, &json!("no-id")),
            "{answer}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_client_interacts_with_a_page_that_firecrawl_has_scraped() {
    let (firecrawl, site) = tokio::join!(Firecrawl::start(), Site::start());
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "shop:key,other:secret")
        .setting("HEARTH_FIRECRAWL_URL", &firecrawl.url())
        .start()
        .await;
    let api = server.with_key("key");
    let code = json!({"code": "await page.title()"});
    for (path, has_id) in [("/title/no-id", false), ("/title/plain", true)] {
        let response = scrape(&api, &json!({"url": site.url(path)})).await;
        let answer: Value = response.json().await.expect("JSON");
        let id = answer["data"]["metadata"]["scrapeId"]
            .as_str()
            .expect("an id");
        assert_eq!(id == SCRAPE_ID, has_id);
        let (status, answer) = interact(&server.with_key("secret"), id, &code).await;
        assert_eq!(status, 403, "{answer}");
        let (status, answer) = interact(&api, id, &code).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["result"], path.rsplit('/').next().expect("a name"));
    }
    // A response with a known id does not change the owner.
    let other = server.with_key("secret");
    scrape(&other, &json!({"url": site.url("/title/plain")})).await;
    let (status, answer) = interact(&other, SCRAPE_ID, &code).await;
    assert_eq!(status, 403, "{answer}");
    // Firecrawl never gets such a request.
    assert!(
        firecrawl
            .seen()
            .iter()
            .all(|seen| seen.path == "/v2/scrape")
    );
    server.stop().await;
}

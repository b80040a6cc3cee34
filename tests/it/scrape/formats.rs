//! The formats and the metadata of a page.

use serde_json::json;

use super::{Scenario, text};

#[tokio::test]
async fn a_page_is_markdown_by_default() {
    let scenario = Scenario::start().await;
    let data = scenario.scrape("/article", &json!({})).await;
    assert!(text(&data["markdown"]).contains("# "), "{data}");
    for other in [
        "html",
        "rawHtml",
        "links",
        "images",
        "screenshot",
        "actions",
    ] {
        assert!(data.get(other).is_none(), "{other}: {data}");
    }
    let metadata = &data["metadata"];
    assert_eq!(metadata["statusCode"], 200);
    assert_eq!(metadata["sourceURL"], scenario.site.url("/article"));
    assert_eq!(metadata["url"], scenario.site.url("/article"));
    assert_eq!(metadata["contentType"], "text/html; charset=utf-8");
    assert!(metadata.get("error").is_none(), "{metadata}");
    scenario.server.stop().await;
}

#[tokio::test]
async fn every_format_is_made_from_one_page() {
    let scenario = Scenario::start().await;
    let formats = [
        "markdown",
        "html",
        "rawHtml",
        "links",
        "images",
        "screenshot",
    ];
    let data = scenario
        .scrape("/steps", &json!({"formats": formats}))
        .await;
    assert!(text(&data["markdown"]).starts_with("# Steps"), "{data}");
    assert!(text(&data["html"]).contains("<h1>Steps</h1>"), "{data}");
    assert!(!text(&data["html"]).contains("<script"), "{data}");
    assert!(text(&data["rawHtml"]).contains("<script"), "{data}");
    assert_eq!(data["links"], json!([scenario.site.url("/title/next")]));
    assert_eq!(data["images"], json!([]));
    assert!(text(&data["screenshot"]).starts_with("data:image/png;base64,iVBOR"));
    let metadata = &data["metadata"];
    assert_eq!(metadata["title"], "Steps");
    assert_eq!(metadata["language"], "en");
    assert_eq!(metadata["description"], "A page for the actions of scrapes");
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_page_with_an_error_status_is_scraped() {
    let scenario = Scenario::start().await;
    let data = scenario.scrape("/status/404", &json!({})).await;
    assert_eq!(data["metadata"]["statusCode"], 404);
    assert_eq!(data["metadata"]["error"], "Own Words");
    assert_eq!(data["markdown"], "status 404");
    scenario.server.stop().await;
}

#[tokio::test]
async fn redirects_are_followed() {
    let scenario = Scenario::start().await;
    let data = scenario.scrape("/moved", &json!({})).await;
    assert_eq!(data["metadata"]["sourceURL"], scenario.site.url("/moved"));
    assert_eq!(data["metadata"]["url"], scenario.site.url("/title/moved"));
    assert_eq!(data["metadata"]["statusCode"], 200);
    scenario.server.stop().await;
}

#[tokio::test]
async fn text_and_json_are_scraped_and_other_files_are_not() {
    let scenario = Scenario::start().await;
    let data = scenario.scrape("/data.json", &json!({})).await;
    assert_eq!(data["markdown"], "```json\n{\"from\":\"site\"}\n```");
    assert_eq!(data["metadata"]["contentType"], "application/json");
    let data = scenario.scrape("/file.txt", &json!({})).await;
    assert_eq!(data["markdown"], "plain text");
    for path in ["/file.pdf", "/download"] {
        let code = "SCRAPE_UNSUPPORTED_FILE_ERROR";
        scenario.failure(path, &json!({}), (500, code)).await;
    }
    scenario.server.stop().await;
}

#[tokio::test]
async fn a_page_that_is_too_large_fails() {
    let scenario = Scenario::start().await;
    let options = json!({"formats": ["rawHtml"]});
    let error = scenario
        .failure("/large", &options, (500, "SCRAPE_SITE_ERROR"))
        .await;
    assert!(error.contains("exceeds 32 MiB"), "{error}");
    scenario.scrape("/article", &json!({})).await;
    scenario.server.stop().await;
}

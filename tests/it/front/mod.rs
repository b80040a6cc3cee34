//! The front of a Firecrawl server (`HEARTH_FIRECRAWL_URL`), with a stand-in for Firecrawl.

mod failing;
mod passing;
mod scraping;
mod stand_in;
mod tls;
mod web_socket;

use hearth_test_support::{Api, ServerBuilder, TestServer};
use serde_json::Value;

use self::stand_in::Firecrawl;

/// A server that needs no browser, with one key, in front of the stand-in.
fn builder(firecrawl: &Firecrawl) -> ServerBuilder {
    TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS", "shop:key")
        .setting("HEARTH_FIRECRAWL_URL", &firecrawl.url())
}

async fn get(api: &Api, path: &str) -> (u16, String) {
    let request = api.request_outside(reqwest::Method::GET, path);
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    (status, response.text().await.expect("a body"))
}

async fn get_json(api: &Api, path: &str) -> (u16, Value) {
    let (status, text) = get(api, path).await;
    (status, serde_json::from_str(&text).expect("JSON"))
}

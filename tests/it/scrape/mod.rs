//! `POST /v2/scrape`: pages in all formats, actions, options, failures and ends.

mod actions;
mod ending;
mod extremes;
mod failures;
mod formats;
mod layouts;
mod options;
mod requests;
mod runtime_dir;

use hearth_test_support::{Api, Exchange, Site, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

const PATH: &str = "/v2/scrape";

/// A server and a site.
struct Scenario {
    server: TestServer,
    site: Site,
}

impl Scenario {
    /// Starts a server that keeps no session of a scrape.
    async fn start() -> Scenario {
        let server = TestServer::builder().setting("HEARTH_SCRAPE_KEEP_SECONDS", "0");
        let (server, site) = tokio::join!(server.start(), Site::start());
        Scenario { server, site }
    }

    /// Scrapes a page of the site with these options. Returns its `data`.
    async fn scrape(&self, path: &str, options: &Value) -> Value {
        let exchange = self.send(path, options).await;
        assert_eq!(exchange.status, 200, "{}", exchange.text);
        let body = exchange.json();
        assert_eq!(body["success"], true, "{body}");
        body["data"].clone()
    }

    /// Sends a request to scrape a page of the site.
    async fn send(&self, path: &str, options: &Value) -> Exchange {
        let mut body = options.clone();
        body["url"] = self.site.url(path).into();
        send(&self.server, &body).await
    }

    /// Asserts that a scrape fails with this status and code. Returns its `error`.
    async fn failure(&self, path: &str, options: &Value, (status, code): (u16, &str)) -> String {
        let exchange = self.send(path, options).await;
        assert_failure(&exchange, status, code)
    }
}

async fn send(api: &Api, body: &Value) -> Exchange {
    let request = api.request_outside(Method::POST, PATH).json(body);
    Exchange::of(request).await
}

#[track_caller]
fn assert_failure(exchange: &Exchange, status: u16, code: &str) -> String {
    let body = exchange.json();
    assert_eq!(
        (exchange.status, &body["success"], &body["code"]),
        (status, &json!(false), &json!(code)),
        "{body}"
    );
    text(&body["error"]).to_owned()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

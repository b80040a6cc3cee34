//! The state of the page that clients find: the emulated device, headers, and tabs that the page
//! has opened.

use hearth_test_support::{Api, Exchange, Site, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use super::{interact, stop};

/// Returns what a page sees of its device, and the number of times that its size has changed.
const SEEN: &str = "[innerWidth, innerHeight, devicePixelRatio, navigator.maxTouchPoints > 0, \
    navigator.userAgent.includes('Mobile'), navigator.userAgentData?.mobile ?? true, window.resized ?? 0]";

/// Scrapes a page. Returns the response's data.
async fn scrape(api: &Api, url: &str, mut options: Value) -> Value {
    options["url"] = url.into();
    let request = api.request_outside(Method::POST, "/v2/scrape");
    let reply = Exchange::of(request.json(&options)).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["data"].clone()
}

fn id(data: &Value) -> &str {
    data["metadata"]["scrapeId"].as_str().expect("an id")
}

/// Runs code in the page of a scrape. Returns its result.
async fn result(api: &Api, job: &str, code: &str) -> Value {
    let reply = interact(api, job, &json!({"code": code})).await;
    let body = reply.json();
    assert_eq!(body["success"], true, "{body}");
    let result = body["result"].as_str().expect("a result");
    serde_json::from_str(result).unwrap_or_else(|_| result.into())
}

/// Starts a server that keeps the sessions of scrapes, and one that does not.
async fn keeping_or_not() -> [TestServer; 2] {
    let without = TestServer::builder().setting("HEARTH_SCRAPE_KEEP_SECONDS", "0");
    let (with, without) = tokio::join!(TestServer::start(), without.start());
    [with, without]
}

#[tokio::test]
async fn a_phone_stays_a_phone() {
    let (servers, site) = tokio::join!(keeping_or_not(), Site::start());
    let script = format!(
        "window.resized = 0; addEventListener('resize', () => window.resized++); return {SEEN}"
    );
    let options = json!({
        "mobile": true,
        "actions": [{"type": "executeJavascript", "script": script}],
    });
    for server in servers {
        let data = scrape(&server, &site.url("/desk"), options.clone()).await;
        let seen = &data["actions"]["javascriptReturns"][0]["value"];
        assert_eq!((&seen[2], &seen[6]), (&json!(3), &json!(0)), "{seen}");
        let seen_by_code = format!("await page.evaluate(() => {SEEN})");
        let first = result(&server, id(&data), &seen_by_code).await;
        assert_eq!(first, *seen);
        // The phone is there for the next page, another site, and another tab.
        let open = |url: &str| format!("await page.goto('{url}'); await page.innerText('body')");
        let headers = result(&server, id(&data), &open(&site.url("/headers"))).await;
        assert!(headers.to_string().contains("Mobile Safari"), "{headers}");
        let other = site.url("/desk").replace("127.0.0.1", "localhost");
        result(
            &server,
            id(&data),
            &format!("await page.goto('{other}'); 1"),
        )
        .await;
        assert_eq!(result(&server, id(&data), &seen_by_code).await, *seen);
        let tab = format!(
            "const tab = await context.newPage(); await tab.goto('{other}'); \
             await tab.evaluate(() => {SEEN})"
        );
        assert_eq!(result(&server, id(&data), &tab).await, *seen);
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_can_change_the_size_of_a_phone() {
    let (server, site) = tokio::join!(TestServer::start(), Site::start());
    let data = scrape(&server, &site.url("/title/page"), json!({"mobile": true})).await;
    let code = "await page.setViewportSize({ width: 600, height: 500 }); await page.evaluate(() => innerWidth)";
    assert_eq!(result(&server, id(&data), code).await, json!(600));
    server.stop().await;
}

#[tokio::test]
async fn headers_are_sent_by_a_repeated_scrape_and_not_by_code() {
    let (servers, site) = tokio::join!(keeping_or_not(), Site::start());
    let options = json!({"mobile": true, "headers": {"X-Probe": "for the page"}});
    for server in servers {
        let data = scrape(&server, &site.url("/headers"), options.clone()).await;
        let shown = result(&server, id(&data), "await page.innerText('body')").await;
        let shown = shown.to_string();
        assert!(shown.contains("for the page"), "{shown}");
        assert!(shown.contains("Mobile Safari"), "{shown}");
        let again = "await page.reload(); await page.innerText('body')";
        let shown = result(&server, id(&data), again).await.to_string();
        assert!(!shown.contains("for the page"), "{shown}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_empty_tab_is_not_the_page() {
    let (servers, site) = tokio::join!(keeping_or_not(), Site::start());
    let url = site.url("/title/page");
    for server in servers {
        for script in [
            "window.opened = window.open('about:blank')",
            "window.opened = window.open()",
        ] {
            let actions = json!([
                {"type": "executeJavascript", "script": script},
                {"type": "executeJavascript", "script": "window.marker = 'set'"},
            ]);
            let data = scrape(&server, &url, json!({"actions": actions})).await;
            assert_eq!(data["metadata"]["url"], url, "{script}");
            let code = "[page.url(), await page.evaluate(() => window.marker)]";
            let found = result(&server, id(&data), code).await;
            assert_eq!(found, json!([url, "set"]), "{script}");
            let code = "agent-browser get url";
            let body = json!({"code": code, "language": "bash"});
            let printed = interact(&server, id(&data), &body).await.json();
            assert_eq!(printed["stdout"].as_str().map(str::trim), Some(&*url));
            let code =
                format!("page.context().pages().filter((tab) => tab.url() === '{url}').length");
            assert_eq!(result(&server, id(&data), &code).await, json!(1));
            assert_eq!(stop(&server, id(&data)).await.status, 200);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_page_that_becomes_empty_is_empty() {
    let (servers, site) = tokio::join!(keeping_or_not(), Site::start());
    let action = json!({"type": "executeJavascript", "script": "location.href = 'about:blank'"});
    for server in servers {
        let options = json!({"actions": [action]});
        let data = scrape(&server, &site.url("/title/page"), options).await;
        assert_eq!(
            (&data["metadata"]["url"], &data["markdown"]),
            (&json!("about:blank"), &json!(""))
        );
        assert_eq!(
            result(&server, id(&data), "page.url()").await,
            "about:blank"
        );
        server.stop().await;
    }
}

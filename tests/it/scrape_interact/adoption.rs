//! The first interaction after a scrape: it continues in the scrape's own browser while that is
//! kept, and otherwise repeats the scrape's steps.

use std::time::Duration;

use hearth_test_support::{Api, Exchange, Site, TestServer, eventually, new_data_dir};
use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_error, interact, listed, stop};

const BOUND: Duration = Duration::from_secs(20);

/// A scrape of a page in which a script has set a random mark.
struct Marked {
    job: String,
    mark: Value,
}

/// Scrapes a page with these options, and marks it.
async fn scrape(api: &Api, site: &Site, mut options: Value) -> Marked {
    options["url"] = json!(site.url("/title/page"));
    let script = "window.mark = Math.random(); return window.mark";
    options["actions"] = json!([{"type": "executeJavascript", "script": script}]);
    let request = api.request_outside(Method::POST, "/v2/scrape");
    let request = request.header("content-type", "application/json");
    let reply = Exchange::of(request.body(options.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let data = &reply.json()["data"];
    Marked {
        job: data["metadata"]["scrapeId"]
            .as_str()
            .expect("an id")
            .to_owned(),
        mark: data["actions"]["javascriptReturns"][0]["value"].clone(),
    }
}

/// Returns the mark of the page in the session of a scrape.
async fn mark(api: &Api, job: &str) -> Value {
    let reply = interact(
        api,
        job,
        &json!({"code": "await page.evaluate(() => window.mark)"}),
    )
    .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let body = reply.json();
    serde_json::from_str(body["result"].as_str().expect("a result")).expect("a number")
}

/// Returns the number of kept sessions.
async fn kept(server: &TestServer) -> String {
    let request = server.direct().request_outside(Method::GET, "/metrics");
    let metrics = Exchange::of(request).await;
    let name = "hearth_sessions{state=\"kept\"} ";
    let line = metrics
        .text
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.expect("the metric exists").to_owned()
}

#[tokio::test]
async fn the_first_interaction_continues_in_the_browser_of_the_scrape() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    assert_eq!(kept(&server).await, "1");
    for status in ["active", "destroyed"] {
        assert!(listed(&server, status).await.is_empty(), "{status}");
    }
    assert_error(
        &stop(&server, &scraped.job).await,
        404,
        "Browser session not found.",
    );
    assert_eq!(mark(&server, &scraped.job).await, scraped.mark);
    assert_eq!(kept(&server).await, "0");
    let sessions = listed(&server, "active").await;
    let [session] = sessions.as_slice() else {
        panic!("{sessions:?}");
    };
    let code = json!({"code": "page.context().pages().map((page) => page.url())"});
    let tabs = interact(&server, &scraped.job, &code).await.json();
    assert_eq!(tabs["result"], json!([site.url("/title/page")]).to_string());
    assert_eq!(stop(&server, &scraped.job).await.status, 200);
    let ended = server.status(session).await.ok();
    assert_eq!(ended["destroyedReason"], "deleted");
    server.stop().await;
}

#[tokio::test]
async fn only_the_operator_sees_the_session_of_a_scrape() {
    let builder = TestServer::builder()
        .setting("HEARTH_API_KEYS", "shop:key-of-shop")
        .setting("HEARTH_OPERATOR_KEY", "key-of-boss");
    let (server, site) = (builder.start().await, Site::start().await);
    let shop = server.with_key("key-of-shop");
    let boss = server.with_key("key-of-boss");
    scrape(&shop, &site, json!({})).await;
    let state = async |api: &Api| {
        let request = api.request_outside(Method::GET, "/operator/state");
        Exchange::of(request).await.json()["sessions"].clone()
    };
    assert_eq!(state(&shop).await, json!([]));
    let seen = state(&boss).await;
    assert_eq!(seen[0]["isScrape"], json!(true), "{seen}");
    let path = format!(
        "/operator/sessions/{}",
        seen[0]["id"].as_str().expect("an id")
    );
    let end = async |api: &Api| {
        let request = api.request_outside(Method::DELETE, &path);
        Exchange::of(request).await
    };
    assert_error(&end(&shop).await, 404, "Browser session not found.");
    assert_eq!(end(&boss).await.status, 200);
    assert_eq!(state(&boss).await, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn without_its_browser_the_steps_of_a_scrape_are_repeated() {
    let builder = TestServer::builder().setting("HEARTH_SCRAPE_KEEP_SECONDS", "0");
    let (server, site) = (builder.start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    assert_eq!(kept(&server).await, "0");
    let repeated = mark(&server, &scraped.job).await;
    assert!(repeated.is_f64() && repeated != scraped.mark, "{repeated}");
    assert_eq!(listed(&server, "active").await.len(), 1);
    // The code of users finds nothing of the repetition.
    let code =
        json!({"code": "typeof replay + typeof context_of_scrape + page.context().pages().length"});
    let left = interact(&server, &scraped.job, &code).await.json();
    assert_eq!(left["result"], "undefinedundefined1");
    server.stop().await;
}

#[tokio::test]
async fn the_browser_of_a_scrape_is_kept_for_a_limited_time() {
    let builder = TestServer::builder().setting("HEARTH_SCRAPE_KEEP_SECONDS", "1");
    let (server, site) = (builder.start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    eventually(BOUND, "no session is kept", async || {
        let kept = kept(&server).await;
        if kept == "0" { Ok(()) } else { Err(kept) }
    })
    .await;
    assert_ne!(mark(&server, &scraped.job).await, scraped.mark);
    // The end of a kept session is nobody's.
    assert!(listed(&server, "destroyed").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_earlier_server_does_not_matter() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    let scraped = scrape(&server, &site, json!({})).await;
    server.stop().await;
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    assert!(listed(&server, "destroyed").await.is_empty());
    let repeated = mark(&server, &scraped.job).await;
    assert!(repeated.is_f64() && repeated != scraped.mark, "{repeated}");
    server.stop().await;
}

#[tokio::test]
async fn the_browser_of_a_scrape_ends_when_another_session_replaces_it() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let scraped = scrape(&server, &site, json!({})).await;
    assert_eq!(kept(&server).await, "1");
    let code = json!({"code": "page.url()", "existingSessionId": session.id()});
    let reply = interact(&server, &scraped.job, &code).await.json();
    assert_eq!(reply["sessionId"], session.id());
    assert_eq!(kept(&server).await, "0");
    server.stop().await;
}

#[tokio::test]
async fn a_kept_browser_makes_room_for_a_session() {
    let builder = TestServer::builder().setting("HEARTH_MAX_SESSIONS", "1");
    let (server, site) = (builder.start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    assert_eq!(kept(&server).await, "1");
    let session = server.session().await;
    assert_eq!(kept(&server).await, "0");
    let full = interact(&server, &scraped.job, &json!({"code": "1"})).await;
    assert_eq!(full.status, 429, "{}", full.text);
    session.delete().await;
    assert_ne!(mark(&server, &scraped.job).await, scraped.mark);
    server.stop().await;
}

#[tokio::test]
async fn a_kept_browser_does_not_count_for_its_team() {
    let builder = TestServer::builder().setting("HEARTH_TEAM_MAX_SESSIONS", "1");
    let (server, site) = (builder.start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    let session = server.session().await;
    let full = interact(&server, &scraped.job, &json!({"code": "1"})).await;
    assert_eq!(full.status, 429, "{}", full.text);
    // It is still kept.
    session.delete().await;
    assert_eq!(mark(&server, &scraped.job).await, scraped.mark);
    assert_eq!(server.create(&json!({})).await.status, 429);
    server.stop().await;
}

#[tokio::test]
async fn a_scrape_without_retention_has_its_kept_browser_only() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let options = json!({"zeroDataRetention": true});
    let scraped = scrape(&server, &site, options.clone()).await;
    let code = json!({"code": "1", "zeroDataRetention": true});
    let adopted = interact(&server, &scraped.job, &code).await;
    assert_eq!(adopted.status, 200, "{}", adopted.text);
    assert_eq!(mark(&server, &scraped.job).await, scraped.mark);
    server.stop().await;

    let builder = TestServer::builder().setting("HEARTH_SCRAPE_KEEP_SECONDS", "0");
    let server = builder.start().await;
    let scraped = scrape(&server, &site, options).await;
    let nothing = interact(&server, &scraped.job, &json!({"code": "1"})).await;
    assert_error(
        &nothing,
        409,
        "Replay context is unavailable. Supply url or an existingSessionId to continue without retained scrape context.",
    );
    let url = json!({"code": "await page.title()", "url": site.url("/title/other")});
    let opened = interact(&server, &scraped.job, &url).await;
    assert_eq!(opened.json()["result"], "other", "{}", opened.text);
    server.stop().await;
}

#[tokio::test]
async fn an_interaction_without_retention_needs_a_session_without_retention() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({})).await;
    let code = json!({"code": "await page.evaluate(() => window.mark)", "zeroDataRetention": true});
    // The kept session keeps data, so the steps are repeated in another one.
    let repeated = interact(&server, &scraped.job, &code).await;
    assert_eq!(repeated.status, 200, "{}", repeated.text);
    assert_ne!(repeated.json()["result"], scraped.mark.to_string());
    let retained = scrape(&server, &site, json!({})).await;
    assert_eq!(mark(&server, &retained.job).await, retained.mark);
    assert_error(
        &interact(&server, &retained.job, &code).await,
        409,
        "Create a new ZDR browser session to continue.",
    );
    server.stop().await;
}

#[tokio::test]
async fn a_session_saves_the_profile_of_its_scrape() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let scraped = scrape(&server, &site, json!({"profile": {"name": "shop"}})).await;
    assert_eq!(kept(&server).await, "0");
    let code = json!({"code": "await page.evaluate(() => { localStorage.saved = 'yes' })"});
    let reply = interact(&server, &scraped.job, &code).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let busy = server.create(&json!({"profile": {"name": "shop"}})).await;
    assert_eq!(busy.status, 409, "{}", busy.text);
    assert_eq!(stop(&server, &scraped.job).await.status, 200);
    let session = server
        .session_with(&json!({"profile": {"name": "shop"}}))
        .await;
    let code = format!(
        "await page.goto('{}'); await page.evaluate(() => localStorage.saved)",
        site.url("/title/page")
    );
    assert_eq!(session.node(&code).await.ok().result, "yes");
    server.stop().await;
}

//! The opening of a session: once for all requests at the same time, also if they disconnect or
//! their time is up.

use futures_util::future::join_all;
use hearth_test_support::{Exchange, Site, TestServer};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::{JOB, assert_error, interact, listed, path, run_at, stop};

/// Requests `/signal/NAME`, for which `/late/NAME` waits.
async fn signal(site: &Site, name: &str) {
    let url = site.url(&format!("/signal/{name}"));
    Client::new()
        .get(url)
        .send()
        .await
        .expect("the site answers");
}

fn id(reply: &Exchange) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text);
    reply.json()["sessionId"].clone()
}

#[tokio::test]
async fn requests_at_the_same_time_share_one_opening() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let body = json!({"code": "await page.title()", "url": site.url("/late/page"), "timeout": 60});
    let requests = join_all((0..5).map(|_| interact(&server, JOB, &body)));
    let (replies, ()) = tokio::join!(requests, signal(&site, "page"));
    let first = id(&replies[0]);
    for reply in &replies {
        assert_eq!(
            (id(reply), &reply.json()["result"]),
            (first.clone(), &json!("page"))
        );
    }
    assert_eq!(json!(listed(&server, "active").await), json!([first]));
    assert!(listed(&server, "destroyed").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_opens_too_slowly_is_there_for_the_next_request() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let body = json!({"code": "await page.title()", "url": site.url("/late/slow"), "timeout": 1.5});
    let late = interact(&server, JOB, &body).await;
    assert_error(
        &late,
        503,
        "The page could not be opened in time. Nothing was run; try again.",
    );
    assert_eq!(late.headers["retry-after"], "1");
    // Clients see the session when its page is open.
    assert!(listed(&server, "active").await.is_empty());
    signal(&site, "slow").await;
    // Another address would open another page.
    let body = json!({"code": "await page.title()", "url": site.url("/title/other")});
    let opened = interact(&server, JOB, &body).await;
    assert_eq!(opened.json()["result"], "slow");
    assert_eq!(listed(&server, "active").await.len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn an_opening_goes_on_when_its_client_disconnects() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let body = json!({"code": "await page.title()", "url": site.url("/late/gone")});
    let request = server.request_outside(Method::POST, &path(JOB));
    let request = request.header("content-type", "application/json");
    tokio::select! {
        answered = request.body(body.to_string()).send() => panic!("{answered:?}"),
        // The client leaves while the page is opened.
        () = site.signalled("late/gone") => {}
    }
    let second = interact(&server, JOB, &body);
    let (second, ()) = tokio::join!(second, signal(&site, "gone"));
    assert_eq!(second.json()["result"], "gone", "{}", second.text);
    assert_eq!(json!(listed(&server, "active").await), json!([id(&second)]));
    assert!(listed(&server, "destroyed").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_stop_ends_an_opening() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let body = json!({"code": "1", "url": site.url("/late/never")});
    let opening = interact(&server, JOB, &body);
    let stopping = async {
        site.signalled("late/never").await;
        stop(&server, JOB).await
    };
    let (opened, stopped) = tokio::join!(opening, stopping);
    assert_error(&opened, 410, "Browser session has been destroyed.");
    assert_eq!(stopped.status, 200, "{}", stopped.text);
    assert_eq!(stop(&server, JOB).await.json(), stopped.json());
    assert_error(
        &interact(&server, JOB, &body).await,
        410,
        "Browser session has been destroyed.",
    );
    assert!(listed(&server, "active").await.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_opened_leaves_nothing_behind() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let refused = json!({"code": "1", "url": "http://127.0.0.1:1/"});
    for _ in 0..2 {
        assert_error(
            &interact(&server, JOB, &refused).await,
            409,
            "Failed to initialize browser session from the original scrape context. Please rerun the scrape and try again.",
        );
    }
    assert!(listed(&server, "active").await.is_empty());
    assert!(listed(&server, "destroyed").await.is_empty());
    assert_error(&stop(&server, JOB).await, 404, "Browser session not found.");
    let opened = run_at(&server, JOB, &site.url("/title/page"), "await page.title()").await;
    assert_eq!(opened["result"], "page");
    server.stop().await;
}

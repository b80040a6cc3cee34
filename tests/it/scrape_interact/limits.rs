//! The timeout of an interaction, and the limit of sessions.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::{JOB, interact, listed, run_at};

#[tokio::test]
async fn code_is_killed_at_a_timeout_with_a_fraction() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    run_at(&server, JOB, &site.url("/title/page"), "1").await;
    let body = json!({"code": "await new Promise(() => {})", "timeout": 1.5});
    let killed = interact(&server, JOB, &body).await.json();
    assert_eq!(
        (&killed["success"], &killed["killed"], &killed["exitCode"]),
        (&json!(false), &json!(true), &json!(137)),
        "{killed}"
    );
    let error = killed["error"].as_str().expect("a reason");
    assert!(error.contains("its timeout of 1.5 seconds"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_session_of_a_scrape_counts_like_any_other() {
    let builder = TestServer::builder().setting("HEARTH_MAX_SESSIONS", "1");
    let (server, site) = (builder.start().await, Site::start().await);
    let session = server.session().await;
    let body = json!({"code": "1", "url": site.url("/title/page")});
    let full = interact(&server, JOB, &body).await;
    assert_eq!(full.status, 429, "{}", full.text);
    assert!(full.headers.contains_key("retry-after"));
    session.delete().await;
    run_at(&server, JOB, &site.url("/title/page"), "1").await;
    assert_eq!(server.create(&json!({})).await.status, 429);
    assert_eq!(listed(&server, "active").await.len(), 1);
    server.stop().await;
}

//! Which node creates a session.

use hearth_test_support::TestCluster;
use reqwest::Method;
use serde_json::json;

use super::{cluster_of, owner};

#[tokio::test]
async fn a_node_without_places_creates_sessions_on_another_one() {
    let cluster = cluster_of(1).await;
    let entry = cluster.api(0);
    let first = entry.session().await;
    assert_eq!(owner(&cluster, &first), 1);
    assert_eq!(first.node("6 * 7").await.ok().result, "42");
    let second = entry.session().await;
    entry.create(&json!({})).await.assert_error(
        429,
        "You have reached the maximum number of active browser sessions.",
    );
    second.delete().await;
    // The place is free at once, although the entry's view of the nodes is older.
    entry.session().await;
    cluster.stop().await;
}

#[tokio::test]
async fn sessions_are_created_where_places_are_free() {
    let cluster = cluster_of(2).await;
    let entry = cluster.api(0);
    let mut owners = Vec::new();
    for _ in 0..4 {
        owners.push(owner(&cluster, &entry.session().await));
    }
    owners.sort_unstable();
    assert_eq!(owners, [1, 1, 2, 2]);
    cluster.stop().await;
}

#[tokio::test]
async fn a_scrape_and_its_interactions_have_one_owner() {
    let cluster = TestCluster::start_with(3, |number, node| {
        let node = node.setting("HEARTH_SCRAPE_KEEP_SECONDS", "30");
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => node,
        }
    })
    .await;
    let site = hearth_test_support::Site::start().await;
    let (entry, other) = (cluster.api(0), cluster.api(2));
    let post = async |api: &hearth_test_support::Api, path: &str, body: serde_json::Value| {
        let request = api.request_outside(Method::POST, path);
        let request = request.header("content-type", "application/json");
        api.send(request.body(body.to_string())).await.ok()
    };
    let url = site.url("/title/shared");
    let scraped = post(&entry, "/v2/scrape", json!({"url": url})).await;
    let job = scraped["data"]["metadata"]["scrapeId"]
        .as_str()
        .expect("a scrape has an id")
        .to_owned();
    let path = format!("/v2/scrape/{job}/interact");
    let body =
        json!({"language": "node", "code": "globalThis.count = (globalThis.count ?? 0) + 1"});
    let first = post(&entry, &path, body.clone()).await;
    let second = post(&other, &path, body).await;
    assert_eq!(
        (&first["result"], &second["result"]),
        (&json!("1"), &json!("2"))
    );
    cluster.stop().await;
}

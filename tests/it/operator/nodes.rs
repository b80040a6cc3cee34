//! The operator page of a node of a cluster, in a real browser.

use hearth_test_support::{CLUSTER_KEY, Exchange, Site, TestCluster};
use reqwest::Method;
use serde_json::Value;

use super::page::{DESK, Operator};

/// An address at which nothing listens.
const NOWHERE: &str = "127.0.0.1:9";

/// Starts a node without places, one with sessions, and one that no other node reaches.
async fn three_nodes() -> TestCluster {
    TestCluster::start_with(3, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        1 => node,
        _ => node.setting("HEARTH_PEER_ADDRESS", NOWHERE),
    })
    .await
}

#[tokio::test]
async fn the_page_of_a_node_shows_all_nodes_and_their_sessions() {
    let (mut cluster, site) = (three_nodes().await, Site::start().await);
    let sessions = [
        cluster.api(1).session().await,
        cluster.api(1).session().await,
    ];
    for (session, title) in sessions.iter().zip(["Morning", "Evening"]) {
        let url = site.url(&format!("/title/{title}"));
        session
            .node(&format!("await page.goto('{url}')"))
            .await
            .ok();
    }
    let operator = Operator::before(cluster.node(0), DESK).await;
    operator.enter(CLUSTER_KEY).await;
    for title in ["Morning", "Evening"] {
        operator
            .act(&format!(
                "await desk.getByText('{title}', {{ exact: true }}).waitFor()"
            ))
            .await;
    }
    operator.act("await desk.waitForFunction(() => [...document.querySelectorAll('#sessions img')].filter((img) => img.naturalWidth > 100).length === 2)").await;
    // The number comes with the next heartbeat of that node.
    operator
        .act("await desk.locator('#nodes').getByText('2 of 2 sessions', { exact: true }).waitFor()")
        .await;
    let seen = operator
        .see("[await desk.locator('#nodes').innerText(), await desk.locator('#sessions').innerText()]")
        .await;
    let words = |part: usize| seen[part].as_str().expect("text").to_owned();
    for word in [
        "node-0",
        "node-1",
        "node-2",
        "up",
        "2 of 2 sessions",
        "no answer",
    ] {
        assert!(words(0).contains(word), "{word} is not in {seen}");
    }
    assert_eq!(words(0).matches("no answer").count(), 1, "{seen}");
    assert_eq!(words(1).matches("on node-1").count(), 2, "{seen}");

    operator
        .act("var end = desk.locator('.card', { hasText: 'Morning' }).getByRole('button', { name: /^End/ })")
        .await;
    operator.act(r"while ((await end.allTextContents()).some((text) => /^End(\?|$)/.test(text))) await end.click({ timeout: 1000 }).catch(() => {})").await;
    operator
        .act("await desk.getByText('Morning', { exact: true }).waitFor({ state: 'detached' })")
        .await;
    sessions[0].assert_destroyed("deleted").await;

    let mut lost = cluster.take(1);
    lost.kill_hard().await;
    operator
        .act("await desk.locator('#ended').getByText('node lost').waitFor()")
        .await;
    operator
        .act("await desk.getByText('Evening', { exact: true }).waitFor({ state: 'detached' })")
        .await;
    operator
        .act("await desk.locator('#nodes').getByText('node-1', { exact: true }).waitFor({ state: 'detached' })")
        .await;
    // The browser itself logs responses with an error status.
    operator
        .act("complaints = complaints.filter((complaint) => !/status of (401|410|503)/.test(complaint))")
        .await;
    operator.leave().await;
    lost.assert_nothing_runs(std::time::Duration::from_secs(10))
        .await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_team_sees_only_its_own_sessions_of_other_nodes() {
    let keys = format!("{CLUSTER_KEY},lab:key-of-lab");
    let cluster = TestCluster::start_with(2, move |number, node| {
        let node = node.setting("HEARTH_API_KEYS", &keys);
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => node.setting("HEARTH_MAX_SESSIONS", "3"),
        }
    })
    .await;
    let entry = cluster.node(0);
    let (one, two) = (
        cluster.api(0).session().await,
        cluster.api(0).session().await,
    );
    let other = entry.with_key("key-of-lab").session().await;
    let state = async |key: &str| {
        let api = entry.with_key(key);
        let request = api.request_outside(Method::GET, "/operator/state");
        Exchange::of(request).await.json()
    };
    let ids = |state: &Value, list: &str| {
        let items = state[list].as_array().expect("a list").iter();
        let ids = items.map(|item| item["id"].as_str().expect("an id").to_owned());
        ids.collect::<Vec<String>>()
    };
    // The newest is the first.
    let own = state(CLUSTER_KEY).await;
    assert_eq!(ids(&own, "sessions"), [two.id(), one.id()]);
    assert_eq!(ids(&state("key-of-lab").await, "sessions"), [other.id()]);
    for session in [&one, &other, &two] {
        session.delete().await;
    }
    let own = state(CLUSTER_KEY).await;
    assert_eq!(ids(&own, "ended"), [two.id(), one.id()]);
    assert_eq!(ids(&state("key-of-lab").await, "ended"), [other.id()]);
    cluster.stop().await;
}

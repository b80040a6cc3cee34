//! The operator page of a node of a cluster, in a real browser.

use hearth_test_support::{CLUSTER_KEY, Exchange, Site, TestCluster};
use reqwest::Method;
use serde_json::json;

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
    operator
        .act(&format!(
            "await desk.getByLabel(/key/i).fill('{CLUSTER_KEY}'); await desk.keyboard.press('Enter')"
        ))
        .await;
    for title in ["Morning", "Evening"] {
        operator
            .act(&format!(
                "await desk.getByText('{title}', {{ exact: true }}).waitFor()"
            ))
            .await;
    }
    operator.act("await desk.waitForFunction(() => [...document.querySelectorAll('#sessions img')].filter((img) => img.naturalWidth > 100).length === 2)").await;
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
    let nodes = operator
        .see("[await desk.locator('#nodes').innerText()]")
        .await;
    assert!(
        !nodes[0].as_str().expect("text").contains("node-1"),
        "{nodes}"
    );
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
        let node = node
            .setting("HEARTH_API_KEYS", &keys)
            .setting("HEARTH_OPERATOR_KEY", "key-of-boss");
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => node,
        }
    })
    .await;
    let own = cluster.api(0).session().await;
    let other = cluster.node(0).with_key("key-of-lab").session().await;
    let state = async |key: &str| {
        let api = cluster.node(0).with_key(key);
        let request = api.request_outside(Method::GET, "/operator/state");
        Exchange::of(request).await.json()
    };
    let shown = async |key: &str| {
        let state = state(key).await;
        let sessions = state["sessions"].as_array().expect("a list").iter();
        let ids = sessions.map(|session| session["id"].as_str().expect("an id").to_owned());
        ids.collect::<Vec<String>>()
    };
    assert_eq!(shown(CLUSTER_KEY).await, [own.id()]);
    assert_eq!(shown("key-of-lab").await, [other.id()]);
    // The newest is the first.
    assert_eq!(shown("key-of-boss").await, [other.id(), own.id()]);
    own.delete().await;
    other.delete().await;
    assert_eq!(
        state("key-of-lab").await["ended"][0]["id"],
        json!(other.id())
    );
    assert_eq!(
        state("key-of-lab").await["ended"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(
        state("key-of-boss").await["ended"].as_array().map(Vec::len),
        Some(2)
    );
    cluster.stop().await;
}

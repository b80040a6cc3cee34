//! Several servers with one database. Node 0 owns no session.

mod burst;
mod carries;
mod ends;
mod load_balancer;
mod lost;
mod nodes;
mod peers;
mod placed;
mod restarts;
mod upgrade;

use hearth_test_support::{Session, TestCluster};

/// Starts `owners` nodes with two places for sessions each, and node 0, which has none.
async fn cluster_of(owners: usize) -> TestCluster {
    TestCluster::start_with(owners + 1, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        _ => node,
    })
    .await
}

/// Returns the number of the node that owns a session, which its id contains.
fn owner(cluster: &TestCluster, session: &Session) -> usize {
    let group = session
        .id()
        .split('-')
        .nth(2)
        .expect("an id has five groups");
    let number = i64::from_str_radix(&group[1..], 16).expect("hexadecimal digits");
    let sql = format!("SELECT name FROM nodes WHERE number = {number} ORDER BY epoch DESC LIMIT 1");
    let name = cluster.query(&sql);
    let number = name.strip_prefix("node-").expect("a name of a node");
    number.parse().expect("a number")
}

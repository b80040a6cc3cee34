//! The cost of the hop between two nodes of a cluster.

use hearth_test_support::{Api, CLUSTER_KEY, Session, TestCluster};
use reqwest::Method;
use serde_json::json;

use crate::cdp::{Connection, Contender};
use crate::harness::{Extent, timed, with_json};
use crate::rows::Group;
use crate::samples::Samples;

/// A session, and a client that reaches it through one of the nodes.
struct Path {
    api: Api,
    execute: &'static str,
    cdp: Contender,
}

impl Path {
    async fn run(&mut self, session: &Session, samples: &mut Samples) {
        let body = json!({"language": "node", "code": "1"});
        let path = format!("/{}/execute", session.id());
        let request = self.api.request(Method::POST, &path);
        let (answer, took) = timed(with_json(request, &body)).await;
        assert_eq!(answer["exitCode"], json!(0), "{answer}");
        samples.add(self.execute, took);
        self.cdp.run(samples).await;
    }
}

/// Measures the group [`Group::Cluster`].
pub async fn measure(extent: Extent, samples: &mut Samples) {
    // The first node owns no session.
    let cluster = TestCluster::start_with(2, |number, node| match number {
        0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
        _ => node,
    })
    .await;
    let session = cluster
        .api(0)
        .session_with(&json!({"ttl": 3600, "activityTtl": 3600}))
        .await;
    let mut paths = Vec::new();
    for (number, execute, evaluate, version) in [
        (1, "execute-owner", "evaluate-owner", "version-owner"),
        (0, "execute-hop", "evaluate-hop", "version-hop"),
    ] {
        let url = cluster.through(number, session.cdp_url());
        let connection = Connection::over_socket(&url).await;
        paths.push(Path {
            api: cluster.node(number).with_key(CLUSTER_KEY),
            execute,
            cdp: Contender::new(connection, evaluate, version).await,
        });
    }
    let mut warm_up = Samples::default();
    let warm_up_rounds = extent.warm_up_rounds(Group::Cluster);
    for round in 0..warm_up_rounds + extent.rounds * Group::Cluster.rounds_each() {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        for path in &mut paths {
            path.run(&session, samples).await;
        }
        paths.reverse();
    }
    drop(paths);
    session.delete().await;
    cluster.stop().await;
}

//! The cost of a cluster: the hop between two nodes, and a database on the network.

use std::time::Duration;

use hearth_test_support::{
    Api, CLUSTER_KEY, ServerBuilder, Session, TestCluster, TestServer, eventually,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::bucket;
use crate::cdp::{Connection, Contender};
use crate::harness::{Extent, timed, warm_ready, with_json};
use crate::rows::Group;
use crate::samples::Samples;

/// The user ids of the nodes, and of the server alone. The main server of the bench has others.
const NODE_UIDS: [&str; 2] = ["60944-61023", "61024-61103"];
const ALONE_UIDS: &str = "61104-61183";

/// The time in which a warm session is ready.
const READY: Duration = Duration::from_mins(1);

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
    hop(extent, samples).await;
    creations(extent, samples).await;
    bucket::measure([NODE_UIDS[0], ALONE_UIDS], extent, samples).await;
}

/// Starts two nodes, of which the first owns no session.
async fn start_cluster(warm: usize) -> TestCluster {
    TestCluster::start_with(2, move |number, node| {
        let node = node.setting("HEARTH_UIDS", NODE_UIDS[number]);
        match number {
            0 => node.setting("HEARTH_MAX_SESSIONS", "0"),
            _ => with_warm(node, warm),
        }
    })
    .await
}

fn with_warm(server: ServerBuilder, warm: usize) -> ServerBuilder {
    server
        .setting("HEARTH_MAX_SESSIONS", "4")
        .setting("HEARTH_WARM_SESSIONS", &warm.to_string())
}

/// Measures requests to the owner of a session and through another node.
async fn hop(extent: Extent, samples: &mut Samples) {
    let cluster = start_cluster(0).await;
    let session = cluster.api(0).session_with(&long_session()).await;
    let mut paths = Vec::new();
    for (number, execute, evaluate, version) in [
        (1, "execute-owner", "evaluate-owner", "version-owner"),
        (0, "execute-hop", "evaluate-hop", "version-hop"),
    ] {
        let url = cluster.through(number, session.cdp_url());
        let connection = Connection::over_socket(&url).await;
        paths.push(Path {
            api: cluster.api(number),
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

/// Measures creations on a node, and on a server that is not a node.
async fn creations(extent: Extent, samples: &mut Samples) {
    let mut cluster = start_cluster(1).await;
    cluster.postgres().restart_durable().await;
    cluster.wait_for_nodes(2).await;
    let alone = TestServer::builder().setting("HEARTH_UIDS", ALONE_UIDS);
    let alone = with_warm(alone, 1)
        .setting("HEARTH_API_KEYS", CLUSTER_KEY)
        .start()
        .await;
    let mut servers = [
        ("create-node", cluster.api(1)),
        ("create-alone", alone.with_key(CLUSTER_KEY)),
    ];
    let mut warm_up = Samples::default();
    let warm_up_rounds = extent.pick(2, 0);
    for round in 0..warm_up_rounds + extent.rounds {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        // The preparation of a warm session would slow down the other server.
        for (_, server) in &servers {
            wait_for_warm(server).await;
        }
        for (key, server) in &servers {
            let request = server.request(Method::POST, "");
            let (created, took) = timed(with_json(request, &long_session())).await;
            samples.add(key, took);
            server.session_of(created).delete().await;
            wait_for_warm(server).await;
        }
        servers.reverse();
    }
    alone.stop().await;
    cluster.stop().await;
}

fn long_session() -> Value {
    json!({"ttl": 3600, "activityTtl": 3600})
}

async fn wait_for_warm(server: &Api) {
    eventually(
        READY,
        "a warm session is ready",
        async || match warm_ready(server).await {
            Some(1) => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await;
}

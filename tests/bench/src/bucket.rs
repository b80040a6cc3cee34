//! The start of a session with a large profile, from object storage and from files.

use hearth_test_support::{CLUSTER_KEY, Site, TestBucket, TestCluster, TestServer};
use reqwest::Method;
use serde_json::json;

use crate::harness::{Extent, timed, with_json};
use crate::lasting::save_profile;
use crate::samples::Samples;

/// The name of the profile, and its size.
const PROFILE: (&str, u64) = ("fifty", 50);

/// Measures creations on a node whose profiles are in a bucket, and on a server alone. Neither
/// keeps a copy of a profile, so every creation reads it. `uids` are their user ids.
pub async fn measure(uids: [&'static str; 2], extent: Extent, samples: &mut Samples) {
    let (site, bucket) = (Site::start().await, TestBucket::start().await);
    let settings = bucket.settings();
    let cluster = TestCluster::start_with(1, move |_, node| {
        let node = node.setting("HEARTH_UIDS", uids[0]);
        settings
            .iter()
            .fold(node, |node, (name, value)| node.setting(name, value))
    })
    .await;
    let alone = TestServer::builder()
        .setting("HEARTH_UIDS", uids[1])
        .setting("HEARTH_API_KEYS", CLUSTER_KEY)
        .start()
        .await;
    let mut servers = [
        ("create-bucket", cluster.api(0)),
        ("create-files", alone.with_key(CLUSTER_KEY)),
    ];
    let (name, megabytes) = PROFILE;
    for (_, server) in &servers {
        save_profile(server, &site, name, megabytes).await;
    }
    let reading = json!({"profile": {"name": name, "saveChanges": false}});
    let mut warm_up = Samples::default();
    let warm_up_rounds = extent.pick(2, 0);
    for round in 0..warm_up_rounds + extent.rounds {
        let samples = if round < warm_up_rounds {
            &mut warm_up
        } else {
            &mut *samples
        };
        for (key, server) in &servers {
            let request = server.request(Method::POST, "");
            let (created, took) = timed(with_json(request, &reading)).await;
            assert_eq!(created.get("warning"), None, "{created}");
            samples.add(key, took);
            server.session_of(created).delete().await;
        }
        servers.reverse();
    }
    alone.stop().await;
    cluster.stop().await;
}

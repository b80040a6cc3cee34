//! Concurrent use of a profile by sessions and teams.

use std::collections::BTreeMap;

use hearth_test_support::{Api, Reply, Site, TestServer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::profiles::scenario::{all, files, keep, kept, nothing, reading, saved, saving};

async fn list(api: &Api) -> Value {
    let mut answer = api.send(api.request(Method::GET, "/profiles")).await.ok();
    answer["profiles"].take()
}

async fn delete_profile(api: &Api, name: &str) -> Reply {
    api.send(api.request(Method::DELETE, &format!("/profiles/{name}")))
        .await
}

#[tokio::test]
async fn one_session_saves_and_any_number_read_the_last_saved_state() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let first = server.session_with(&saving("p")).await;
    keep(&first, &site, "first").await;
    first.delete().await;
    let saver = server.session_with(&saving("p")).await;
    keep(&saver, &site, "second").await;
    let rejection = server.create(&saving("p")).await;
    assert_eq!(rejection.status, 409, "{rejection:?}");
    for word in ["\"p\"", "saveChanges", "false", "again"] {
        assert!(rejection.error().contains(word), "{rejection:?}");
    }
    rejection.assert_retry_after();
    let readers = [
        server.session_with(&reading("p")).await,
        server.session_with(&reading("p")).await,
    ];
    for reader in &readers {
        assert_eq!(kept(reader, &site).await, all("first"));
    }
    saver.delete().await;
    // They keep the state that they started with.
    assert_eq!(kept(&readers[0], &site).await, all("first"));
    let next = server.session_with(&saving("p")).await;
    assert_eq!(kept(&next, &site).await, all("second"));
    server.stop().await;
}

#[tokio::test]
async fn only_one_of_many_concurrent_sessions_may_save() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "30")
        .start()
        .await;
    let mut creating = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let api = server.with_long_timeout();
        creating.spawn(async move { api.create(&saving("p")).await.status });
    }
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    while let Some(status) = creating.join_next().await {
        *statuses.entry(status.expect("answered")).or_default() += 1;
    }
    assert_eq!(statuses, BTreeMap::from([(200, 1), (409, 19)]));
    server.stop().await;
}

#[tokio::test]
async fn a_session_that_fails_to_start_keeps_no_profile_lease() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "1")
        .start()
        .await;
    let first = server.session().await;
    assert_eq!(server.create(&saving("p")).await.status, 429);
    first.delete().await;
    server.session_with(&saving("p")).await.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn each_team_has_its_own_profiles() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "one:key-1,two:key-2,key-3")
        .start()
        .await;
    let site = Site::start().await;
    let teams = ["key-1", "key-2", "key-3"].map(|key| server.with_key(key));
    for (team, value) in teams.iter().zip(["a", "b", "c"]) {
        let session = team.session_with(&saving("p")).await;
        keep(&session, &site, value).await;
        session.delete().await;
    }
    for (team, value) in teams.iter().zip(["a", "b", "c"]) {
        let session = team.session_with(&reading("p")).await;
        assert_eq!(kept(&session, &site).await, all(value));
        assert_eq!(list(team).await.as_array().map(Vec::len), Some(1));
    }
    assert_eq!(delete_profile(&teams[0], "p").await.status, 200);
    assert_eq!(list(&teams[0]).await, json!([]));
    assert_eq!(list(&teams[1]).await.as_array().map(Vec::len), Some(1));
    assert_eq!(
        server
            .send(server.request(Method::GET, "/profiles"))
            .await
            .status,
        401
    );
    assert_eq!(delete_profile(&server, "p").await.status, 401);
    server.stop().await;
}

#[tokio::test]
async fn the_list_has_the_size_and_the_sessions_of_each_profile() {
    let server = TestServer::start().await;
    assert_eq!(list(&server).await, json!([]));
    for name in ["b", "a"] {
        server.session_with(&saving(name)).await.delete().await;
    }
    let saver = server.session_with(&saving("b")).await;
    let reader = server.session_with(&reading("a")).await;
    let profiles = list(&server).await;
    let shown: Vec<_> = profiles
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (&one["name"], &one["inUse"]))
        .collect();
    assert_eq!(
        shown,
        [(&json!("a"), &json!(false)), (&json!("b"), &json!(true))]
    );
    let sizes: u64 = files(&server).iter().map(|(_, bytes)| bytes).sum();
    let listed: u64 = profiles
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["sizeBytes"].as_u64())
        .sum();
    assert_eq!(listed, sizes);
    assert_eq!(list(&server.under("/v2/browser")).await, profiles);
    saver.delete().await;
    reader.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_profile_is_gone_for_new_sessions_and_stays_in_running_ones() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let saver = server.session_with(&saving("p")).await;
    keep(&saver, &site, "x").await;
    let rejection = delete_profile(&server, "p").await;
    assert_eq!(rejection.status, 409, "{rejection:?}");
    assert!(
        rejection.error().contains("\"p\"") && rejection.error().contains("Delete that session"),
        "{rejection:?}"
    );
    saver.delete().await;
    let reader = server.session_with(&reading("p")).await;
    for _ in 0..2 {
        assert_eq!(
            delete_profile(&server, "p").await.ok(),
            json!({"success": true})
        );
    }
    assert_eq!(files(&server), []);
    assert_eq!(kept(&reader, &site).await, all("x"));
    assert_eq!(saved(&server, &site, "p").await, nothing());
    server.stop().await;
}

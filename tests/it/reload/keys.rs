//! Keys that change while the server runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hearth_test_support::{Exchange, TestServer, eventually};
use reqwest::Method;
use serde_json::json;

use super::{NOTICED, SecretFile, count, hang_up, logged};

/// Returns the status of a request with a key.
async fn status(server: &TestServer, key: &str) -> u16 {
    server.with_key(key).list("").await.status
}

/// Waits until requests with a key get this status.
async fn becomes(server: &TestServer, key: &str, expected: u16) {
    eventually(NOTICED, "the key changes", async || {
        match status(server, key).await {
            found if found == expected => Ok(()),
            found => Err(format!("{found}\n{}", server.output())),
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_is_rotated_without_a_failed_request_and_sessions_stay() {
    let file = SecretFile::new("shop:old-key\n");
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS_FILE", &file.path())
        .start()
        .await;
    let session = server.with_key("old-key").session().await;
    session.node("var basket = 'full'").await.ok();
    let (uses_new, is_done, sent) = (
        AtomicBool::new(false),
        AtomicBool::new(false),
        AtomicUsize::new(0),
    );
    // A client that never pauses. It changes its key when both are valid.
    let client = async {
        while !is_done.load(Ordering::SeqCst) {
            let is_new = uses_new.load(Ordering::SeqCst);
            let key = if is_new { "new-key" } else { "old-key" };
            let reply = server.with_key(key).status(session.id()).await;
            assert_eq!(reply.ok()["status"], "active", "with {key}");
            sent.fetch_add(1, Ordering::SeqCst);
        }
    };
    let requests = async |number: usize| {
        let from = sent.load(Ordering::SeqCst);
        eventually(Duration::from_secs(20), "the client sends", async || {
            if sent.load(Ordering::SeqCst) >= from + number {
                Ok(())
            } else {
                Err("it waits".to_owned())
            }
        })
        .await;
    };
    let operator = async {
        requests(3).await;
        file.replace("shop:old-key\nshop:new-key\n");
        hang_up(&server, "keys changed").await;
        requests(3).await;
        uses_new.store(true, Ordering::SeqCst);
        requests(3).await;
        file.replace("shop:new-key\n");
        hang_up(&server, "keys changed").await;
        requests(3).await;
        is_done.store(true, Ordering::SeqCst);
    };
    tokio::join!(client, operator);
    assert_eq!(status(&server, "old-key").await, 401);
    let body = json!({"language": "node", "code": "basket"});
    let reply = server
        .with_key("new-key")
        .execute(session.id(), &body)
        .await
        .ok();
    assert_eq!(reply["result"], "full");
    let output = server.output();
    assert!(output.contains("added=\"shop\" removed=\"\""), "{output}");
    assert!(!output.contains("old-key") && !output.contains("new-key"));
    server.stop().await;
}

#[tokio::test]
async fn changed_key_files_are_read_without_a_signal() {
    let (keys, operator) = (SecretFile::new("a:one"), SecretFile::new("boss-1"));
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS_FILE", &keys.path())
        .setting("HEARTH_OPERATOR_KEY_FILE", &operator.path())
        .start()
        .await;
    assert_eq!(status(&server, "two").await, 401);
    keys.write("a:one,b:two");
    becomes(&server, "two", 200).await;
    assert_eq!(status(&server, "one").await, 200);
    keys.replace("b:two");
    becomes(&server, "one", 401).await;
    assert_eq!(status(&server, "two").await, 200);
    operator.replace("boss-2");
    eventually(NOTICED, "the operator's key changes", async || {
        let with = |key: &str| {
            let api = server.with_key(key);
            Exchange::of(api.request_outside(Method::GET, "/operator/state"))
        };
        match (with("boss-1").await.status, with("boss-2").await.status) {
            (401, 200) => Ok(()),
            statuses => Err(format!("{statuses:?}\n{}", server.output())),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_broken_key_file_is_reported_once_and_the_keys_stay() {
    let file = SecretFile::new("a:one");
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_API_KEYS_FILE", &file.path())
        .start()
        .await;
    let event = "key files rejected: keys kept";
    for (number, text) in ["", "a:sesame-2,b:sesame-2", "a:sesame 3"]
        .iter()
        .enumerate()
    {
        file.write(text);
        logged(&server, event, number + 1).await;
        assert_eq!(status(&server, "one").await, 200);
    }
    hang_up(&server, "reload failed: settings kept").await;
    std::fs::remove_file(file.path()).expect("removed");
    logged(&server, event, 4).await;
    assert_eq!(status(&server, "one").await, 200);
    // The server has read the files in the meantime without another report.
    file.write("a:three");
    becomes(&server, "three", 200).await;
    assert_eq!(count(&server, event), 4, "{}", server.output());
    assert!(!server.output().contains("sesame"), "{}", server.output());
    server.stop().await;
}

#[tokio::test]
async fn a_reload_cannot_turn_authentication_off() {
    let file = SecretFile::new("HEARTH_API_KEYS=a:one\n");
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_ENV_FILE", &file.path())
        .start()
        .await;
    assert_eq!(status(&server, "one").await, 200);
    file.write("# HEARTH_API_KEYS=a:one\n");
    hang_up(&server, "reload failed: settings kept").await;
    assert_eq!(server.list("").await.status, 401);
    assert_eq!(status(&server, "one").await, 200);
    file.write("HEARTH_API_KEYS=a:two\n");
    hang_up(&server, "settings reloaded").await;
    assert_eq!(status(&server, "one").await, 401);
    assert_eq!(status(&server, "two").await, 200);
    server.stop().await;
}

//! The end of a session decides whether its profile is saved.

use std::time::Duration;

use hearth_test_support::process::Process;
use hearth_test_support::{Session, Site, TestServer, eventually, new_data_dir};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::profiles::scenario::{all, keep, kept, nothing, saved, saving};

const BOUND: Duration = Duration::from_secs(20);

/// Returns a body for a session with a profile and a time limit.
fn ending(name: &str, clock: &str, seconds: u64) -> Value {
    json!({"profile": {"name": name}, clock: seconds})
}

async fn ended(session: &Session, reason: &str) -> Value {
    eventually(Duration::from_secs(45), "the session ends", async || {
        let status = session.status().await;
        if status["status"] == "destroyed" {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    // The server responds after it has saved the profile or failed to. Only then the store of a
    // cluster, and so its list, has the end.
    let answer = session.delete().await;
    session.assert_destroyed(reason).await;
    answer
}

#[tokio::test]
async fn a_session_saves_its_profile_when_it_expires() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let by_ttl = server.session_with(&ending("by-ttl", "ttl", 30)).await;
    let by_idling = server
        .session_with(&ending("by-idling", "activityTtl", 10))
        .await;
    keep(&by_ttl, &site, "t").await;
    keep(&by_idling, &site, "i").await;
    ended(&by_idling, "idle").await;
    assert_eq!(saved(&server, &site, "by-idling").await, all("i"));
    ended(&by_ttl, "ttl").await;
    assert_eq!(saved(&server, &site, "by-ttl").await, all("t"));
    server.stop().await;
}

#[tokio::test]
async fn all_sessions_save_their_profiles_when_the_server_stops() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    for name in ["a", "b", "c"] {
        let session = server.session_with(&saving(name)).await;
        keep(&session, &site, name).await;
    }
    // The values were stored just before.
    server.stop().await;
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    for name in ["a", "b", "c"] {
        assert_eq!(saved(&server, &site, name).await, all(name));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_beforeunload_page_does_not_prevent_saving() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    session
        .node("await page.evaluate(() => { onbeforeunload = () => 'stay' }); await page.mouse.click(5, 5); 1")
        .await
        .ok();
    session
        .node("page.evaluate(() => { for (;;); }).catch(() => {}); 1")
        .await
        .ok();
    let answer = session.delete().await;
    assert_eq!(answer.get("warning"), None, "{answer}");
    assert_eq!(saved(&server, &site, "p").await, all("x"));
    server.stop().await;
}

#[tokio::test]
async fn a_crashed_browser_leaves_its_cookies_and_nothing_half_written() {
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_PROFILE_CHECKPOINT_SECONDS", "1")
        .start()
        .await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "old").await;
    session.delete().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "new").await;
    wait_for_checkpoint(&server, "new").await;
    let browser = server
        .processes()
        .into_iter()
        .find(Process::is_browser)
        .expect("a browser");
    browser.signal(Signal::SIGKILL);
    let answer = ended(&session, "browser_crashed").await;
    let warning = answer["warning"].as_str().unwrap_or_default();
    assert!(
        warning.contains("ended unexpectedly") && warning.contains("except for cookies"),
        "{answer}"
    );
    // Local storage has its saved state; the cookies are the newest.
    assert_eq!(
        saved(&server, &site, "p").await,
        json!(["old", "new", "new"])
    );
    let session = server.session_with(&saving("p")).await;
    assert_eq!(kept(&session, &site).await, json!(["old", "new", "new"]));
    keep(&session, &site, "newest").await;
    session.delete().await;
    assert_eq!(saved(&server, &site, "p").await, all("newest"));
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_does_not_close_is_killed_and_the_response_says_what_was_saved() {
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_PROFILE_CHECKPOINT_SECONDS", "1")
        .start()
        .await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    wait_for_checkpoint(&server, "x").await;
    let browser = server
        .processes()
        .into_iter()
        .find(Process::is_browser)
        .expect("a browser");
    browser.signal(Signal::SIGSTOP);
    let answer = session.delete().await;
    let warning = answer["warning"].as_str().unwrap_or_default();
    assert!(
        warning.contains("not saved") && warning.contains("except for cookies"),
        "{answer}"
    );
    // The profile is listed because it contains cookies.
    let listed = server
        .send(server.request(reqwest::Method::GET, "/profiles"))
        .await
        .ok();
    assert_eq!(listed["profiles"][0]["name"], "p", "{listed}");
    assert_eq!(saved(&server, &site, "p").await, json!([null, "x", "x"]));
    server.stop().await;
}

#[tokio::test]
async fn a_crashed_server_blocks_no_profile_and_loses_no_login() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let start = || {
        TestServer::builder()
            .data_dir(dir.path())
            .setting("HEARTH_PROFILE_CHECKPOINT_SECONDS", "1")
            .start()
    };
    let mut server = start().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    wait_for_checkpoint(&server, "x").await;
    server.kill_hard().await;
    server.assert_nothing_runs(BOUND).await;
    let server = start().await;
    let listed = server
        .send(server.request(reqwest::Method::GET, "/profiles"))
        .await
        .ok();
    assert_eq!(
        (
            &listed["profiles"][0]["name"],
            &listed["profiles"][0]["inUse"]
        ),
        (&json!("p"), &json!(false)),
        "{listed}"
    );
    let session = server.session_with(&saving("p")).await;
    assert_eq!(kept(&session, &site).await, json!([null, "x", "x"]));
    session.delete().await;
    assert_eq!(saved(&server, &site, "p").await, json!([null, "x", "x"]));
    server.stop().await;
}

/// Waits until a checkpoint contains cookies with this value.
async fn wait_for_checkpoint(server: &TestServer, value: &str) {
    let value = format!("\"value\":\"{value}\"");
    eventually(BOUND, "a checkpoint is written", async || {
        let names = crate::profiles::scenario::files(server)
            .into_iter()
            .map(|(name, _)| name);
        let checkpoint = names
            .into_iter()
            .find(|name| name.ends_with("checkpoint"))
            .ok_or("no checkpoint exists")?;
        let bytes = std::fs::read(server.profiles_dir().join(checkpoint))
            .map_err(|error| error.to_string())?;
        let there = String::from_utf8_lossy(&bytes).matches(&value).count();
        if there == 2 {
            Ok(())
        } else {
            Err(format!("the checkpoint contains {there} of 2 cookies"))
        }
    })
    .await;
}

#[tokio::test]
async fn without_checkpoints_a_crash_loses_unsaved_state() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let start = || {
        TestServer::builder()
            .data_dir(dir.path())
            .setting("HEARTH_PROFILE_CHECKPOINT_SECONDS", "0")
            .start()
    };
    let mut server = start().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    server.kill_hard().await;
    server.assert_nothing_runs(BOUND).await;
    let server = start().await;
    assert_eq!(saved(&server, &site, "p").await, nothing());
    server.stop().await;
}

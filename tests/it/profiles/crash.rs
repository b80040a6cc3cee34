//! Fault injection: every file change of a profile commit fails once, or is the last one before a
//! crash.

use std::fs;
use std::process::Command;
use std::time::Duration;

use hearth_test_support::{Site, TestServer, new_data_dir};
use reqwest::Method;
use serde_json::json;

use crate::profiles::faults::{Fault, Faults, MAX_CHANGES};
use crate::profiles::scenario::{all, files, keep, kept, reading, saved, saving};

const BOUND: Duration = Duration::from_secs(10);

/// Asserts that the cookie database in a session's copy of a profile is intact.
fn assert_cookies_are_whole(server: &TestServer) {
    let dir = server.session_dirs().pop().expect("a session");
    let cookies = dir.join("b/user-data/Default/Cookies");
    if !cookies.exists() {
        return;
    }
    let check = "import sqlite3, sys; print(sqlite3.connect(f'file:{sys.argv[1]}?immutable=1', uri=True).execute('PRAGMA integrity_check').fetchone()[0])";
    let output = Command::new("python3")
        .args(["-c", check])
        .arg(cookies)
        .output()
        .expect("python runs");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "ok",
        "{output:?}"
    );
}

/// Returns the value saved under `p`, and asserts that all stores have the same one of the two.
async fn one_of(server: &TestServer, site: &Site, old: &str, new: &str) -> String {
    let reader = server.session_with(&reading("p")).await;
    assert_eq!(reader.created.get("warning"), None, "{}", reader.created);
    let found = kept(&reader, site).await;
    assert_cookies_are_whole(server);
    reader.delete().await;
    let left: Vec<_> = files(server)
        .into_iter()
        .filter(|(name, _)| name.len() != 64)
        .collect();
    assert_eq!(left, [], "other files than the profile");
    assert!(
        found == all(old) || found == all(new),
        "{found} is neither {old} nor {new}"
    );
    if found == all(new) {
        new.to_owned()
    } else {
        old.to_owned()
    }
}

#[tokio::test]
async fn a_commit_with_any_failed_change_leaves_the_old_or_the_new_profile() {
    let (faults, dir, site) = (Faults::new(), new_data_dir(), Site::start().await);
    let server = faults
        .server(dir.path(), &dir.path().join("profiles"))
        .start()
        .await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "first").await;
    session.delete().await;
    let (mut there, mut failures) = ("first".to_owned(), 0);
    for at in 1..MAX_CHANGES {
        let session = server.session_with(&saving("p")).await;
        let new = format!("new-{at}");
        keep(&session, &site, &new).await;
        faults.order(Fault::Error, at);
        let answer = session.delete().await;
        let seen = faults.stop();
        let old = there;
        there = one_of(&server, &site, &old, &new).await;
        match answer["warning"].as_str() {
            None => assert_eq!(
                there, new,
                "change {at} of {seen}: the response reported success"
            ),
            Some(warning) => {
                failures += 1;
                assert!(warning.contains("not saved"), "{warning}");
            }
        }
        if seen < at {
            // These changes are the draft, its two parts, their syncs to disk, and the rename.
            assert_eq!(failures, 5, "failures among {seen} changes");
            return server.stop().await;
        }
    }
    panic!("a commit has {MAX_CHANGES} changes or more");
}

#[tokio::test]
async fn a_crash_at_any_change_of_a_commit_leaves_the_old_or_the_new_profile() {
    let (faults, dir, site) = (Faults::new(), new_data_dir(), Site::start().await);
    let server = faults.server(dir.path(), dir.path()).start().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "first").await;
    session.delete().await;
    server.stop().await;
    let mut there = "first".to_owned();
    for at in 1..MAX_CHANGES {
        let mut server = faults.server(dir.path(), dir.path()).start().await;
        let session = server.session_with(&saving("p")).await;
        let new = format!("new-{at}");
        keep(&session, &site, &new).await;
        faults.order(Fault::Death, at);
        let deleting = server.request(Method::DELETE, &format!("/{}", session.id()));
        let is_answered = deleting.send().await.is_ok();
        let seen = faults.stop();
        if is_answered {
            assert!(seen < at, "change {at} of {seen} did not end the server");
            there = one_of(&server, &site, &there, &new).await;
            assert_eq!(there, new);
            return server.stop().await;
        }
        server.kill_hard().await;
        server.assert_nothing_runs(BOUND).await;
        let server = faults.server(dir.path(), dir.path()).start().await;
        there = one_of(&server, &site, &there, &new).await;
        let listed = server
            .send(server.request(Method::GET, "/profiles"))
            .await
            .ok();
        let sizes: Vec<_> = files(&server).into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(
            listed["profiles"].as_array().map(Vec::len),
            Some(1),
            "{listed}"
        );
        assert_eq!(json!([listed["profiles"][0]["sizeBytes"]]), json!(sizes));
        server.stop().await;
    }
    panic!("a commit has {MAX_CHANGES} changes or more");
}

#[tokio::test]
async fn on_a_full_disk_the_old_profile_stays_and_the_response_says_so() {
    let (faults, dir, site) = (Faults::new(), new_data_dir(), Site::start().await);
    let server = faults.server(dir.path(), dir.path()).start().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "old").await;
    session.delete().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "new").await;
    faults.order(Fault::Full, 1);
    let answer = session.delete().await;
    faults.stop();
    let warning = answer["warning"].as_str().unwrap_or_default();
    assert!(
        warning.contains("the server's disk is full")
            && warning.contains("The profile is unchanged"),
        "{answer}"
    );
    assert!(
        server.output().contains("the server's disk is full"),
        "the log contains the error"
    );
    assert_eq!(saved(&server, &site, "p").await, all("old"));
    assert_eq!(
        fs::read_dir(dir.path().join("profiles"))
            .expect("read")
            .count(),
        1
    );
    // The profile can be saved once the disk has space.
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "newer").await;
    session.delete().await;
    assert_eq!(saved(&server, &site, "p").await, all("newer"));
    server.stop().await;
}

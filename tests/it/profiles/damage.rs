//! Profiles that are damaged, too large or missing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use hearth_test_support::{Site, TestServer, new_data_dir};
use serde_json::Value;

use crate::profiles::scenario::{all, files, ids, keep, kept, nothing, reading, saved, saving};

fn only_file(server: &TestServer) -> PathBuf {
    let files = files(server);
    assert_eq!(files.len(), 1, "{files:?}");
    server.profiles_dir().join(&files[0].0)
}

/// Returns the dir of the only session.
fn session_dir(server: &TestServer) -> PathBuf {
    let dirs = server.session_dirs();
    assert_eq!(dirs.len(), 1, "{dirs:?}");
    dirs[0].clone()
}

fn is_warned_of_damage(created: &Value) -> bool {
    created["warning"].as_str().is_some_and(|warning| {
        warning.contains("damaged") && warning.contains("kept the damaged file")
    })
}

#[tokio::test]
async fn a_damaged_profile_is_moved_away_and_a_fresh_one_starts() {
    // Changes the file of a single server. `profiles::objects` has tests of damaged objects.
    let builder = TestServer::builder().single();
    let (server, site) = (builder.start().await, Site::start().await);
    // Damage in the header, in the index and at the end, and a truncated file.
    for offset in [0.0, 0.01, 0.5, 0.999, 2.0] {
        let session = server.session_with(&saving("p")).await;
        keep(&session, &site, "x").await;
        session.delete().await;
        let file = only_file(&server);
        let mut bytes = fs::read(&file).expect("read");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "an offset in a small file"
        )]
        let at = (bytes.len() as f64 * offset) as usize;
        match bytes.get_mut(at) {
            Some(byte) => *byte ^= 0x10,
            None => bytes.truncate(bytes.len() / 2),
        }
        fs::write(&file, &bytes).expect("written");
        let reader = server.session_with(&reading("p")).await;
        assert!(
            is_warned_of_damage(&reader.created),
            "{offset}: {}",
            reader.created
        );
        assert_eq!(kept(&reader, &site).await, nothing());
        let aside = file.with_added_extension("damaged");
        assert_eq!(
            (
                fs::read(&aside).expect("the damaged file was moved away"),
                file.exists()
            ),
            (bytes, false)
        );
        // The session starts as if there had been no profile.
        assert_eq!(saved(&server, &site, "p").await, nothing());
        reader.delete().await;
        fs::remove_file(aside).expect("removed");
    }
    assert!(
        server.output().contains("The profile is damaged"),
        "the log contains the error"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_profile_that_breaks_the_browser_is_moved_away() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    // Chromium expects a file at the path of this dir.
    let dir = session_dir(&server).join("b/user-data/Local State");
    fs::create_dir(&dir)
        .and_then(|()| fs::write(dir.join("x"), "x"))
        .expect("made");
    // The session's user must be able to remove the dir.
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).expect("opened");
    let answer = session.delete().await;
    assert_eq!(answer.get("warning"), None, "{answer}");
    let next = server.session_with(&saving("p")).await;
    assert!(is_warned_of_damage(&next.created), "{}", next.created);
    assert_eq!(kept(&next, &site).await, nothing());
    keep(&next, &site, "y").await;
    next.delete().await;
    assert_eq!(saved(&server, &site, "p").await, all("y"));
    server.stop().await;
}

#[tokio::test]
async fn a_profile_is_kept_when_the_browser_is_killed_at_its_start() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    // The browser is killed at its next start for each line of this file.
    let (browser, faults) = (dir.path().join("browser"), dir.path().join("faults"));
    let script = format!(
        "#!/bin/sh\n[ -s '{faults}' ] && sed -i 1d '{faults}' && kill -KILL $$\nexec /usr/lib/chromium/chromium-headless-shell \"$@\"\n",
        faults = faults.display()
    );
    fs::write(&browser, script).expect("written");
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("opened");
    let server = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .setting("HEARTH_BROWSER", &browser.to_string_lossy())
        .start()
        .await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    session.delete().await;
    // One start is tried twice.
    fs::write(&faults, "first\nsecond\n").expect("written");
    let next = server.session_with(&saving("p")).await;
    assert_eq!(
        fs::read(&faults).expect("read"),
        b"",
        "the browser was not killed"
    );
    assert_eq!(next.created.get("warning"), None, "{}", next.created);
    assert_eq!(kept(&next, &site).await, all("x"));
    next.delete().await;
    assert_eq!(ids(&server).len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_profile_that_grew_too_large_keeps_its_previous_version() {
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_SESSION_DISK_MB", "64")
        .start()
        .await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "old").await;
    session.delete().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "new").await;
    // A sparse file takes no space, so it does not affect other tests.
    let holes = session_dir(&server).join("b/user-data/Default/holes");
    fs::File::create(holes)
        .and_then(|file| file.set_len(1 << 40))
        .expect("made");
    let answer = session.delete().await;
    let warning = answer["warning"].as_str().unwrap_or_default();
    assert!(
        warning.contains("64 MiB") && warning.contains("HEARTH_SESSION_DISK_MB"),
        "{answer}"
    );
    // A second request gets the same response.
    assert_eq!(session.delete().await, answer);
    assert_eq!(saved(&server, &site, "p").await, all("old"));
    assert_eq!(ids(&server).len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_profile_larger_than_the_session_limit_is_rejected_and_kept() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    let zeros = session_dir(&server).join("b/user-data/Default/zeros");
    fs::write(zeros, vec![0; 40 << 20]).expect("written");
    session.delete().await;
    server.stop().await;
    let server = TestServer::builder()
        .data_dir(dir.path())
        .setting("HEARTH_SESSION_DISK_MB", "32")
        .start()
        .await;
    let rejection = server.create(&reading("p")).await;
    assert_eq!(rejection.status, 503, "{rejection:?}");
    assert!(
        rejection.error().contains("\"p\"")
            && rejection
                .error()
                .contains("disk limit of a session, 32 MiB"),
        "{rejection:?}"
    );
    server.stop().await;
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    assert_eq!(saved(&server, &site, "p").await, all("x"));
    server.stop().await;
}

#[tokio::test]
async fn a_lost_profile_is_reported_and_a_file_in_its_place_blocks_nothing() {
    // Replaces the file of a single server with a pipe.
    let server = TestServer::builder().single().start().await;
    server.session_with(&saving("p")).await.delete().await;
    let file = only_file(&server);
    fs::remove_file(&file).expect("removed");
    let session = server.session_with(&reading("p")).await;
    let warning = session.created["warning"].as_str().unwrap_or_default();
    assert!(
        warning.contains("is missing on the server"),
        "{}",
        session.created
    );
    session.delete().await;
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).expect("made");
    let answer = server.create(&reading("p")).await;
    assert!([200, 503].contains(&answer.status), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn stale_links_and_locks_of_a_browser_block_no_session() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session_with(&saving("p")).await;
    keep(&session, &site, "x").await;
    let user_data = session_dir(&server).join("b/user-data");
    for (link, target) in [
        ("SingletonLock", "another-host-4711"),
        ("SingletonSocket", "/tmp/none"),
        ("Default/secret", "/etc/shadow"),
    ] {
        std::os::unix::fs::symlink(target, user_data.join(link)).expect("linked");
    }
    session.delete().await;
    let session = server.session_with(&saving("p")).await;
    assert_eq!(
        (session.created.get("warning"), kept(&session, &site).await),
        (None, all("x"))
    );
    let user_data = session_dir(&server).join("b/user-data");
    for link in ["SingletonLock", "SingletonSocket", "Default/secret"] {
        assert!(
            fs::symlink_metadata(user_data.join(link)).is_err(),
            "{link}"
        );
    }
    assert_eq!(ids(&server).len(), 1);
    server.stop().await;
}

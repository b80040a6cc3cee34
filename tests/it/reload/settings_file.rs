//! The file with settings, `HEARTH_ENV_FILE`.

use std::time::Duration;

use hearth_test_support::{Doctor, Exchange, Finding, Site, TestServer, eventually, new_data_dir};
use reqwest::Method;
use serde_json::json;

use super::{SecretFile, count, hang_up, logged};

async fn is_ready(server: &TestServer) -> bool {
    let request = server.request_outside(Method::GET, "/readyz");
    Exchange::of(request).await.status == 200
}

/// Asserts that the log has a line with all these words.
#[track_caller]
fn assert_logged(server: &TestServer, words: &[&str]) {
    let output = server.output();
    let has_all = |line: &str| words.iter().all(|word| line.contains(word));
    assert!(output.lines().any(has_all), "{words:?}\n{output}");
}

#[tokio::test]
async fn a_changed_file_applies_to_a_running_server_and_its_sessions() {
    let site = Site::start().await;
    let file = SecretFile::new("HEARTH_MAX_SESSIONS=1\nHEARTH_VIEWPORT=640x480\n");
    let server = TestServer::builder()
        .setting("HEARTH_EGRESS_ALLOW", "")
        .setting("HEARTH_ENV_FILE", &file.path())
        .start()
        .await;
    let session = server.session().await;
    let width = session
        .node("await page.evaluate(() => innerWidth)")
        .await
        .ok();
    assert_eq!(width.result, "640");
    assert_eq!(server.create(&json!({})).await.status, 429);
    let page = site.url("/title/open");
    let fetch = format!("curl -s -o /dev/null -w '%{{http_code}}' {page}");
    let fetched = session.bash(&fetch).await.ok();
    assert_eq!(fetched.stdout, "403");

    let address = page.strip_prefix("http://").expect("a URL");
    let address = address.strip_suffix("/title/open").expect("its path");
    file.replace(&format!(
        "HEARTH_MAX_SESSIONS=2\nHEARTH_EGRESS_ALLOW={address}\nHEARTH_LOG=debug\nHEARTH_VIEWPORT=800x600\n"
    ));
    hang_up(&server, "settings reloaded").await;
    let fetched = session.bash(&fetch).await.ok();
    assert_eq!(fetched.stdout, "200");
    server.session().await;
    assert_eq!(server.create(&json!({})).await.status, 429);
    // Probes are logged at debug.
    assert!(is_ready(&server).await);
    eventually(Duration::from_secs(10), "a line at debug", async || {
        if count(&server, "DEBUG") > 0 {
            Ok(())
        } else {
            Err(server.output())
        }
    })
    .await;
    for (name, from, to) in [
        ("HEARTH_MAX_SESSIONS", "1", "2"),
        ("HEARTH_EGRESS_ALLOW", "unset", address),
        ("HEARTH_LOG", "info", "debug"),
    ] {
        let (from, to) = (format!("from=\"{from}\""), format!("to=\"{to}\""));
        assert_logged(&server, &["setting changed", name, &from, &to]);
    }
    let event = "changed setting needs a restart";
    assert_logged(&server, &["WARN", event, "HEARTH_VIEWPORT", "800x600"]);
    // It is still pending after another reload.
    hang_up(&server, event).await;
    assert_eq!(count(&server, "setting changed"), 3);
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_file_changes_nothing_and_is_one_line_in_the_log() {
    let file = SecretFile::new("HEARTH_MIN_FREE_DISK_MB=0\n");
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_ENV_FILE", &file.path())
        .start()
        .await;
    assert!(is_ready(&server).await);
    let full = "HEARTH_MIN_FREE_DISK_MB=1048576\n";
    for text in [
        format!("{full}HEARTH_LOG=inof\n"),
        format!("{full}HEARTH_MAX_TABS=0\n"),
        format!("{full}what is this\n"),
    ] {
        file.write(&text);
        hang_up(&server, "reload failed: settings kept").await;
        assert!(is_ready(&server).await);
    }
    std::fs::remove_file(file.path()).expect("removed");
    hang_up(&server, "reload failed: settings kept").await;
    assert_eq!(count(&server, "ERROR"), 4, "{}", server.output());
    for words in [
        "HEARTH_LOG: ",
        "HEARTH_MAX_TABS: ",
        &format!("HEARTH_ENV_FILE: {}: line 2 ", file.path()),
        "cannot read ",
    ] {
        assert_logged(&server, &["reload failed: settings kept", words]);
    }
    assert!(is_ready(&server).await);
    file.write(full);
    hang_up(&server, "settings reloaded").await;
    assert!(!is_ready(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn variables_and_flags_have_precedence_and_ignored_settings_are_named() {
    let file = SecretFile::new(
        "HEARTH_MIN_FREE_DISK_MB=1048576\nHEARTH_MIN_FREE_MEMORY_MB=1048576\nHEARTH_MAX_TAB=1\nOTHER=1\n",
    );
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_MIN_FREE_DISK_MB", "0")
        .argument("--min-free-memory-mb=0")
        .argument("--env-file")
        .argument(&file.path())
        .start()
        .await;
    let event = "setting in file overridden by a variable or a flag";
    logged(&server, event, 2).await;
    assert_logged(&server, &[event, "HEARTH_MIN_FREE_DISK_MB"]);
    assert_logged(&server, &[event, "HEARTH_MIN_FREE_MEMORY_MB"]);
    let words = "unknown setting ignored; did you mean HEARTH_MAX_TABS?";
    assert_logged(&server, &[words, "\"HEARTH_MAX_TAB\""]);
    assert!(is_ready(&server).await);
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_setting_in_the_file_prevents_the_start() {
    let file = SecretFile::new("HEARTH_MAX_TABS=0\n");
    let rejection = TestServer::builder()
        .setting("HEARTH_ENV_FILE", &file.path())
        .refused()
        .await;
    assert_eq!(rejection.code, Some(78), "{rejection:?}");
    let lines: Vec<&str> = rejection.stderr.lines().collect();
    assert!(lines[0].contains("HEARTH_MAX_TABS: "), "{rejection:?}");
    assert_eq!(lines[1..], ["  fix: set HEARTH_MAX_TABS=1"]);
}

#[tokio::test]
async fn the_doctor_names_unknown_settings_of_the_file() {
    let file = SecretFile::new("HEARTH_MAX_SESIONS=4\nHEARTH_QUUX=1\nOTHER=1\n");
    let dir = new_data_dir();
    let diagnosis = Doctor::with_data_dir(dir.path())
        .setting("HEARTH_ENV_FILE", &file.path())
        .run()
        .await;
    let Finding {
        severity,
        text,
        fixes,
        ..
    } = diagnosis.finding("settings");
    let expected = format!(
        "unknown settings in {} are ignored: HEARTH_MAX_SESIONS, HEARTH_QUUX",
        file.path()
    );
    assert_eq!(
        (diagnosis.code, &*severity, &*text),
        (Some(0), "note", &*expected)
    );
    assert_eq!(
        fixes[0],
        "fix: did you mean HEARTH_MAX_SESSIONS instead of HEARTH_MAX_SESIONS?"
    );
}

//! `hearth reload`.

use std::path::Path;
use std::process::Output;

use hearth_test_support::{Terminal, TestServer, binary, new_data_dir};
use tokio::process::Command;

use super::{SecretFile, count};

/// Runs the command, and returns its exit code and what it prints.
async fn reload(data_dir: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary())
        .arg("reload")
        .env("HEARTH_DATA_DIR", data_dir)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = output.await.expect("the program can be started");
    let text = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test]
async fn the_command_waits_for_the_reload_and_prints_the_changes() {
    let file = SecretFile::new("HEARTH_API_KEYS=shop:one\n");
    let server = TestServer::builder()
        .without_browser()
        .setting("HEARTH_ENV_FILE", &file.path())
        .start()
        .await;
    let (code, text) = reload(server.data_dir()).await;
    assert_eq!(
        (code, &*text),
        (Some(0), "settings reloaded\nnothing changed\n")
    );
    file.write("HEARTH_API_KEYS=shop:two\nHEARTH_MAX_TABS=7\nHEARTH_VIEWPORT=800x600\n");
    let (code, text) = reload(server.data_dir()).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "settings reloaded",
            "HEARTH_VIEWPORT needs a restart to change from 1280x720 to 800x600",
            "HEARTH_API_KEYS changed from hidden to hidden",
            "HEARTH_MAX_TABS changed from 100 to 7",
            "keys: added for shop; removed for shop",
        ]
    );
    server.with_key("two").list("").await.ok();
    file.write("HEARTH_API_KEYS=store:two\nHEARTH_MAX_TAB=7\nHEARTH_VIEWPORT=1280x720\n");
    let (code, text) = reload(server.data_dir()).await;
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "settings reloaded",
            "HEARTH_API_KEYS changed from hidden to hidden",
            "HEARTH_MAX_TABS changed from 7 to 100",
            "keys: added for store; removed for shop",
            "HEARTH_MAX_TAB is not a setting; did you mean HEARTH_MAX_TABS?",
        ]
    );
    file.write("HEARTH_API_KEYS=store:two\nHEARTH_MAX_SESSIONS=4\nHEARTH_TEAM_MAX_SESSIONS=2\n");
    let (_, text) = reload(server.data_dir()).await;
    let change = text.lines().nth(1).unwrap_or_default();
    let default = change.strip_prefix("HEARTH_MAX_SESSIONS changed from unset (");
    let default = default.and_then(|rest| rest.strip_suffix(") to 4"));
    let default = default.unwrap_or_else(|| panic!("{text}"));
    assert!(default.parse::<usize>().is_ok(), "{text}");
    file.write("HEARTH_API_KEYS=store:two\n");
    let (_, text) = reload(server.data_dir()).await;
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "settings reloaded",
            &format!("HEARTH_MAX_SESSIONS changed from 4 to unset ({default})"),
            "HEARTH_TEAM_MAX_SESSIONS changed from 2 to unset (no limit besides HEARTH_MAX_SESSIONS)",
        ]
    );
    file.write("HEARTH_MAX_TABS=0\n");
    let (code, text) = reload(server.data_dir()).await;
    assert_eq!(code, Some(78), "{text}");
    assert!(
        text.starts_with("hearth: the server kept its settings: HEARTH_MAX_TABS: ")
            && text.ends_with("\n  fix: set HEARTH_MAX_TABS=1\n"),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test]
async fn without_a_server_the_command_says_so() {
    let dir = new_data_dir();
    let expected = format!(
        "hearth: cannot reload: no server uses {}\n  fix: ",
        dir.path().display()
    );
    let (code, text) = reload(dir.path()).await;
    assert!(code == Some(1) && text.starts_with(&expected), "{text}");
    let server = TestServer::builder()
        .without_browser()
        .data_dir(dir.path())
        .start()
        .await;
    assert_eq!(reload(dir.path()).await.0, Some(0));
    server.stop().await;
    // The lock file is still there.
    let (code, text) = reload(dir.path()).await;
    assert!(code == Some(1) && text.starts_with(&expected), "{text}");
}

#[tokio::test]
async fn the_command_also_reloads_a_server_in_a_terminal() {
    let terminal = Terminal::open();
    let server = TestServer::builder()
        .without_browser()
        .in_terminal(&terminal)
        .start()
        .await;
    assert_eq!(reload(server.data_dir()).await.0, Some(0));
    assert_eq!(count(&server, "settings reloaded"), 1);
    server.stop().await;
}

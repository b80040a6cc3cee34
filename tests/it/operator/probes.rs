//! `/livez` and `/readyz`.
//!
//! A node of a cluster is not ready for fewer reasons, so servers that must not be ready run alone.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hearth_test_support::{Exchange, Site, TestServer, eventually, new_data_dir};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

async fn ready(server: &TestServer) -> (u16, Value) {
    let answer = Exchange::of(server.request_outside(Method::GET, "/readyz")).await;
    (answer.status, answer.json())
}

/// Returns the only reason of a server that is not ready.
#[track_caller]
fn only_reason((status, answer): &(u16, Value)) -> String {
    assert_eq!(
        (*status, &answer["ready"]),
        (503, &json!(false)),
        "{answer}"
    );
    let reasons = answer["reasons"].as_array().expect("a list");
    assert_eq!(reasons.len(), 1, "{answer}");
    reasons[0].as_str().expect("a sentence").to_owned()
}

#[tokio::test]
async fn a_serving_server_is_live_and_ready_without_a_key() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let live = Exchange::of(server.request_outside(Method::GET, "/livez")).await;
    assert_eq!((live.status, live.json()), (200, json!({"live": true})));
    assert_eq!(
        ready(&server).await,
        (200, json!({"ready": true, "reasons": []}))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_full_disk_is_a_reason_not_to_be_ready() {
    let server = TestServer::builder()
        .single()
        .setting("HEARTH_MIN_FREE_DISK_MB", "1048576")
        .start()
        .await;
    assert!(only_reason(&ready(&server).await).starts_with("The disk is full: "));
    server.stop().await;
}

#[tokio::test]
async fn low_memory_is_a_reason_not_to_be_ready_and_blocks_new_sessions() {
    let server = TestServer::builder()
        .single()
        .setting("HEARTH_MIN_FREE_MEMORY_MB", "1048576")
        .start()
        .await;
    let reason = only_reason(&ready(&server).await);
    assert!(
        reason.starts_with("Memory is low: ") && reason.contains("1048576 MiB"),
        "{reason}"
    );
    let refused = server.create(&json!({})).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(
        refused.error().contains("HEARTH_MIN_FREE_MEMORY_MB"),
        "{refused:?}"
    );
    refused.assert_retry_after();
    server.stop().await;
}

#[tokio::test]
async fn browsers_that_do_not_start_are_a_reason_until_one_starts() {
    let (dir, tools) = (new_data_dir(), new_data_dir());
    std::fs::set_permissions(&tools, std::fs::Permissions::from_mode(0o755))
        .expect("it belongs to this process");
    // A browser that starts only while a file exists, or not at its next start.
    let (browser, switch) = (tools.path().join("browser"), tools.path().join("on"));
    let fault = tools.path().join("fault");
    let script = format!(
        "#!/bin/sh\nrm '{}' 2>/dev/null && exit 3\n[ -e '{}' ] || exit 1\nexec /usr/lib/chromium/chromium-headless-shell \"$@\"\n",
        fault.display(),
        switch.display()
    );
    std::fs::write(&browser, script).expect("there is enough space");
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755))
        .expect("it belongs to this process");
    std::fs::write(&switch, "").expect("there is enough space");
    let builder = TestServer::builder()
        .single()
        .data_dir(dir.path())
        .setting("HEARTH_ISOLATION", "none");
    let server = builder
        .setting("HEARTH_BROWSER", &browser.to_string_lossy())
        .start()
        .await;
    assert_eq!(ready(&server).await.0, 200);
    std::fs::write(&fault, "").expect("there is enough space");
    server.session().await;
    assert!(!fault.exists(), "a browser failed to start");
    assert_eq!(ready(&server).await.0, 200);
    std::fs::remove_file(&switch).expect("the file exists");
    assert_eq!(server.create(&json!({})).await.status, 503);
    let reason = only_reason(&ready(&server).await);
    assert!(
        reason.starts_with("The last browser start failed ")
            && reason.ends_with("the browser ended at start (exit code 1)."),
        "{reason}"
    );
    std::fs::write(&switch, "").expect("there is enough space");
    server.session().await;
    assert_eq!(ready(&server).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_stopping_server_is_live_but_not_ready() {
    let site = Site::start().await;
    let mut server = TestServer::builder()
        .single()
        .setting("HEARTH_STOP_GRACE_SECONDS", "60")
        .start()
        .await;
    let session = server.session().await;
    let code = format!(
        "{}; curl -s {}",
        site.bash_signal("begun"),
        site.url("/held/go-on")
    );
    let meanwhile = async {
        site.signalled("begun").await;
        server.processes();
        server.signal(Signal::SIGTERM);
        eventually(
            Duration::from_secs(10),
            "the server is not ready",
            async || match ready(&server).await {
                (200, answer) => Err(answer.to_string()),
                answer => {
                    assert_eq!(only_reason(&answer), "The server is stopping.");
                    Ok(())
                }
            },
        )
        .await;
        assert_eq!(
            Exchange::of(server.request_outside(Method::GET, "/livez"))
                .await
                .status,
            200
        );
        reqwest::get(site.url("/signal/go-on"))
            .await
            .expect("the site is running");
    };
    let (execution, ()) = tokio::join!(session.run("bash", &code), meanwhile);
    assert_eq!(execution.exit_code, 0, "{execution:?}");
    server.ended_by_itself().await;
}

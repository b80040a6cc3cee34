//! The commands in docs/test-mode.md.

use std::process::Command;

use hearth_test_support::repository;

use super::start;

#[tokio::test]
async fn the_documented_requests_work() {
    let page = std::fs::read_to_string(repository().join("docs/test-mode.md"));
    let page = page.expect("the document");
    let (_, script) = page.split_once("```sh tested\n").expect("a block");
    let (script, _) = script.split_once("```").expect("its end");
    let server = start().await;
    let session = server.session().await;
    let output = Command::new("/bin/sh")
        .args(["-ec", script])
        .env("URL", server.origin())
        .env("ID", session.id())
        .output()
        .expect("a shell");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let waiting = r#"{"success":true,"speed":1,"pending":[{"fault":"503","requests":2,"on":"execute","delayMs":0}"#;
    assert!(
        output.status.success() && printed.contains(waiting),
        "{output:?}"
    );
    assert!(
        page.contains(&format!("{waiting}]}}")),
        "the page shows the response"
    );
    // The other faults still wait for executions.
    let status = session.status().await;
    assert_eq!(status["destroyedReason"], "browser_crashed", "{status}");
    server.stop().await;
}

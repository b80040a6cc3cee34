//! Sessions with `zeroDataRetention`, of which almost nothing is kept.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hearth_test_support::{TestServer, eventually};
use serde_json::{Value, json};

/// Returns the rows of a query about the store of a server.
fn rows(data_dir: &Path, query: &str) -> Value {
    let code = "import json, sqlite3, sys
store = sqlite3.connect(f'file:{sys.argv[1]}?mode=ro', uri=True, timeout=30)
print(json.dumps(store.execute(sys.argv[2]).fetchall()))";
    let output = Command::new("python3")
        .args(["-c", code])
        .arg(data_dir.join("hearth.db"))
        .arg(query)
        .output()
        .expect("python3 is installed");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn nothing_of_what_the_session_does_is_kept() {
    const EXECUTIONS: &str = "SELECT session_id, COUNT(*) FROM executions GROUP BY session_id";
    // Reads the store of a single server, which is a file.
    let server = TestServer::builder().single().start().await;
    let private = server
        .session_with(&json!({"zeroDataRetention": true}))
        .await;
    let usual = server.session().await;
    for (session, host) in [
        (&private, "private-host.internal"),
        (&usual, "usual-host.internal"),
    ] {
        session.bash("echo private").await.ok();
        session.bash(&format!("curl -s http://{host}/")).await.ok();
    }
    // Executions are recorded in order, so a record of the first session would be there.
    eventually(
        Duration::from_secs(20),
        "executions are recorded",
        async || {
            let recorded = rows(server.data_dir(), EXECUTIONS);
            let expected = json!([[usual.id(), 2]]);
            (recorded == expected)
                .then_some(())
                .ok_or_else(|| recorded.to_string())
        },
    )
    .await;
    let state = server.request_outside(reqwest::Method::GET, "/operator/state");
    let state = hearth_test_support::Exchange::of(state).await.json();
    for shown in state["sessions"].as_array().expect("sessions") {
        let count = shown["executions"].as_array().map_or(0, Vec::len);
        let expected = if shown["id"] == private.id() { 0 } else { 2 };
        assert_eq!(count, expected, "{shown}");
    }
    private.delete().await;
    usual.delete().await;
    let kept = rows(
        server.data_dir(),
        "SELECT id, watch_digest IS NULL, steer_digest IS NULL, last_activity_ms = created_at_ms, destroyed_reason
         FROM sessions ORDER BY id",
    );
    assert_eq!(
        kept,
        json!([
            [private.id(), 1, 1, 1, "deleted"],
            [usual.id(), 0, 0, 0, "deleted"]
        ])
    );
    let log = server.output();
    assert!(
        log.contains("usual-host.internal") && !log.contains("private-host"),
        "{log}"
    );
    private.assert_destroyed("deleted").await;
    server.stop().await;
}

#[tokio::test]
async fn a_recording_or_a_profile_is_rejected() {
    let server = TestServer::builder().without_browser().start().await;
    for other in [
        json!({"zeroDataRetention": true, "recordSession": true}),
        json!({"zeroDataRetention": true, "profile": {"name": "a"}}),
    ] {
        let rejected = server.create(&other).await;
        let error = "Recordings and saved profiles are not supported with Zero Data Retention.";
        assert_eq!((rejected.status, rejected.error()), (400, error), "{other}");
    }
    server.stop().await;
}

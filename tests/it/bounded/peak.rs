//! The memory of the server after a peak.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{TestServer, eventually};
use serde_json::json;

use super::watch::private_mib;

/// The memory that the server may keep.
const MAX_KEPT_MIB: u64 = 24;

#[tokio::test]
async fn memory_returns_to_the_system_after_a_peak() {
    let server = TestServer::start().await;
    let sessions = join_all((0..4).map(|_| server.session())).await;
    join_all(sessions.iter().map(|session| session.python("1"))).await;
    let pid = server.serving_pid();
    let idle = private_mib(pid);
    let code = "import sys\nfor stream in (sys.stdout, sys.stderr):\n    stream.write('x' * 9_000_000); stream.flush()";
    let large = json!({"code": code, "language": "python"});
    let unknown = json!({"code": "1", "language": "python", "unknown": "x".repeat(9_000_000)});
    for body in [&large, &large, &large, &unknown] {
        let requests = (0..8).map(|number| sessions[number / 2].execute(body));
        for reply in join_all(requests).await {
            assert_eq!(reply.status, 200, "{}", reply.status);
        }
    }
    eventually(
        Duration::from_secs(10),
        "the memory is returned",
        async || match private_mib(pid) {
            now if now < idle + MAX_KEPT_MIB => Ok(()),
            now => Err(format!("{now} MiB, {idle} before")),
        },
    )
    .await;
    server.stop().await;
}

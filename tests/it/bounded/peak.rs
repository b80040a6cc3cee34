//! The memory of the server after a peak.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::cdp::CdpClient;
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
    assert_memory_returns(pid, idle).await;
    server.stop().await;
}

#[tokio::test]
async fn memory_returns_to_the_system_after_a_large_result_of_a_browser() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    let target = client
        .call("Target.createTarget", json!({"url": "about:blank"}))
        .await;
    let target = target["result"]["targetId"].as_str().expect("an id");
    let (base, query) = session.cdp_url().split_once('?').expect("a token");
    let mut page = CdpClient::connect(&format!("{base}/devtools/page/{target}?{query}")).await;
    let pid = server.serving_pid();
    let idle = private_mib(pid);
    // Little of the server's buffer, whose size is a power of two, is left behind the result.
    let params = json!({"expression": "'x'.repeat(66500000)", "returnByValue": true});
    let result = page.call("Runtime.evaluate", params).await;
    let text = result["result"]["result"]["value"].as_str();
    assert_eq!(text.map(str::len), Some(66_500_000));
    // The clients stay connected, and the browser sends nothing.
    assert_memory_returns(pid, idle).await;
    server.stop().await;
}

/// Waits until the server has returned its memory, except `MAX_KEPT_MIB` above `idle`.
async fn assert_memory_returns(pid: i32, idle: u64) {
    eventually(
        Duration::from_secs(10),
        "the memory is returned",
        async || match private_mib(pid) {
            now if now < idle + MAX_KEPT_MIB => Ok(()),
            now => Err(format!("{now} MiB, {idle} before")),
        },
    )
    .await;
}

//! A thousand clients that connect and disconnect, most of them without a close frame, leave
//! nothing behind.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::cdp::CdpClient;
use hearth_test_support::process::Process;
use hearth_test_support::{Session, TestServer, eventually};
use serde_json::{Value, json};

use super::scenario::inventory;

const CLIENTS: usize = 1000;
/// Clients connected at the same time.
const AT_ONCE: usize = 10;
/// Clients that connect before the measurement, so that allocators, caches and Chromium's lists
/// reach their final size.
const WARM_UP: usize = 200;

/// Max memory growth in KiB. Measured: 0.1 MiB in the server and 0.8 MiB in the browser.
const SERVER_MARGIN_KIB: u64 = 2 * 1024;
const BROWSER_MARGIN_KIB: u64 = 10 * 1024;

/// Resources that one process holds.
#[derive(Debug)]
struct Holding {
    descriptors: usize,
    memory_kib: u64,
}

impl Holding {
    fn of(pid: i32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        Self {
            descriptors: std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .count(),
            memory_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
        }
    }
}

/// Connects and disconnects clients. A third of them first attach to everything and create a
/// context with a page. Half of all connections are cut off.
async fn come_and_go(session: &Session, clients: usize) {
    for first in (0..clients).step_by(AT_ONCE) {
        join_all((first..first + AT_ONCE).map(|number| visit(session, number))).await;
    }
}

async fn visit(session: &Session, number: usize) {
    let mut client = CdpClient::connect(session.cdp_url()).await;
    if number.is_multiple_of(3) {
        let attach = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true});
        assert_answered(&client.call("Target.setAutoAttach", attach).await);
        assert_answered(&client.call("Target.createBrowserContext", json!({})).await);
    } else {
        assert_answered(&client.call("Browser.getVersion", json!({})).await);
    }
    if number.is_multiple_of(2) {
        // The socket closes, and the server notices at its next read.
        drop(client);
    } else {
        client.close().await;
    }
}

fn assert_answered(answer: &Value) {
    assert!(answer["result"].is_object(), "{answer}");
}

#[tokio::test]
async fn a_thousand_clients_that_connect_and_disconnect_leave_nothing() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The kernel is a client, too.
    session.node("1").await.ok();
    let browser = server
        .processes()
        .into_iter()
        .find(Process::is_browser)
        .unwrap();
    come_and_go(&session, WARM_UP).await;
    let targets = inventory(&session).await;
    let before = [Holding::of(server.serving_pid()), Holding::of(browser.pid)];
    come_and_go(&session, CLIENTS).await;
    eventually(
        Duration::from_secs(5),
        "targets, contexts and descriptors are as before",
        || async {
            let now = (
                inventory(&session).await,
                [Holding::of(server.serving_pid()), Holding::of(browser.pid)],
            );
            let is_back = now.0 == targets
                && (0..2).all(|index| now.1[index].descriptors <= before[index].descriptors);
            if is_back {
                Ok(())
            } else {
                Err(format!("before {targets} {before:?}\nnow {now:?}"))
            }
        },
    )
    .await;
    let after = [Holding::of(server.serving_pid()), Holding::of(browser.pid)];
    for (index, margin) in [SERVER_MARGIN_KIB, BROWSER_MARGIN_KIB]
        .into_iter()
        .enumerate()
    {
        let grown = after[index]
            .memory_kib
            .saturating_sub(before[index].memory_kib);
        assert!(grown <= margin, "before {before:?}\nafter {after:?}");
    }
    server.stop().await;
}

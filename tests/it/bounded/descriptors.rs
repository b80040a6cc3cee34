//! Attacks while the server has no free descriptors.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::{Execution, ServerBuilder, Session, TestServer, eventually};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::load::{connect_and_send, post_head, read_response};
use super::scenario::without_limits;
use super::watch::open_descriptors;

/// Waits for the test, and takes up to 2,000 MiB of memory.
const MEMORY_BOMB: &str = "
import os, time
open('begun', 'w').close()
while not os.path.exists('go'): time.sleep(0.02)
held = []
for _ in range(200):
    held.append(b'x' * (10 << 20))
    time.sleep(0.03)
'not ended'";

/// Waits for the test, and takes up to 2,000 MiB of the disk, in many files, because the size of
/// one file has a limit.
const DISK_BOMB: &str = "
import os, time
open('begun', 'w').close()
while not os.path.exists('go'): time.sleep(0.02)
for number in range(200):
    with open(f'part{number}', 'wb', buffering=0) as file:
        file.write(bytes(10 << 20))
    time.sleep(0.05)
'not ended'";

/// Waits for the end of the test.
const NEIGHBOUR: &str = "
import os, time
open('begun', 'w').close()
while not os.path.exists('end'): time.sleep(0.02)
'unharmed'";

/// The time in which nothing of a failed creation may be left. The removal repeats every second.
const SETTLE_DEADLINE: Duration = Duration::from_secs(20);

/// Sets the maximum number of descriptors of a process. Does so as the process's user, because root
/// may lack the right in a container.
async fn limit_descriptors(pid: i32, max: &str) {
    let about = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = about.lines().find_map(|line| line.strip_prefix("Uid:"));
    let user = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    let user = user.expect("every process has a user");
    let status = Command::new("/usr/bin/prlimit")
        .args(["--pid", &pid.to_string()])
        .arg(format!("--nofile={max}:"))
        .uid(user)
        .gid(user)
        .status()
        .await;
    assert!(status.expect("util-linux is installed").success());
}

/// Returns the maximum number of descriptors of a process.
fn max_descriptors(pid: i32) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let max = line.and_then(|line| line.split_whitespace().nth(3));
    max.expect("every process has the limit").to_owned()
}

/// Lowers the server's limit to its highest descriptor, and uses all below it. Returns the
/// connections that use them.
async fn use_all_descriptors(server: &TestServer) -> Vec<TcpStream> {
    let pid = server.serving_pid();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let highest = numbers.max().expect("it has descriptors");
    limit_descriptors(pid, &(highest + 1).to_string()).await;
    let mut connections = Vec::new();
    // Each one is served before the next, and none is opened in vain. A connection that waits for a
    // descriptor would take one of the watchers'.
    while open_descriptors(pid) <= highest {
        connections.extend(served_connection(server).await);
    }
    connections
}

/// Returns an idle connection that the server has accepted, or `None` if it accepts none.
async fn served_connection(server: &TestServer) -> Option<TcpStream> {
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut connection = connect_and_send(server.address(), request).await;
    let response = timeout(Duration::from_secs(2), read_response(&mut connection));
    matches!(response.await, Ok(Some((200, _)))).then_some(connection)
}

/// Returns the number of sessions whose code has begun.
fn begun(server: &TestServer) -> usize {
    let dirs = server.session_dirs().into_iter();
    dirs.filter(|dir| dir.join("work/begun").exists()).count()
}

/// Creates a file in the working directories of all sessions.
fn signal_all(server: &TestServer, name: &str) {
    for dir in server.session_dirs() {
        // A session may end meanwhile.
        let _ = std::fs::write(dir.join("work").join(name), "");
    }
}

/// A server without free descriptors, after bombs in two of its three sessions.
struct Bombed {
    server: TestServer,
    sessions: Vec<Session>,
    memory: Execution,
    disk: Execution,
    neighbour: Execution,
}

/// Runs the bombs while no descriptor is free.
async fn bomb(builder: ServerBuilder) -> Bombed {
    let server = builder
        .setting("HEARTH_SESSION_MEMORY_MB", "700")
        .setting("HEARTH_SESSION_DISK_MB", "200")
        .start()
        .await;
    let pid = server.serving_pid();
    let max = max_descriptors(pid);
    let sessions = join_all((0..3).map(|_| server.session())).await;
    // Node's kernels have connected by then.
    join_all(sessions.iter().map(|session| session.node("1"))).await;
    let code = [MEMORY_BOMB, DISK_BOMB, NEIGHBOUR];
    let [memory, disk, neighbour] = [0, 1, 2].map(|number| {
        let session = sessions[number].clone();
        tokio::spawn(async move { session.run_for("python", code[number], 120).await })
    });
    eventually(
        Duration::from_mins(1),
        "all code runs",
        async || match begun(&server) {
            3 => Ok(()),
            count => Err(format!("{count} run")),
        },
    )
    .await;
    let connections = use_all_descriptors(&server).await;
    signal_all(&server, "go");
    let (memory, disk) = (
        memory.await.expect("no panic"),
        disk.await.expect("no panic"),
    );
    signal_all(&server, "end");
    let neighbour = neighbour.await.expect("no panic");
    limit_descriptors(pid, &max).await;
    drop(connections);
    Bombed {
        server,
        sessions,
        memory,
        disk,
        neighbour,
    }
}

async fn assert_bombs_end(builder: ServerBuilder) {
    let bombed = bomb(builder).await;
    for (execution, limit) in [
        (&bombed.memory, "more than 700 MiB of memory"),
        (&bombed.disk, "more than 200 MiB of disk space"),
    ] {
        assert_eq!(execution.exit_code, 137, "{execution:?}");
        assert!(execution.error().contains(limit), "{execution:?}");
    }
    assert_eq!(bombed.neighbour.ok().result, "unharmed");
    assert_eq!(bombed.sessions[0].status().await["status"], "active");
    bombed.sessions[1].assert_destroyed("limit").await;
    bombed.server.stop().await;
}

#[tokio::test]
#[ignore = "takes 2 GB of memory and of the disk; for make soak"]
async fn without_limits_no_bomb_ends_while_no_descriptor_is_free() {
    let bombed = bomb(without_limits(TestServer::builder())).await;
    for execution in [bombed.memory, bombed.disk] {
        assert_eq!(execution.ok().result, "not ended");
    }
    bombed.server.stop().await;
}

#[tokio::test]
async fn as_root_bombs_end_while_no_descriptor_is_free() {
    assert_bombs_end(TestServer::builder()).await;
}

#[tokio::test]
async fn as_a_plain_user_bombs_end_while_no_descriptor_is_free() {
    assert_bombs_end(TestServer::builder().as_plain_user()).await;
}

/// Here the reserve of the watchers does not help, because the limit is below its numbers.
#[tokio::test]
async fn a_server_that_cannot_read_usage_ends_the_largest_session_and_recovers() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let pid = server.serving_pid();
    let max = max_descriptors(pid);
    let connection = Mutex::new(connect_and_send(server.address(), b"").await);
    let readyz = async || {
        let mut connection = connection.lock().await;
        let head = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";
        connection
            .write_all(head.as_bytes())
            .await
            .expect("it stays open");
        read_response(&mut connection).await.expect("a response")
    };
    assert_eq!(readyz().await.0, 200);
    limit_descriptors(pid, "3").await;
    eventually(
        Duration::from_secs(20),
        "the server is not ready",
        async || match readyz().await {
            // The watcher that fails first ends the only session, and the other has nothing to
            // read.
            (503, body) if body.contains("of sessions cannot be measured") => Ok(()),
            response => Err(format!("{response:?}")),
        },
    )
    .await;
    limit_descriptors(pid, &max).await;
    eventually(
        Duration::from_secs(20),
        "the server is ready",
        async || match readyz().await {
            (200, _) => Ok(()),
            response => Err(format!("{response:?}")),
        },
    )
    .await;
    session.assert_destroyed("limit").await;
    assert_eq!(server.session().await.node("1 + 1").await.ok().result, "2");
    server.stop().await;
}

/// Sends a request to create a session and sets the limit back once no descriptor is free or the
/// response has begun. Returns the status.
async fn create_with_spare_descriptors(
    server: &TestServer,
    connection: &mut TcpStream,
    spare: u64,
    max: &str,
) -> (u16, String) {
    let pid = server.serving_pid();
    let limit = open_descriptors(pid) + spare;
    limit_descriptors(pid, &limit.to_string()).await;
    let request = post_head("/v2/interact", None, 2) + "{}";
    connection
        .write_all(request.as_bytes())
        .await
        .expect("it stays open");
    let mut byte = [0];
    let exhausted = async {
        while open_descriptors(pid) < limit {
            tokio::task::yield_now().await;
        }
    };
    // Without a spare descriptor at the right moment, nothing ever is exhausted.
    tokio::select! {
        () = exhausted => {}
        peeked = connection.peek(&mut byte) => drop(peeked),
    }
    limit_descriptors(pid, max).await;
    read_response(connection).await.expect("a response")
}

/// Descriptors run out at every step of a creation in turn.
async fn assert_failed_creations_leave_nothing(builder: ServerBuilder) {
    let server = builder.setting("HEARTH_WARM_SESSIONS", "0").start().await;
    let max = max_descriptors(server.serving_pid());
    let mut connection = connect_and_send(server.address(), b"").await;
    let mut failures = 0;
    for spare in 0..40 {
        let (status, body) =
            create_with_spare_descriptors(&server, &mut connection, spare, &max).await;
        let body: Value = serde_json::from_str(&body).expect("JSON");
        match status {
            200 => {
                let id = body["id"].as_str().expect("an id");
                assert_eq!(server.delete(id).await.status, 200);
            }
            503 => failures += 1,
            _ => panic!("{status} {body}"),
        }
        eventually(SETTLE_DEADLINE, "nothing is left", async || {
            let (dirs, processes) = (server.session_dirs(), server.processes());
            if dirs.is_empty() && processes.is_empty() {
                return Ok(());
            }
            Err(format!("{spare} spare: {dirs:?} {processes:?}"))
        })
        .await;
    }
    assert!(failures > 5, "{failures} creations failed");
    server.stop().await;
}

#[tokio::test]
async fn as_root_creations_that_run_out_of_descriptors_leave_nothing() {
    assert_failed_creations_leave_nothing(TestServer::builder()).await;
}

#[tokio::test]
async fn as_a_plain_user_creations_that_run_out_of_descriptors_leave_nothing() {
    assert_failed_creations_leave_nothing(TestServer::builder().as_plain_user()).await;
}

//! The end of sessions and of the server. It leaves nothing behind, regardless of its cause.

mod deleting;
mod environment;
pub mod stopped;
mod stopping;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use hearth_test_support::cdp::CdpClient;
use hearth_test_support::process::{self, Process};
use hearth_test_support::{Session, Site, TestServer, eventually, new_data_dir};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

/// Returns code that signals `name` to the site and then runs forever, without a child process.
fn endless(site: &Site, language: &str, name: &str) -> String {
    let signal = site.signal_in(language, name);
    match language {
        "node" => format!("console.log('begun'); {signal} await new Promise(() => {{}})"),
        "python" => format!("import asyncio\nprint('begun')\n{signal}\nawait asyncio.sleep(1000)"),
        _ => format!("echo begun; {signal}; sleep 1000"),
    }
}

/// A bash line that leaves a stopped and a running orphan process behind.
const DOUBLE_FORK: &str = "(setsid sh -c 'sleep 1001 & kill -STOP $!; sleep 1002 & exit' &) ";

/// Creates a session with everything that it can have: two kernels, the agent-browser daemon and
/// orphan processes.
async fn busy_session(server: &TestServer) -> Session {
    let session = server.session().await;
    session.node("let kept = 1").await.ok();
    session.python("kept = 1").await.ok();
    session
        .bash(&format!("agent-browser get url; {DOUBLE_FORK}"))
        .await
        .ok();
    session
        .node("require('node:child_process').spawn('sleep', ['1003'], {detached: true}).pid")
        .await
        .ok();
    session
}

/// Asserts that a session ends at its ttl, even while code runs.
async fn ends_at_its_ttl(server: &TestServer) {
    let start = Instant::now();
    let session = server
        .session_with(&json!({"ttl": 30, "activityTtl": 3600}))
        .await;
    let execution = session.run_for("bash", "echo begun; sleep 100", 60).await;
    let elapsed = start.elapsed();
    assert!(
        // The code would end at 60 s.
        (29..50).contains(&elapsed.as_secs()),
        "expired after {elapsed:?}"
    );
    assert_eq!(
        (
            execution.exit_code,
            execution.killed,
            execution.stdout.as_str()
        ),
        (137, false, "begun\n")
    );
    assert!(execution.error().contains("ttl"), "{}", execution.error());
    session.assert_destroyed("ttl").await;
}

/// Asserts that an open socket is not activity.
async fn ends_when_nothing_happens(server: &TestServer) {
    let session = server.session_with(&json!({"activityTtl": 10})).await;
    let start = Instant::now();
    CdpClient::connect(session.cdp_url())
        .await
        .closed(Duration::from_secs(20))
        .await;
    let elapsed = start.elapsed();
    assert!(
        (9..13).contains(&elapsed.as_secs()),
        "the session ended as idle after {elapsed:?}"
    );
    session.assert_destroyed("idle").await;
}

/// Asserts that an execution stops the idle clock, which restarts when the execution ends.
async fn does_not_end_while_code_runs(server: &TestServer) {
    let session = server.session_with(&json!({"activityTtl": 10})).await;
    let client = CdpClient::connect(session.cdp_url()).await;
    session.bash("sleep 11").await.ok();
    let end = Instant::now();
    assert_eq!(session.status().await["status"], json!("active"));
    client.closed(Duration::from_secs(20)).await;
    let elapsed = end.elapsed();
    assert!(
        (9..13).contains(&elapsed.as_secs()),
        "the session ended as idle {elapsed:?} after the execution"
    );
}

/// Asserts that CDP commands are activity.
async fn does_not_end_while_it_is_driven(server: &TestServer) {
    let session = server.session_with(&json!({"activityTtl": 10})).await;
    let mut client = CdpClient::connect(session.cdp_url()).await;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(15) {
        ticks.tick().await;
        let version = client.call("Browser.getVersion", json!({})).await;
        assert!(version["result"]["product"].is_string(), "{version}");
    }
    assert_eq!(session.status().await["status"], json!("active"));
}

#[tokio::test]
async fn sessions_end_at_their_ttl_or_when_idle_and_not_before() {
    let server = TestServer::start().await;
    tokio::join!(
        ends_at_its_ttl(&server),
        ends_when_nothing_happens(&server),
        does_not_end_while_code_runs(&server),
        does_not_end_while_it_is_driven(&server),
    );
    server.stop().await;
}

#[tokio::test]
async fn deleting_a_session_ends_the_code_that_runs_in_it() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    for language in ["node", "python", "bash"] {
        let session = server.session().await;
        let code = endless(&site, language, language);
        let deleting = async {
            site.signalled(language).await;
            session.delete().await;
        };
        let (execution, ()) = tokio::join!(session.run(language, &code), deleting);
        assert_eq!(
            (execution.exit_code, execution.killed),
            (137, false),
            "{language}: {execution:?}"
        );
        assert_eq!(execution.stdout, "begun\n", "{language}");
        assert!(
            execution.error().contains("delete"),
            "{language}: {}",
            execution.error()
        );
    }
    server.stop().await;
}

/// Kills the server while a session is busy and a shell runs, after stopping the chosen processes.
async fn killed_server_leaves_nothing(is_stopped_before: impl Fn(&Process) -> bool) {
    // Another node would answer the request of a server that is gone.
    let server = TestServer::builder().single().start();
    let (mut server, site) = (server.await, Site::start().await);
    let session = busy_session(&server).await;
    let path = format!("/{}/execute", session.id());
    let code = format!("{DOUBLE_FORK}; {}", endless(&site, "bash", "running"));
    let body = json!({"language": "bash", "code": code});
    let mut running = std::pin::pin!(server.request(Method::POST, &path).json(&body).send());
    tokio::select! {
        answer = &mut running => panic!("the code ended: {answer:?}"),
        () = site.signalled("running") => {}
    }
    let processes = server.processes();
    let shims = processes.iter().filter(|process| process.is_shim()).count();
    assert!(
        shims >= 5,
        "some processes have no shim:\n{}",
        process::describe(&processes)
    );
    stopped::stop(processes.into_iter().filter(is_stopped_before).collect()).await;
    server.kill_hard().await;
    assert!(running.await.is_err(), "a killed server cannot answer");
    server.assert_nothing_runs(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_process() {
    killed_server_leaves_nothing(|_| false).await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_process_when_everything_but_the_shims_is_stopped() {
    killed_server_leaves_nothing(|process| !process.is_shim()).await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_process_when_everything_is_stopped_shims_included() {
    killed_server_leaves_nothing(|_| true).await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_process_when_only_its_shims_are_stopped() {
    killed_server_leaves_nothing(Process::is_shim).await;
}

#[tokio::test]
async fn the_next_server_removes_the_dirs_of_a_killed_one() {
    let dir = new_data_dir();
    let mut killed = TestServer::builder().data_dir(dir.path()).start().await;
    killed.session().await;
    assert_eq!(killed.session_dirs().len(), 1);
    killed.kill_hard().await;
    killed.assert_nothing_runs(Duration::from_secs(2)).await;
    let next = TestServer::builder().data_dir(dir.path()).start().await;
    assert_eq!(next.session_dirs(), Vec::<PathBuf>::new());
    next.stop().await;
}

#[tokio::test]
async fn a_deleted_session_leaves_no_process_no_dir_and_no_port() {
    let server = TestServer::start().await;
    // The first session creates everything that belongs to the server itself.
    busy_session(&server).await.delete().await;
    let settled = || async {
        match (server.processes(), server.session_dirs()) {
            (processes, dirs) if processes.is_empty() && dirs.is_empty() => Ok(()),
            (processes, dirs) => Err(format!("{}\n{dirs:?}", process::describe(&processes))),
        }
    };
    eventually(
        Duration::from_secs(5),
        "the first session leaves nothing behind",
        settled,
    )
    .await;
    let ports = server.listening_sockets();
    let open_files = || {
        std::fs::read_dir(format!("/proc/{}/fd", server.serving_pid()))
            .unwrap()
            .count()
    };
    let open_before = open_files();

    let session = busy_session(&server).await;
    assert!(
        server.processes().len() > 8,
        "{}",
        process::describe(&server.processes())
    );
    assert_eq!(server.session_dirs().len(), 1);
    session.delete().await;

    eventually(
        Duration::from_secs(5),
        "the session leaves nothing behind",
        settled,
    )
    .await;
    eventually(Duration::from_secs(5), "its ports are closed", || async {
        let now = server.listening_sockets();
        if now == ports {
            Ok(())
        } else {
            Err(format!("{now:?} instead of {ports:?}"))
        }
    })
    .await;
    eventually(Duration::from_secs(5), "its files are closed", || async {
        let now = open_files();
        if now <= open_before + 1 {
            Ok(())
        } else {
            Err(format!("{now} open files instead of {open_before}"))
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_dies_while_code_runs_fails_the_execution_and_ends_the_session() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let busy = [
        (
            "node",
            format!(
                "console.log('begun'); {} while (true) {{}}",
                site.node_signal("busy-node")
            ),
        ),
        (
            "python",
            format!(
                "print('begun')\n{}\nwhile True: pass",
                site.python_signal("busy-python")
            ),
        ),
        (
            "bash",
            format!("echo begun; {}; sleep 100", site.bash_signal("busy-bash")),
        ),
        ("node", endless(&site, "node", "idle-node")),
        ("python", endless(&site, "python", "idle-python")),
    ];
    let names = [
        "busy-node",
        "busy-python",
        "busy-bash",
        "idle-node",
        "idle-python",
    ];
    for ((language, code), name) in busy.iter().zip(names) {
        let session = server.session().await;
        let killing = async {
            site.signalled(name).await;
            let processes = server.processes();
            let mut browsers: Vec<&Process> = processes
                .iter()
                .filter(|process| process.is_browser())
                .collect();
            // A freshly forked child still has its parent's command line.
            let pids: Vec<i32> = browsers.iter().map(|process| process.pid).collect();
            browsers.retain(|process| !pids.contains(&process.parent));
            assert_eq!(browsers.len(), 1, "{}", process::describe(&processes));
            browsers[0].signal(Signal::SIGKILL);
            Instant::now()
        };
        let (execution, killed) = tokio::join!(session.run(language, code), killing);
        let elapsed = killed.elapsed();
        assert!(
            elapsed < Duration::from_secs(2),
            "{name}: the response arrived {elapsed:?} after the browser's death"
        );
        let execution = execution.failed(1);
        assert_eq!(execution.stdout, "begun\n", "{name}");
        assert!(
            execution.error().to_lowercase().contains("browser"),
            "{name}: {}",
            execution.error()
        );
        session.assert_destroyed("browser_crashed").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_dies_between_executions_ends_the_session_and_frees_its_slot() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "1")
        .start()
        .await;
    let session = server.session().await;
    let client = CdpClient::connect(session.cdp_url()).await;
    let processes = server.processes();
    processes
        .iter()
        .filter(|process| process.is_browser())
        .for_each(|process| process.signal(Signal::SIGKILL));
    client.closed(Duration::from_secs(2)).await;
    eventually(
        Duration::from_secs(2),
        "the session leaves nothing behind",
        || async {
            match server.processes() {
                left if left.is_empty() => Ok(()),
                left => Err(process::describe(&left)),
            }
        },
    )
    .await;
    // The process table changes a moment before the server notices the end.
    eventually(
        Duration::from_secs(2),
        "the session counts as ended",
        || async {
            let status = session.status().await;
            if status["status"] == "destroyed" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        },
    )
    .await;
    session.assert_destroyed("browser_crashed").await;
    server.session().await;
    server.stop().await;
}

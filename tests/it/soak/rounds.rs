//! Thousands of rounds that leave nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use futures_util::future::join_all;
use hearth_test_support::process::{self, Process};
use hearth_test_support::{Session, TestServer, eventually};
use nix::sys::signal::Signal;
use serde_json::json;

const LANGUAGES: [&str; 3] = ["bash", "python", "node"];

/// Runs one execution of the mix: most are ordinary, some time out, leave daemons or die.
async fn mixed(session: &Session, number: usize) {
    let language = LANGUAGES[number % 3];
    match number % 50 {
        0 | 20 => {
            let code = if language == "bash" {
                "sleep 100 & sleep 101"
            } else {
                "while (true) {}"
            };
            let code = if language == "python" {
                "while True: pass"
            } else {
                code
            };
            session.run_for(language, code, 1).await.killed_at(1);
        }
        10 | 30 => {
            session
                .bash("(setsid sh -c 'sleep 1234 & exec sleep 1235' &); exit 0")
                .await
                .ok();
        }
        40 => {
            session.bash("kill -SEGV $$").await.failed(139);
        }
        45 => {
            let code = if language == "python" {
                "import os; os.abort()"
            } else {
                "process.abort()"
            };
            let code = if language == "bash" {
                "kill -ABRT $$"
            } else {
                code
            };
            session.run(language, code).await.failed(134);
        }
        _ => {
            let code = match language {
                "bash" => format!("echo {number}; echo x > file-{}", number % 7),
                "python" => format!("print({number})"),
                _ => format!("console.log({number})"),
            };
            assert_eq!(
                session.run(language, &code).await.ok().stdout.trim(),
                number.to_string()
            );
        }
    }
}

/// Counts the descriptors of the server's own processes.
fn descriptors(server: &TestServer) -> usize {
    let count = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    server.own_pids().into_iter().map(count).sum()
}

fn memory_kib(server: &TestServer) -> u64 {
    let own = server.own_pids().into_iter().filter_map(Process::find);
    own.filter_map(|process| process.memory())
        .map(|memory| memory.private_kib)
        .sum()
}

/// Runs `count` executions in four sessions and then deletes them.
async fn hundreds(server: &TestServer, count: usize) {
    let lasting = json!({"ttl": 1800, "activityTtl": 1800});
    let sessions = join_all((0..4).map(|_| server.session_with(&lasting))).await;
    join_all(sessions.iter().enumerate().map(async |(offset, session)| {
        for number in (0..count).skip(offset).step_by(4) {
            mixed(session, number).await;
        }
    }))
    .await;
    join_all(sessions.iter().map(Session::delete)).await;
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn a_thousand_mixed_executions_leave_nothing() {
    let server = TestServer::start().await;
    // The first executions create threads, pools and buffers that are kept.
    hundreds(&server, 100).await;
    let settled = async |what: &str| {
        eventually(Duration::from_secs(5), what, || {
            let own: BTreeSet<i32> = server.own_pids().into_iter().collect();
            let mut left = server.processes();
            left.retain(|process| !own.contains(&process.pid));
            let dirs = server.session_dirs();
            let is_quiet = left.is_empty() && dirs.is_empty();
            std::future::ready(if is_quiet {
                Ok(())
            } else {
                Err(format!("{}{dirs:?}", process::describe(&left)))
            })
        })
        .await;
    };
    settled("nothing runs after the first hundred").await;
    let before = (
        descriptors(&server),
        server.listening_sockets().len(),
        memory_kib(&server),
    );
    hundreds(&server, 1000).await;
    settled("nothing runs after a thousand more").await;
    let after = (
        descriptors(&server),
        server.listening_sockets().len(),
        memory_kib(&server),
    );
    eprintln!(
        "descriptors, listening sockets, KiB: {before:?}, after a thousand executions {after:?}"
    );
    assert_eq!(
        (after.0, after.1),
        (before.0, before.1),
        "descriptors and listening sockets are closed again"
    );
    assert!(
        after.2 < before.2 * 5 / 4 + 4096,
        "memory grew from {} to {} KiB",
        before.2,
        after.2
    );
    server.stop().await;
}

#[tokio::test]
#[ignore = "takes a minute: make soak"]
async fn ten_thousand_children_leave_no_zombie() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // Nothing waits for them: their parent has exited, and the shim adopts them.
    let code =
        "for i in $(seq 100); do (for j in $(seq 100); do /bin/true & done); done; echo done";
    let zombies = || {
        server
            .processes()
            .into_iter()
            .filter(|process| process.state == 'Z')
            .collect::<Vec<_>>()
    };
    let run = session.run_for("bash", code, 200);
    let execution = run.await.ok();
    assert_eq!(execution.stdout, "done\n");
    eventually(
        Duration::from_secs(2),
        "every child has been reaped",
        || {
            let left = zombies();
            std::future::ready(if left.is_empty() {
                Ok(())
            } else {
                Err(process::describe(&left))
            })
        },
    )
    .await;
    server.stop().await;
}

/// Reads the title `count` times and returns the responses.
async fn titles(session: &Session, title: &str, count: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for round in 0..count / 25 {
        let title = format!("{title}-{round}");
        let open = format!("agent-browser open 'data:text/html,<title>{title}</title>' >/dev/null");
        let code = format!("{open}; for i in $(seq 25); do agent-browser get title; done");
        let execution = session.run_for("bash", &code, 120).await.ok();
        assert_eq!(execution.stdout.lines().count(), 25, "{execution:?}");
        let strange = execution.stdout.lines().filter(|line| *line != title);
        seen.extend(strange.map(|line| format!("{line} instead of {title}")));
    }
    seen
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn a_thousand_calls_of_agent_browser_in_two_sessions_see_their_own_page() {
    let server = TestServer::start().await;
    let (one, other) = (server.session().await, server.session().await);
    let (of_one, of_other) = tokio::join!(titles(&one, "one", 500), titles(&other, "other", 500));
    assert_eq!((of_one, of_other), (BTreeSet::new(), BTreeSet::new()));
    server.stop().await;
}

/// Runs a server that is killed while its sessions run code, some of which is stopped.
async fn short_life(round: usize) {
    let mut server = TestServer::start().await;
    let sessions = join_all((0..6).map(|_| server.session())).await;
    let running = sessions.iter().enumerate().map(|(index, session)| {
        let code = match LANGUAGES[index % 3] {
            "bash" => "(setsid sh -c 'sleep 1001 & kill -STOP $!; sleep 1002' &); sleep 1003",
            "python" => "import subprocess\nsubprocess.Popen(['sleep', '1004'])\nwhile True: pass",
            _ => {
                "require('node:child_process').spawn('sleep', ['1005'], {detached: true}); await new Promise(() => {})"
            }
        };
        session.execute_and_disconnect(LANGUAGES[index % 3], code)
    });
    let killing = async {
        eventually(Duration::from_secs(20), "everything is running", || {
            let commands: Vec<String> = server
                .processes()
                .into_iter()
                .map(|process| process.command)
                .collect();
            // `sleep 1001` may be stopped before it has that name.
            let count = |n: u32| {
                commands
                    .iter()
                    .filter(|command| **command == format!("sleep {n}"))
                    .count()
            };
            let is_running = (1002..=1005).all(|n| count(n) >= 2);
            std::future::ready(if is_running {
                Ok(())
            } else {
                Err(commands.join("\n"))
            })
        })
        .await;
        let own = server.own_pids();
        for process in server.processes() {
            // Every other round the shims are stopped too.
            let is_spared =
                own.contains(&process.pid) || (process.is_shim() && round.is_multiple_of(2));
            if !is_spared && process.pid % 2 == 0 {
                process.signal(Signal::SIGSTOP);
            }
        }
        server.processes();
    };
    tokio::select! {
        _ = join_all(running) => panic!("the code ended before the server was killed"),
        () = killing => {}
    }
    server.kill_hard().await;
    server.assert_nothing_runs(Duration::from_secs(3)).await;
}

#[tokio::test]
#[ignore = "takes minutes: make soak"]
async fn a_server_that_is_killed_repeatedly_leaves_nothing() {
    for round in 0..20 {
        short_life(round).await;
    }
}

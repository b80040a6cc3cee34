//! Bash scripts: a fresh shell per call, agent-browser on the path, and no process left at the end.

use std::time::Duration;

use hearth_test_support::process::{self, Process};
use hearth_test_support::{Site, TestServer, eventually};

/// Asserts that no process below the server has `part` in its arguments.
async fn assert_nothing_runs(server: &TestServer, part: &str) {
    eventually(
        Duration::from_secs(1),
        &format!("no process {part} is left"),
        || async {
            let left: Vec<Process> = server
                .processes()
                .into_iter()
                .filter(|process| process.command.contains(part))
                .collect();
            if left.is_empty() {
                Ok(())
            } else {
                Err(process::describe(&left))
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_result_is_stdout_without_its_last_newline() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("echo a; echo b", "a\nb\n", "a\nb"),
        ("printf x", "x", "x"),
        (":", "", ""),
        ("echo 5", "5\n", "5"),
    ];
    for (code, stdout, result) in cases {
        let execution = session.bash(code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.result.as_str()),
            (stdout, result),
            "{code}"
        );
    }
    let execution = session.bash("echo out; echo err >&2").await.ok();
    assert_eq!(
        (execution.stdout.as_str(), execution.stderr.as_str()),
        ("out\n", "err\n")
    );
    server.stop().await;
}

#[tokio::test]
async fn the_exit_code_is_the_scripts_and_the_error_is_what_it_wrote_to_stderr() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("exit 3", 3, "Execution failed"),
        ("false", 1, "Execution failed"),
        ("echo why >&2; exit 9", 9, "why"),
        ("kill -9 $$", 137, "SIGKILL ended the shell"),
        ("kill -TERM $$", 143, "SIGTERM ended the shell"),
        ("kill -SEGV $$", 139, "SIGSEGV ended the shell"),
    ];
    for (code, exit_code, error) in cases {
        let execution = session
            .bash(&format!("echo before; {code}"))
            .await
            .failed(exit_code);
        assert_eq!(
            (execution.stdout.as_str(), execution.error()),
            ("before\n", error),
            "{code}"
        );
    }
    let execution = session.bash("no-such-command").await.failed(127);
    assert!(
        execution
            .error()
            .contains("no-such-command: command not found"),
        "{}",
        execution.error()
    );
    let execution = session.bash("if true; then").await.failed(2);
    assert!(
        execution.error().contains("syntax error"),
        "{}",
        execution.error()
    );
    server.stop().await;
}

#[tokio::test]
async fn every_call_has_a_fresh_shell_and_no_input() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("kept=1; cd /; set -e; alias ll=ls").await.ok();
    assert_eq!(
        session
            .bash("echo \"${kept-none}\"; false; [ $PWD = $HOME ] && echo home")
            .await
            .ok()
            .result,
        "none\nhome"
    );
    assert_eq!(
        session
            .bash("cat; read -r line || echo end")
            .await
            .ok()
            .result,
        "end"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_script_may_be_long_and_contain_any_character() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let comment = "# äöü 🔥 \"quoted\" 'too' $(no) `no` \\\n".repeat(2500);
    assert_eq!(
        session
            .bash(&format!("{comment}echo end 🔥"))
            .await
            .ok()
            .result,
        "end 🔥"
    );
    assert_eq!(
        session.bash("\0echo \0a; echo b\n\n").await.ok().stdout,
        "a\nb\n"
    );
    server.stop().await;
}

/// Every user on a machine can read the arguments of its processes.
#[tokio::test]
async fn a_script_is_not_passed_as_an_argument_but_runs_like_one() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "MARKER=hush; {}; while :; do sleep 1; done",
        site.signal_in("bash", "running")
    );
    let looking = async {
        site.signalled("running").await;
        let telling: Vec<Process> = server
            .processes()
            .into_iter()
            .filter(|process| process.command.contains("MARKER"))
            .collect();
        session.delete().await;
        assert!(telling.is_empty(), "{}", process::describe(&telling));
    };
    tokio::join!(session.run("bash", &code), looking);

    let session = server.session().await;
    let script = "# first\necho $LINENO ${REPLY-none} $#\nsh -c 'ls /proc/$$/fd'\n[ -e /proc/$$/fd/3 ] && echo open\nnosuch";
    let execution = session.bash(script).await;
    assert_eq!(execution.stdout, "2 none 0\n0\n1\n2\n", "{execution:?}");
    assert_eq!(
        execution.stderr,
        "bash: line 5: nosuch: command not found\n"
    );
    assert_eq!(execution.exit_code, 127);
    server.stop().await;
}

#[tokio::test]
async fn output_that_is_not_utf8_is_replaced() {
    let server = TestServer::start().await;
    let session = server.session().await;
    assert_eq!(
        session.bash("printf 'a\\377b\\0c'").await.ok().stdout,
        "a\u{fffd}b\0c"
    );
    server.stop().await;
}

#[tokio::test]
async fn the_tools_of_a_session_are_on_the_path() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let versions = session
        .bash("node --version && python3 --version && pip --version && agent-browser --version")
        .await
        .ok();
    assert_eq!(versions.stdout.lines().count(), 4, "{}", versions.stdout);
    let loaded = session
        .bash("python3 -c 'import playwright.async_api; print(\"loaded\")'")
        .await
        .ok();
    assert_eq!(loaded.result, "loaded");
    server.stop().await;
}

#[tokio::test]
async fn a_script_is_killed_at_its_timeout_with_all_its_children() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "echo so far; echo and here >&2\n\
                sleep 4001 &\n\
                (setsid sh -c 'sleep 4002 & kill -STOP $!; exit' &)\n\
                setsid -f sleep 4003\n\
                python3 -c 'import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.execvp(\"sleep\", [\"sleep\", \"4004\"])' \n\
                trap '' TERM INT HUP; kill -STOP $!; nohup sleep 4005";
    let execution = session.run_for("bash", code, 2).await.killed_at(2);
    assert!(
        execution.stdout.starts_with("so far\n"),
        "{}",
        execution.stdout
    );
    assert!(
        execution.stderr.starts_with("and here\n"),
        "{}",
        execution.stderr
    );
    assert_nothing_runs(&server, "sleep 400").await;
    assert_eq!(session.bash("echo alive").await.ok().result, "alive");
    server.stop().await;
}

#[tokio::test]
async fn a_child_that_keeps_stdout_open_does_not_delay_the_response_and_ends_with_the_call() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        "sleep 4101 & echo done",
        "setsid -f sleep 4102; echo done",
        "(sleep 4103 & kill -STOP $!) ; echo done",
        "nohup sleep 4104 >/dev/null 2>&1 & disown; echo done",
    ];
    for code in cases {
        let execution = session.bash(code).await.ok();
        assert_eq!(execution.stdout, "done\n", "{code}");
        assert!(
            execution.elapsed < Duration::from_secs(2),
            "{code}: answered after {:?}",
            execution.elapsed
        );
        assert_nothing_runs(&server, "sleep 41").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn output_that_a_child_wrote_before_the_shell_ended_is_complete() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let execution = session.bash("seq 200000; exit 4").await.failed(4);
    assert_eq!(execution.stdout.lines().count(), 200_000);
    assert!(execution.stdout.ends_with("200000\n"), "the end is missing");
    server.stop().await;
}

#[tokio::test]
async fn agent_browser_is_connected_to_the_sessions_page() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/shared")
        ))
        .await
        .ok();
    assert_eq!(
        session.bash("agent-browser get title").await.ok().result,
        "shared"
    );
    session
        .bash(&format!("agent-browser open {}", site.url("/title/other")))
        .await
        .ok();
    assert_eq!(
        session.node("await page.title()").await.ok().result,
        "other"
    );
    server.stop().await;
}

#[tokio::test]
async fn refs_of_a_snapshot_persist_between_calls() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let snapshot = session
        .bash(&format!(
            "agent-browser open {}; agent-browser snapshot -i",
            site.url("/form")
        ))
        .await
        .ok();
    assert!(snapshot.stdout.contains("ref=e1"), "{}", snapshot.stdout);
    assert!(snapshot.stdout.contains("ref=e2"), "{}", snapshot.stdout);
    session.bash("agent-browser fill @e1 Ada").await.ok();
    session.bash("agent-browser click @e2").await.ok();
    assert_eq!(session.node("await page.title()").await.ok().result, "Ada");
    server.stop().await;
}

#[tokio::test]
async fn two_sessions_do_not_share_an_agent_browser_daemon() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let (first, second) = (server.session().await, server.session().await);
    first
        .bash(&format!("agent-browser open {}", site.url("/title/first")))
        .await
        .ok();
    second
        .bash(&format!("agent-browser open {}", site.url("/title/second")))
        .await
        .ok();
    assert_eq!(
        first.bash("agent-browser get title").await.ok().result,
        "first"
    );
    assert_eq!(
        second.bash("agent-browser get title").await.ok().result,
        "second"
    );
    server.stop().await;
}

#[tokio::test]
async fn agent_browser_close_leaves_the_browser_alive() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .bash(&format!(
            "agent-browser open {}; agent-browser close",
            site.url("/title/open")
        ))
        .await
        .ok();
    assert_eq!(session.node("await page.title()").await.ok().result, "open");
    assert_eq!(
        session.bash("agent-browser get title").await.ok().result,
        "open"
    );
    server.stop().await;
}

#[tokio::test]
async fn agent_browser_logs_requests_from_its_first_page_on_and_listens_on_no_port() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let before = server.listening_sockets();
    for again in ["; agent-browser close", ""] {
        let script = format!(
            "agent-browser open {}; agent-browser network requests{again}",
            site.url("/title/logged")
        );
        let log = session.bash(&script).await.ok();
        assert!(
            log.stdout.contains("GET") && log.stdout.contains("/title/logged"),
            "{}",
            log.stdout
        );
    }
    assert_eq!(server.listening_sockets(), before);
    server.stop().await;
}

#[tokio::test]
async fn agent_browser_is_fast_again_after_a_stuck_command_was_killed() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .bash(&format!("agent-browser open {}", site.url("/title/x")))
        .await
        .ok();
    session
        .run_for("bash", "agent-browser wait 20000", 1)
        .await
        .killed_at(1);
    let execution = session.bash("agent-browser get title").await.ok();
    assert_eq!(execution.result, "x");
    assert!(
        execution.elapsed < Duration::from_secs(3),
        "answered after {:?}",
        execution.elapsed
    );
    server.stop().await;
}

#[tokio::test]
async fn agent_browser_starts_on_the_current_tab() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "const tab = await context.newPage(); await tab.goto('{}'); 0",
        site.url("/title/newest")
    );
    session.node(&code).await.ok();
    assert_eq!(
        session.bash("agent-browser get title").await.ok().result,
        "newest"
    );
    server.stop().await;
}

/// After `agent-browser close`, the daemon stops listening shortly before it ends. In this test, it
/// keeps running without its socket.
#[tokio::test]
async fn a_daemon_that_no_longer_listens_is_replaced() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("agent-browser get url").await.ok();
    session
        .bash("rm \"$AGENT_BROWSER_SOCKET_DIR\"/*.sock")
        .await
        .ok();
    assert_eq!(
        session.bash("agent-browser get url").await.ok().stdout,
        "about:blank\n"
    );
    server.stop().await;
}

//! Recovery from damage by an earlier call: tabs that do not respond, sabotaged kernels, a missing
//! daemon, a killed supervisor, and a log without a reader.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hearth_test_support::process::{self, Process};
use hearth_test_support::{Session, Site, TestServer, eventually, netns};
use nix::sys::signal::Signal;
use serde_json::json;

/// Asserts that fresh kernels, bash's tools and the existing kernel all work.
async fn assert_usable(session: &Session) {
    for language in ["python", "node"] {
        let execution = session
            .run_for(language, "await page.evaluate('6 * 7')", 10)
            .await
            .ok();
        assert_eq!(execution.result, "42", "{language}");
    }
    assert_eq!(
        session
            .run_for("bash", "agent-browser eval '6 * 7'", 10)
            .await
            .ok()
            .result
            .trim(),
        "42"
    );
}

#[tokio::test]
async fn a_popup_that_never_loads_blocks_no_code() {
    let server = TestServer::start().await;
    for address in ["data:text/html,hi", "javascript:1"] {
        let session = server.session().await;
        let page = format!("<script>window.open('{address}')</script>");
        let code = format!(
            "await page.setContent({}); await page.waitForTimeout(300); 1",
            json!(page)
        );
        assert_eq!(session.node(&code).await.ok().result, "1", "{address}");
        assert_usable(&session).await;
        session.delete().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_with_an_endless_script_blocks_no_code_and_keeps_its_state() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .node("await page.setContent('<title>kept</title>'); 1")
        .await
        .ok();
    let endless = "page.evaluate(() => { console.log('begins'); while (true) {} }).catch(() => {});
                   await page.waitForEvent('console'); 1";
    session.node(endless).await.ok();
    session
        .run_for("node", "await page.title()", 2)
        .await
        .killed_at(2);
    assert_usable(&session).await;
    assert_eq!(session.node("await page.title()").await.ok().result, "kept");
    server.stop().await;
}

#[tokio::test]
async fn code_that_is_killed_before_it_starts_gets_an_error() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The first kernel has not started yet, and the page keeps it from connecting.
    session.bash("agent-browser open about:blank").await.ok();
    session
        .run_for("bash", "agent-browser eval 'while (true) {}'", 1)
        .await
        .killed_at(1);
    let execution = session.run_for("python", "print('begun')", 1).await;
    assert!(execution.killed, "{execution:?}");
    assert_eq!(execution.stdout, "");
    assert!(
        execution.error().contains("before the code had begun"),
        "{}",
        execution.error()
    );
    assert_usable(&session).await;
    server.stop().await;
}

#[tokio::test]
async fn node_code_that_breaks_json_or_listeners_does_not_break_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    assert_eq!(
        session
            .node("Object.prototype.toJSON = () => 5; ({a: 1})")
            .await
            .ok()
            .result,
        r#"{"a":1}"#
    );
    assert_eq!(session.node("'next'").await.ok().result, "next");
    let code = "process.removeAllListeners(); Promise.reject(new Error('late')); 5";
    assert_eq!(session.node(code).await.ok().result, "5");
    assert_eq!(
        session
            .node("kept = 6; await new Promise((done) => setTimeout(done, 50)); kept")
            .await
            .ok()
            .result,
        "6"
    );
    assert_eq!(session.node("kept").await.ok().result, "6");
    server.stop().await;
}

#[tokio::test]
async fn a_kernel_that_breaks_its_own_connection_reports_the_loss() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "require('fs').writeSync(4, '!'.repeat(64)); await new Promise(() => {})";
    let execution = session.node(code).await.failed(137);
    assert_eq!(execution.error(), "The process that ran the code was lost");
    assert_eq!(session.node("'alive'").await.ok().result, "alive");
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_left_of_a_program_whose_supervisor_is_killed() {
    if !netns::is_possible() {
        eprintln!("skipped: only a server that was started as root has a spawner");
        return;
    }
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let code = format!(
        "setsid -f sh -c 'sleep 4301 & kill -STOP $!; sleep 4302' >/dev/null 2>&1; {}; sleep 4303",
        site.bash_signal("begun")
    );
    let killing = async {
        site.signalled("begun").await;
        let processes = server.processes();
        let find = |pid: i32| processes.iter().find(|process| process.pid == pid);
        let sleep = processes.iter().find(|it| it.command == "sleep 4302");
        let mut ancestor = sleep;
        while let Some(process) = ancestor.filter(|process| !process.is_shim()) {
            ancestor = find(process.parent);
        }
        let shim = ancestor.unwrap_or_else(|| panic!("{}", process::describe(&processes)));
        shim.signal(Signal::SIGKILL);
    };
    let (execution, ()) = tokio::join!(session.bash(&code), killing);
    let lost = "The process that ran the code was lost";
    assert_eq!(execution.failed(137).error(), lost);
    eventually(Duration::from_secs(5), "its children end", async || {
        let mut left = process::all();
        left.retain(|process| {
            process.command.starts_with("sleep 430") && Process::is_alive(process)
        });
        if left.is_empty() {
            Ok(())
        } else {
            Err(process::describe(&left))
        }
    })
    .await;
    assert_usable(&session).await;
    session.delete().await;
    server.stop().await;
}

#[tokio::test]
async fn a_log_without_a_reader_breaks_nothing() {
    let server = TestServer::builder().without_log_reader().start().await;
    let session = server.session().await;
    assert_eq!(session.node("1").await.ok().result, "1");
    assert_eq!(session.bash("echo 2").await.ok().result, "2");
    session.delete().await;
    server.session().await;
    server.stop().await;
}

#[tokio::test]
async fn bash_works_without_the_daemon_of_agent_browser() {
    let server = TestServer::start().await;
    let session = server.session().await;
    // The daemon's dir is next to the working dir. Bash must work regardless of its state, so that
    // users can repair it.
    session.bash("cd ..; rm -rf a/*; chmod 500 a").await.ok();
    session.run_for("bash", "sleep 100", 1).await.killed_at(1);
    assert_eq!(session.bash("echo here").await.ok().result, "here");
    session.bash("cd ..; chmod 2770 a").await.ok();
    let execution = session
        .run_for("bash", "agent-browser get url", 10)
        .await
        .ok();
    assert_eq!(execution.result.trim(), "about:blank");
    assert!(
        execution.elapsed < Duration::from_secs(10),
        "{:?}",
        execution.elapsed
    );
    server.stop().await;
}

#[tokio::test]
async fn a_browser_that_dies_at_start_is_launched_once_more_and_logged() {
    let dir = tempfile::tempdir().expect("a temporary dir can be created");
    // The browser crashes at its next start when this file exists.
    let (browser, fault) = (dir.path().join("browser"), dir.path().join("fault"));
    let script = format!(
        "#!/bin/sh\nrm '{}' 2>/dev/null && kill -SEGV $$\nexec /usr/lib/chromium/chromium-headless-shell \"$@\"\n",
        fault.display()
    );
    fs::write(&browser, script).expect("written");
    fs::set_permissions(&browser, Permissions::from_mode(0o755))
        .expect("this process owns the file");
    let server = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .setting("HEARTH_BROWSER", &browser.to_string_lossy())
        .start()
        .await;
    fs::write(&fault, "").expect("written");
    let session = server.session().await;
    assert!(!fault.exists(), "the browser was not started");
    assert_usable(&session).await;
    let event = "browser died at start, retrying reason=signal 11";
    eventually(Duration::from_secs(5), "the retry is logged", || async {
        let log = server.output();
        if log.contains(event) {
            Ok(())
        } else {
            Err(log)
        }
    })
    .await;
    server.stop().await;
}

//! The server's behaviour between a signal and its exit.

use std::time::Duration;

use hearth_test_support::process::{self, Process};
use hearth_test_support::{Exchange, Site, TestServer, eventually, new_data_dir};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use crate::lifetime::{busy_session, endless};

#[tokio::test]
async fn sigterm_ends_running_code_with_a_response_and_leaves_nothing() {
    let (mut server, site) = (TestServer::start().await, Site::start().await);
    let (first, second) = (busy_session(&server).await, server.session().await);
    let codes = ["node", "python", "bash"].map(|language| endless(&site, language, language));
    let stopping = async {
        for language in ["node", "python", "bash"] {
            site.signalled(language).await;
        }
        server.processes();
        server.signal(Signal::SIGTERM);
    };
    let (node, python, bash, ()) = tokio::join!(
        first.run("node", &codes[0]),
        second.run("python", &codes[1]),
        second.run("bash", &codes[2]),
        stopping,
    );
    for execution in [node, python, bash] {
        assert_eq!(
            (execution.exit_code, execution.killed),
            (137, false),
            "{execution:?}"
        );
        assert_eq!(execution.stdout, "begun\n");
        assert!(
            execution.error().contains("server"),
            "{}",
            execution.error()
        );
    }
    server.ended_by_itself().await;
}

#[tokio::test]
async fn a_stopping_server_answers_code_that_ends_in_time_and_starts_nothing_new() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let builder = TestServer::builder()
        .data_dir(dir.path())
        .setting("HEARTH_STOP_GRACE_SECONDS", "60");
    let mut server = builder.start().await;
    let (idle, busy) = (server.session().await, server.session().await);
    // The code runs until the test has checked the stopping server.
    let code = format!(
        "{}; curl -s {}; echo done",
        site.bash_signal("begun"),
        site.url("/held/go-on")
    );
    let meanwhile = async {
        site.signalled("begun").await;
        server.processes();
        server.signal(Signal::SIGTERM);
        eventually(Duration::from_secs(10), "the server stops", async || {
            let status = idle.status().await;
            if status["destroyedReason"] == "server_stopped" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
        for refused in [
            server.create(&json!({})).await,
            busy.execute(&json!({"code": "1"})).await,
        ] {
            refused.assert_error(503, "The server is stopping.");
            refused.assert_retry_after();
        }
        assert_eq!(busy.status().await["status"], "active");
        assert_eq!(
            server
                .send(server.request_outside(Method::GET, "/health"))
                .await
                .status,
            200
        );
        reqwest::get(site.url("/signal/go-on"))
            .await
            .expect("the site is running");
    };
    let (execution, ()) = tokio::join!(busy.bash(&code), meanwhile);
    assert!(execution.ok().stdout.ends_with("done\n"));
    server.ended_by_itself().await;
}

#[tokio::test]
async fn a_second_sigterm_does_not_wait_for_code() {
    let builder = TestServer::builder().setting("HEARTH_STOP_GRACE_SECONDS", "60");
    let (mut server, site) = (builder.start().await, Site::start().await);
    let session = server.session().await;
    let code = endless(&site, "bash", "begun");
    let stopping = async {
        site.signalled("begun").await;
        server.processes();
        server.signal(Signal::SIGTERM);
        // A second signal that arrives together with the first is treated as one.
        eventually(
            Duration::from_secs(20),
            "the server logs the second signal",
            async || {
                server.signal(Signal::SIGTERM);
                if server.output().contains("second signal") {
                    Ok(())
                } else {
                    Err(String::new())
                }
            },
        )
        .await;
    };
    tokio::join!(session.execute_and_disconnect("bash", &code), stopping);
    eventually(Duration::from_secs(5), "the server ends", async || {
        if Process::find(server.pid()).is_none() {
            Ok(())
        } else {
            Err("it runs".to_owned())
        }
    })
    .await;
    server.kill_hard().await;
    server.assert_nothing_runs(Duration::from_secs(2)).await;
}

#[tokio::test]
async fn sigterm_while_sessions_are_being_created_leaves_nothing() {
    let mut server = TestServer::start().await;
    let creating = futures_util::future::join_all(
        (0..4).map(|_| Exchange::of(server.request(Method::POST, ""))),
    );
    let stopping = async {
        eventually(Duration::from_secs(5), "a browser starts", || {
            let processes = server.processes();
            let starts = processes.iter().any(Process::is_browser);
            std::future::ready(if starts {
                Ok(())
            } else {
                Err(process::describe(&processes))
            })
        })
        .await;
        server.signal(Signal::SIGTERM);
    };
    let (answers, ()) = tokio::join!(creating, stopping);
    for answer in answers {
        assert!([200, 503].contains(&answer.status), "{answer:?}");
    }
    server.ended_by_itself().await;
}

#[tokio::test]
async fn a_signal_sent_twice_at_once_counts_once() {
    let mut server = TestServer::start().await;
    busy_session(&server).await;
    server.processes();
    server.signal(Signal::SIGTERM);
    server.signal(Signal::SIGINT);
    server.ended_by_itself().await;
}

#[tokio::test]
async fn sigint_stops_the_server_like_sigterm() {
    let mut server = TestServer::start().await;
    busy_session(&server).await;
    server.processes();
    server.signal(Signal::SIGINT);
    server.ended_by_itself().await;
}

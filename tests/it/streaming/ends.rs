//! The end of code whose output is read as events.

use std::time::Duration;

use hearth_test_support::{TestServer, eventually};
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::events::Events;

const BOUND: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_end_of_failed_code_carries_its_error() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        (
            "node",
            "console.log('before'); throw new TypeError('no')",
            1,
            "TypeError: no",
        ),
        (
            "python",
            "print('before')\nraise TypeError('no')",
            1,
            "TypeError: no",
        ),
        ("bash", "echo before; echo why >&2; exit 9", 9, "why"),
        (
            "bash",
            "echo before; kill -9 $$",
            137,
            "SIGKILL ended the shell",
        ),
    ];
    for (language, code, exit_code, error) in cases {
        let events = Events::of(&server, session.id(), language, code).await;
        let transcript = events.finish().await.ended(exit_code, false);
        assert_eq!(transcript.stdout, "before\n", "{language}");
        assert_eq!(transcript.end["error"], error, "{language}");
    }
    server.stop().await;
}

#[tokio::test]
async fn code_that_reaches_its_timeout_has_an_end() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (language, code) in [
        ("node", "console.log('begun'); await new Promise(() => {})"),
        ("python", "import time\nprint('begun')\ntime.sleep(300)"),
        ("bash", "echo begun; sleep 300"),
    ] {
        let events = Events::within(&server, session.id(), language, code, 2).await;
        let transcript = events.finish().await.ended(137, true);
        assert_eq!(transcript.stdout, "begun\n", "{language}");
        let error = transcript.end["error"].as_str().expect("a text");
        assert!(error.contains("timeout of 2 seconds"), "{error}");
    }
    server.stop().await;
}

#[tokio::test]
async fn code_whose_session_is_deleted_has_an_end() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "console.log('begun'); await new Promise(() => {})";
    let mut events = Events::of(&server, session.id(), "node", code).await;
    events.until("stdout", "begun\n").await;
    session.delete().await;
    let transcript = events.finish().await.ended(137, false);
    assert!(transcript.end["error"].is_string(), "{transcript:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_sends_the_end() {
    let mut server = TestServer::start().await;
    let session = server.session().await;
    let mut events = Events::of(&server, session.id(), "bash", "echo begun; exec sleep 300").await;
    events.until("stdout", "begun\n").await;
    server.processes();
    server.signal(Signal::SIGTERM);
    let transcript = events.finish().await.ended(137, false);
    let error = transcript.end["error"].as_str().expect("a text");
    assert!(error.contains("server"), "{error}");
    server.ended_by_itself().await;
}

#[tokio::test]
async fn a_client_that_disconnects_cancels_the_code() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut events = Events::of(&server, session.id(), "bash", "echo begun; exec sleep 4242").await;
    events.until("stdout", "begun\n").await;
    drop(events);
    eventually(BOUND, "the code has ended", || async {
        let processes = server.processes();
        let left = processes
            .iter()
            .find(|process| process.command.contains("sleep 4242"));
        left.map_or(Ok(()), |process| Err(process.command.clone()))
    })
    .await;
    session.node("globalThis.kept = 1").await.ok();
    let code = "console.log('begun'); await new Promise(() => {})";
    let mut events = Events::of(&server, session.id(), "node", code).await;
    events.until("stdout", "begun\n").await;
    drop(events);
    // The next execution has a new kernel, as after any disconnect.
    assert_eq!(session.node("typeof kept").await.ok().result, "undefined");
    server.stop().await;
}

#[tokio::test]
async fn bytes_after_the_request_do_not_hide_that_the_client_left() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (accept, rest) in [
        ("application/json", "\r\n"),
        (
            "application/json",
            "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        ("text/event-stream", "G"),
    ] {
        let body = json!({"code": "exec sleep 4243", "language": "bash", "timeout": 300});
        let body = body.to_string();
        let key = server.authorization().unwrap_or("Bearer none");
        let head = format!(
            "POST /v2/interact/{}/execute HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nAuthorization: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            session.id(),
            body.len()
        );
        let mut client = TcpStream::connect(server.address())
            .await
            .expect("connected");
        let request = [head, body, rest.to_owned()].concat();
        client.write_all(request.as_bytes()).await.expect("sent");
        let sleeping = || {
            let processes = server.processes();
            processes
                .iter()
                .any(|process| process.command.contains("sleep 4243"))
        };
        eventually(BOUND, "the code runs", || async {
            sleeping().then_some(()).ok_or_else(|| "not yet".to_owned())
        })
        .await;
        drop(client);
        eventually(BOUND, "the code has ended", || async {
            (!sleeping()).then_some(()).ok_or_else(|| rest.to_owned())
        })
        .await;
    }
    server.stop().await;
}

/// Returns the memory for data that is not delivered yet.
async fn buffered(server: &TestServer) -> u64 {
    let request = server
        .direct()
        .request_outside(reqwest::Method::GET, "/metrics");
    let text = request
        .send()
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a text");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("hearth_buffer_bytes "));
    line.expect("the metric").parse().expect("a number")
}

#[tokio::test]
async fn a_client_that_reads_late_delays_nothing_and_gets_the_end() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_OUTPUT_BYTES", "8000000")
        .setting("HEARTH_SESSION_BUFFER_MB", "20")
        // The history counts in the same memory, until the session ends.
        .setting("HEARTH_EXECUTION_HISTORY", "off")
        .start()
        .await;
    let session = server.session().await;
    let letters = "console.log('first');\n\
                   for (let i = 0; i < 1000; i++) process.stdout.write('x'.repeat(40000) + '\\n'); 'v'";
    let mut events = Events::of(&server, session.id(), "node", letters).await;
    events.until("stdout", "first\n").await;
    // The next execution waits until this one has ended.
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    // The response needs the memory of one output, although nobody reads it.
    let held = buffered(&server).await;
    assert!(held < 9_000_000, "{held} bytes");
    let transcript = events.finish().await.ok();
    assert_eq!(transcript.end["truncated"], json!(true));
    assert_eq!(transcript.result.as_deref(), Some("v"));
    assert!(
        transcript.stdout.len() > 7_900_000,
        "{} bytes",
        transcript.stdout.len()
    );
    eventually(BOUND, "the memory is free", async || {
        match buffered(&server).await {
            0 => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        }
    })
    .await;
    server.stop().await;
}

//! `hearth exec`.

use hearth_test_support::{Site, TestServer, new_data_dir};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{command, environment, run, run_reading};

#[tokio::test]
async fn without_a_session_one_is_created_for_the_call() {
    let server = TestServer::start().await;
    let page = "await page.goto('data:text/html,<title>Warm</title>'); await page.title()";
    assert_eq!(run(&server, &["exec", page]).await.ok(), "Warm");
    let sessions = server.list("").await.ok();
    assert_eq!(sessions["sessions"][0]["status"], "destroyed", "{sessions}");
    assert_eq!(sessions["sessions"][1], serde_json::Value::Null);
    server.stop().await;
}

#[tokio::test]
async fn the_only_session_keeps_its_variables_between_calls() {
    let server = TestServer::start().await;
    let first = run(&server, &["new"]).await.ok();
    run(&server, &["exec", "var x = 20"]).await.ok();
    assert_eq!(run(&server, &["exec", "x + 1"]).await.ok(), "21");
    let second = run(&server, &["new"]).await.ok();
    let unclear = run(&server, &["exec", "x + 1"]).await;
    unclear.failed(125, "2 sessions are active", "add -s");
    assert!(unclear.stderr.contains(&first) && unclear.stderr.contains(&second));
    let named = run(&server, &["exec", "-s", &first, "x + 1"]).await;
    assert_eq!(named.ok(), "21");
    server.stop().await;
}

#[tokio::test]
async fn output_and_exit_code_are_those_of_the_code() {
    let server = TestServer::start().await;
    run(&server, &["new"]).await.ok();
    let both = run(
        &server,
        &["exec", "-l", "bash", "echo out; echo err >&2; exit 7"],
    )
    .await;
    assert_eq!(
        (both.code, &*both.stdout, &*both.stderr),
        (Some(7), "out\n", "err\n")
    );
    let printed = run(&server, &["exec", "console.log('a'); 'b'"]).await;
    assert_eq!((printed.code, &*printed.stdout), (Some(0), "a\nb\n"));
    let thrown = run(&server, &["exec", "throw new TypeError('no')"]).await;
    assert_eq!(thrown.code, Some(1));
    assert_eq!(
        thrown.stderr.matches("TypeError: no").count(),
        1,
        "{thrown:?}"
    );
    let killed = run(&server, &["exec", "-t", "1", "await new Promise(() => {})"]).await;
    assert_eq!(killed.code, Some(137));
    assert!(
        killed.stderr.starts_with("hearth: Execution was killed: "),
        "{killed:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn code_comes_from_a_file_or_stdin() {
    let server = TestServer::start().await;
    run(&server, &["new"]).await.ok();
    let dir = new_data_dir();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let python = file("a.py", "print(f'{1 + 1}')");
    assert_eq!(run(&server, &["exec", &python]).await.ok(), "2");
    let bash = file("b.sh", "echo $((2 + 2))");
    assert_eq!(run(&server, &["exec", &bash]).await.ok(), "4");
    let unnamed = file("c", "'node'");
    assert_eq!(run(&server, &["exec", &unnamed]).await.ok(), "node");
    let read = run_reading(&server, &["exec", "-l", "python", "-"], "print(3 + 3)").await;
    assert_eq!(read.ok(), "6");
    let missing = run(&server, &["exec", "missing.py"]).await;
    missing.failed(125, "cannot read missing.py: ", "existing file");
    server.stop().await;
}

#[tokio::test]
async fn after_an_interrupt_the_session_of_the_call_ends() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let code = format!(
        "{} await new Promise(() => {{}})",
        site.node_signal("begun")
    );
    for (signal, expected) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let name = format!("begun-{expected}");
        let code = code.replace("begun", &name);
        let child = command(&["exec", &code], &environment(&server))
            .spawn()
            .expect("the program can be started");
        site.signalled(&name).await;
        let pid = child.id().and_then(|pid| pid.try_into().ok());
        kill(Pid::from_raw(pid.expect("it runs")), signal).expect("it runs");
        let output = child.wait_with_output().await.expect("it ends");
        assert_eq!(output.status.code(), Some(expected), "{output:?}");
        let active = server.list("?status=active").await.ok();
        assert_eq!(active["sessions"], serde_json::json!([]));
    }
    server.stop().await;
}

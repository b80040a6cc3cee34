//! Files of a session.

use std::fs;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::Path;

use hearth_test_support::TestServer;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use super::{run, run_reading};

#[tokio::test]
async fn files_are_put_listed_got_and_removed() {
    let server = TestServer::start().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let local = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    fs::write(local("in.csv"), "a,b\n1,2\n").expect("written");
    let id = run(&server, &["new"]).await.ok();
    let put = run(&server, &["files", "put", &local("in.csv"), "data/ü 1.csv"]).await;
    assert_eq!(put.ok(), "data/ü 1.csv");
    let named = run(&server, &["files", "put", "-s", &id, &local("in.csv")]).await;
    assert_eq!(named.ok(), "in.csv");
    let listed = run(&server, &["files", "ls", "data/"]).await.ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[0].starts_with("TYPE ") && lines.len() == 2,
        "{listed}"
    );
    assert!(
        lines[1].starts_with("file ") && lines[1].ends_with("  data/ü 1.csv"),
        "{listed}"
    );
    let all = run(&server, &["files", "ls", "--json"]).await.ok();
    let all: Value = serde_json::from_str(&all).expect("JSON");
    assert!(
        all["files"]
            .as_array()
            .is_some_and(|files| files.len() >= 2),
        "{all}"
    );

    let printed = run(&server, &["files", "get", "data/ü 1.csv", "-o", "-"]).await;
    assert_eq!(printed.stdout, "a,b\n1,2\n");
    let copy = local("copy.csv");
    let got = run(&server, &["files", "get", "in.csv", "-o", &copy]).await;
    assert_eq!(got.ok(), copy);
    assert_eq!(fs::read_to_string(&copy).expect("readable"), "a,b\n1,2\n");
    let removed = run(&server, &["files", "rm", "data/ü 1.csv", "data"]).await;
    assert_eq!(removed.ok(), "data/ü 1.csv\ndata");
    server.stop().await;
}

#[tokio::test]
async fn a_link_stays_and_a_pipe_is_written_to() {
    let server = TestServer::start().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let local = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    run(&server, &["new"]).await.ok();
    run_reading(&server, &["files", "put", "-", "a"], "content")
        .await
        .ok();
    fs::write(local("target"), "old").expect("written");
    symlink("target", local("link")).expect("made");
    run(&server, &["files", "get", "a", "-o", &local("link")])
        .await
        .ok();
    assert_eq!(
        fs::read_link(local("link")).expect("a link"),
        Path::new("target")
    );
    assert_eq!(
        fs::read_to_string(local("target")).expect("read"),
        "content"
    );
    mkfifo(local("pipe").as_str(), Mode::S_IRWXU).expect("made");
    let pipe = local("pipe");
    let reading = tokio::task::spawn_blocking(move || fs::read_to_string(pipe));
    run(&server, &["files", "get", "a", "-o", &local("pipe")])
        .await
        .ok();
    assert_eq!(reading.await.expect("run").expect("read"), "content");
    let about = fs::symlink_metadata(local("pipe")).expect("there");
    assert!(about.file_type().is_fifo());
    server.stop().await;
}

#[tokio::test]
async fn stdin_is_a_file_of_any_size() {
    let server = TestServer::start().await;
    run(&server, &["new"]).await.ok();
    let text = "x".repeat(3 << 20);
    let put = run_reading(&server, &["files", "put", "-", "large"], &text).await;
    assert_eq!(put.ok(), "large");
    let counted = run(&server, &["exec", "-l", "bash", "stat -c %s large"]).await;
    assert_eq!(counted.ok(), (3 << 20).to_string());
    server.stop().await;
}

#[tokio::test]
async fn errors_about_files_name_the_file_and_the_fix() {
    let server = TestServer::start().await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let target = dir.path().join("kept");
    fs::write(&target, "earlier").expect("written");
    let target = target.to_string_lossy();
    run(&server, &["files", "ls"])
        .await
        .failed(1, "no session is active", "`hearth new`");
    run(&server, &["new"]).await.ok();
    run(&server, &["files", "get", "missing", "-o", &target])
        .await
        .failed(
            1,
            "cannot read missing: File not found.",
            "`hearth files ls`",
        );
    assert_eq!(fs::read_to_string(&*target).expect("readable"), "earlier");
    assert_eq!(fs::read_dir(dir.path()).expect("readable").count(), 1);
    run(&server, &["files", "rm", "../x"]).await.failed(
        1,
        "cannot remove ../x: Bad Request: the path",
        "",
    );
    run(&server, &["files", "put", "/nowhere/a"]).await.failed(
        1,
        "cannot read /nowhere/a: ",
        "name an existing file",
    );
    run(&server, &["files", "put", "-"]).await.failed(
        1,
        "it has no path in the session",
        "add the path",
    );
    server.stop().await;
}

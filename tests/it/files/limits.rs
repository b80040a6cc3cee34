//! Limits on files: disk space, the number of requests, and the end of the session.

use std::time::Duration;

use hearth_test_support::{ServerBuilder, Session, TestServer, eventually};
use nix::sys::statvfs::statvfs;

use super::{Raw, get, path_of, put, visible};

/// The number of requests for files of one session that are answered at a time.
const MAX_REQUESTS: usize = 16;

const MIB: usize = 1 << 20;

async fn with_disk_limit(builder: ServerBuilder) -> (TestServer, Session) {
    let builder = builder.setting("HEARTH_SESSION_DISK_MB", "64");
    let server = builder.start().await;
    let session = server.session().await;
    (server, session)
}

/// Sends the head of an upload whose client waits before it sends the body.
async fn announce(server: &TestServer, session: &Session, bytes: usize) -> String {
    let headers = format!("Content-Length: {bytes}\r\nExpect: 100-continue\r\n");
    let mut upload = Raw::send(server, "PUT", session, "large", &headers).await;
    upload.head().await
}

#[tokio::test]
async fn an_upload_that_exceeds_the_disk_limit_is_rejected_before_it_is_sent() {
    // Another node would ask for the body before it has the answer.
    let (server, session) = with_disk_limit(TestServer::builder().single()).await;
    let head = announce(&server, &session, 65 * MIB).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    // The session goes on, and a smaller file fits.
    put(&server, &session, "small", vec![b'x'; MIB]).await.ok();
    assert_eq!(visible(&server, &session).await, ["small"]);
    assert_eq!(session.status().await["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn an_upload_without_a_size_ends_at_the_disk_limit() {
    let (server, session) = with_disk_limit(TestServer::builder()).await;
    session.bash("head -c 30M /dev/zero > own").await.ok();
    let headers = "Transfer-Encoding: chunked\r\n";
    let mut upload = Raw::send(&server, "PUT", &session, "endless", headers).await;
    let chunk = [b"100000\r\n".to_vec(), vec![b'x'; MIB], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < 100 && upload.body(&chunk).await {
        sent += 1;
    }
    assert!(sent < 50, "{sent} MiB were accepted");
    eventually(Duration::from_secs(10), "nothing of it is left", || async {
        match session.bash("ls -A | grep -c hearth-upload").await.stdout {
            count if count == "0\n" => Ok(()),
            count => Err(count),
        }
    })
    .await;
    assert_eq!(session.status().await["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn no_upload_fills_the_disk_of_the_server() {
    let dir = tempfile::Builder::new()
        .prefix("ht-")
        .tempdir_in("/dev/shm")
        .expect("/dev/shm is writable");
    let disk = statvfs(dir.path()).expect("a disk");
    let free_mib = (disk.blocks_available() * disk.fragment_size()) >> 20;
    let min_free = (free_mib - 200).to_string();
    let server = TestServer::builder()
        .data_dir(dir.path())
        .setting("HEARTH_MIN_FREE_DISK_MB", &min_free)
        .single()
        .start()
        .await;
    let session = server.session().await;
    let head = announce(&server, &session, 300 * MIB).await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(head.to_lowercase().contains("retry-after: "), "{head}");
    put(&server, &session, "small", "x").await.ok();
    server.stop().await;
}

#[tokio::test]
async fn requests_for_files_of_one_session_have_a_maximum() {
    let server = TestServer::start().await;
    let (busy, other) = (server.session().await, server.session().await);
    let mut uploads = Vec::new();
    for number in 0..MAX_REQUESTS {
        let headers = "Content-Length: 1000\r\nExpect: 100-continue\r\n";
        let file = format!("file{number}");
        let mut upload = Raw::send(&server, "PUT", &busy, &file, headers).await;
        // The server asks for the body, so the request has its turn.
        let head = upload.head().await;
        assert!(head.starts_with("HTTP/1.1 100 "), "{head}");
        uploads.push(upload);
    }
    let rejected = put(&server, &busy, "more", "x").await;
    assert_eq!(rejected.status, 429, "{}", rejected.text);
    rejected.assert_retry_after();
    put(&server, &other, "more", "x").await.ok();
    drop(uploads);
    eventually(Duration::from_secs(10), "turns are free again", || async {
        match put(&server, &busy, "more", "x").await {
            reply if reply.status == 200 => Ok(()),
            reply => Err(reply.text),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_uploads() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let headers = "Content-Length: 1000\r\nExpect: 100-continue\r\n";
    let mut upload = Raw::send(&server, "PUT", &session, "file", headers).await;
    upload.head().await;
    upload.body(b"begun").await;
    session.delete().await;
    let head = upload.head().await;
    assert!(head.starts_with("HTTP/1.1 410 "), "{head}");
    server.stop().await;
}

#[tokio::test]
async fn names_of_files_are_not_logged() {
    let server = TestServer::builder()
        .setting("HEARTH_LOG", "debug")
        .start()
        .await;
    let session = server.session().await;
    put(&server, &session, "plans/agenda.txt", "x").await.ok();
    get(&server, &session, "plans/agenda.txt").await;
    let path = path_of(&session, "");
    let line = server.last_log_line(&["request finished", &path]);
    assert!(line.is_some(), "{}", server.output());
    assert!(!server.output().contains("agenda"), "{}", server.output());
    server.stop().await;
}

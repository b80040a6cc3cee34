//! Files that are written and removed.

use std::time::Duration;

use hearth_test_support::process::Process;
use hearth_test_support::{TestServer, eventually};
use reqwest::Method;
use serde_json::json;

use super::{Raw, get, path_of, put, remove, visible};

/// The size of a large upload, which is much larger than what the server may keep.
const LARGE: usize = 256 << 20;

/// The maximum private memory of the server meanwhile.
const MAX_SERVER_KIB: u64 = 64 * 1024;

#[tokio::test]
async fn a_written_file_belongs_to_the_code() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let written = put(&server, &session, "data/may/in.csv", "a,b\n1,2\n").await;
    let expected = json!({"success": true, "path": "data/may/in.csv", "sizeBytes": 8});
    assert_eq!(written.ok(), expected);
    let code = "cat data/may/in.csv; echo 3,4 >> data/may/in.csv; touch data/may/beside; rm data/may/beside";
    assert_eq!(session.bash(code).await.ok().stdout, "a,b\n1,2\n");
    let read = get(&server, &session, "data/may/in.csv").await;
    assert_eq!(read.text, "a,b\n1,2\n3,4\n");
    // Another upload replaces the content.
    put(&server, &session, "data/may/in.csv", "").await.ok();
    assert_eq!(get(&server, &session, "data/may/in.csv").await.text, "");
    // A page can get the file from the code.
    put(&server, &session, "photo.txt", "uploaded").await.ok();
    let page = "await page.setContent('<input type=file id=f>'); await page.setInputFiles('#f', 'photo.txt'); \
                await page.evaluate(() => f.files[0].text())";
    assert_eq!(session.node(page).await.ok().result, "uploaded");
    server.stop().await;
}

#[tokio::test]
async fn files_and_empty_directories_are_removed() {
    let server = TestServer::start().await;
    let session = server.session().await;
    put(&server, &session, "d/a", "x").await.ok();
    let full = remove(&server, &session, "d").await;
    assert_eq!(full.status, 409, "{}", full.text);
    assert_eq!(
        remove(&server, &session, "d/a").await.ok(),
        json!({"success": true})
    );
    assert_eq!(remove(&server, &session, "d/a").await.status, 404);
    remove(&server, &session, "d").await.ok();
    assert_eq!(visible(&server, &session).await, Vec::<String>::new());
    server.stop().await;
}

#[tokio::test]
async fn a_directory_is_neither_read_nor_replaced() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("mkdir d").await.ok();
    let replaced = put(&server, &session, "d", "x").await;
    assert_eq!(replaced.status, 409, "{}", replaced.text);
    assert!(replaced.error().contains("a directory"), "{replaced:?}");
    let read = super::not_read(&server, &session, "d").await;
    assert_eq!(read.status, 409, "{}", read.text);
    // A file is not a directory either.
    put(&server, &session, "file", "x").await.ok();
    assert_eq!(put(&server, &session, "file/below", "x").await.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn a_large_upload_is_not_kept_in_memory() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let headers = format!("Content-Length: {LARGE}\r\nConnection: close\r\n");
    let mut upload = Raw::send(&server, "PUT", &session, "large", &headers).await;
    let part = vec![b'x'; 1 << 20];
    for _ in 0..LARGE / part.len() {
        assert!(upload.body(&part).await, "the server reads on");
    }
    let process = Process::find(server.serving_pid()).expect("it runs");
    let memory = process.memory().expect("it runs");
    assert!(memory.private_kib < MAX_SERVER_KIB, "{memory:?}");
    let answer = upload.answer().await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let size = session.bash("stat -c %s large").await.ok().result;
    assert_eq!(size, LARGE.to_string());
    server.stop().await;
}

#[tokio::test]
async fn an_upload_without_a_size_is_complete_at_its_end() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let headers = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
    let mut upload = Raw::send(&server, "PUT", &session, "chunked", headers).await;
    upload.body(b"5\r\nhello\r\n6\r\n world\r\n").await;
    upload.body(b"0\r\n\r\n").await;
    let answer = upload.answer().await;
    assert!(answer.contains("\"sizeBytes\":11"), "{answer}");
    assert_eq!(get(&server, &session, "chunked").await.text, "hello world");
    server.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_earlier_file_and_nothing_else() {
    let server = TestServer::start().await;
    let session = server.session().await;
    put(&server, &session, "kept", "earlier").await.ok();
    let mut upload = Raw::send(
        &server,
        "PUT",
        &session,
        "kept",
        "Content-Length: 1000000\r\n",
    )
    .await;
    upload.body(&vec![b'x'; 600_000]).await;
    // The file that arrives is there, under another name.
    let parts = async || {
        let code = "find . -name '.hearth-upload-*' | wc -l; cat kept";
        session.bash(code).await.ok().stdout
    };
    eventually(Duration::from_secs(10), "it arrives", || async {
        match parts().await.as_str() {
            "1\nearlier" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    drop(upload);
    eventually(Duration::from_secs(10), "it is removed", || async {
        match parts().await.as_str() {
            "0\nearlier" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn parts_of_files_and_compressed_bodies_are_rejected() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for (name, value) in [
        ("content-range", "bytes 0-1/10"),
        ("content-encoding", "gzip"),
    ] {
        let request = server.request(Method::PUT, &path_of(&session, "a"));
        let rejected = server.send(request.header(name, value).body("xy")).await;
        assert_eq!(rejected.status, 400, "{name}: {}", rejected.text);
    }
    assert_eq!(visible(&server, &session).await, Vec::<String>::new());
    server.stop().await;
}

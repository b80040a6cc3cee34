//! Files that are read, ranges of them, and listings.

use hearth_test_support::process::Process;
use hearth_test_support::{Exchange, TestServer};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;

use super::{get, list, not_read, path_of, put};

/// The maximum private memory of the server while it sends a file that is much larger.
const MAX_SERVER_KIB: u64 = 64 * 1024;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("")
}

#[tokio::test]
async fn files_of_the_code_are_read_with_their_type_and_size() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "printf hello > a.txt; mkdir -p 'r/s'; printf '<b>' > 'r/s/ü b.HTML'; : > empty";
    session.bash(code).await.ok();
    let read = get(&server, &session, "a.txt").await;
    assert_eq!((read.status, read.text.as_str()), (200, "hello"));
    let expected = [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename*=UTF-8''a.txt"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&read.headers, name), value, "{name}");
    }
    // Slashes of the path may be encoded.
    for path in ["r/s/%C3%BC%20b.HTML", "r%2Fs%2f%C3%BC%20b.HTML"] {
        let read = get(&server, &session, path).await;
        assert_eq!((read.status, read.text.as_str()), (200, "<b>"));
        assert_eq!(header(&read.headers, "content-type"), "text/html");
        let name = "attachment; filename*=UTF-8''%C3%BC%20b.HTML";
        assert_eq!(header(&read.headers, "content-disposition"), name);
    }
    let empty = get(&server, &session, "empty").await;
    assert_eq!((empty.status, empty.text.as_str()), (200, ""));
    assert_eq!(header(&empty.headers, "content-length"), "0");
    let head = server.request(Method::HEAD, &path_of(&session, "a.txt"));
    let head = Exchange::of(head).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(header(&head.headers, "content-length"), "5");
    assert_eq!(head.headers["etag"], read.headers["etag"]);
    server.stop().await;
}

#[tokio::test]
async fn one_range_is_sent_alone() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("printf 0123456789 > digits").await.ok();
    let ranged = async |headers: &[(&str, &str)]| {
        let mut request = server.request(Method::GET, &path_of(&session, "digits"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Exchange::of(request).await
    };
    for (range, text, content_range) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-2", "89", "bytes 8-9/10"),
    ] {
        let part = ranged(&[("range", range)]).await;
        assert_eq!((part.status, part.text.as_str()), (206, text), "{range}");
        assert_eq!(header(&part.headers, "content-range"), content_range);
        assert_eq!(
            header(&part.headers, "content-length"),
            text.len().to_string()
        );
    }
    let outside = ranged(&[("range", "bytes=10-")]).await;
    assert_eq!(outside.status, 416);
    assert_eq!(header(&outside.headers, "content-range"), "bytes */10");
    // Several ranges, and those of another content, are answered with the whole file.
    let several = ranged(&[("range", "bytes=0-1,4-5")]).await;
    assert_eq!((several.status, several.text.as_str()), (200, "0123456789"));
    let etag = several.headers["etag"].to_str().expect("text").to_owned();
    let known = [("range", "bytes=0-1"), ("if-range", etag.as_str())];
    assert_eq!(ranged(&known).await.text, "01");
    put(&server, &session, "digits", "abcdefghij").await.ok();
    let changed = ranged(&known).await;
    assert_eq!((changed.status, changed.text.as_str()), (200, "abcdefghij"));
    server.stop().await;
}

#[tokio::test]
async fn a_gigabyte_is_sent_without_being_kept() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("truncate -s 1G zeros.bin").await.ok();
    let request = server.request(Method::GET, &path_of(&session, "zeros.bin"));
    let mut response = request.send().await.expect("the server answers");
    assert_eq!(header(response.headers(), "content-length"), "1073741824");
    let (mut received, mut largest_kib) = (0, 0);
    while let Some(part) = response.chunk().await.expect("it arrives") {
        // Reading the memory map of the server for each part would take long.
        if received % (64 << 20) > (received + part.len()) % (64 << 20) {
            let process = Process::find(server.serving_pid()).expect("it runs");
            largest_kib = largest_kib.max(process.memory().expect("it runs").private_kib);
        }
        received += part.len();
    }
    assert_eq!(received, 1 << 30);
    assert!(
        (1..MAX_SERVER_KIB).contains(&largest_kib),
        "the server uses {largest_kib} KiB"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_directory_is_listed_by_name() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code =
        "mkdir -p d/e; printf 12345 > d/b; ln -s /etc d/c; mkfifo d/f; touch -d @1700000000 d/a";
    session.bash(code).await.ok();
    let listed = list(&server, &session, "?path=d").await.ok();
    let files = listed["files"].as_array().expect("a list");
    let described: Vec<_> = files
        .iter()
        .map(|file| json!([file["path"], file["type"]]))
        .collect();
    let expected = [
        json!(["d/a", "file"]),
        json!(["d/b", "file"]),
        json!(["d/c", "link"]),
        json!(["d/e", "directory"]),
        json!(["d/f", "other"]),
    ];
    assert_eq!(described, expected);
    assert_eq!(files[0]["modifiedAt"], json!("2023-11-14T22:13:20.000Z"));
    assert_eq!(files[1]["sizeBytes"], json!(5));
    assert_eq!(listed.get("truncated"), None);
    assert_eq!(super::visible(&server, &session).await, ["d"]);
    let empty = list(&server, &session, "?path=d/e").await.ok();
    assert_eq!(empty["files"], json!([]));
    for path in ["d/missing", "d/b", "d/c"] {
        let missing = list(&server, &session, &format!("?path={path}")).await;
        assert_eq!(missing.status, 404, "{path}: {}", missing.text);
    }
    let invalid = list(&server, &session, "?path=d/../d").await;
    assert_eq!(invalid.status, 400, "{}", invalid.text);
    server.stop().await;
}

#[tokio::test]
async fn a_long_listing_says_that_it_is_truncated() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "mkdir many; cd many; seq -f %05g 0 10500 | xargs touch; ls | wc -l";
    assert_eq!(session.bash(code).await.ok().result, "10501");
    let listed = list(&server, &session, "?path=many").await.ok();
    let files = listed["files"].as_array().expect("a list");
    assert_eq!(listed["truncated"], json!(true));
    assert_eq!(files.len(), 10_000);
    assert_eq!(files[9999]["path"], json!("many/09999"));
    server.stop().await;
}

#[tokio::test]
async fn a_directory_that_the_code_has_locked_is_not_listed() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.bash("mkdir locked && chmod 000 locked").await.ok();
    let listed = list(&server, &session, "?path=locked").await;
    assert_eq!(listed.status, 409, "{listed:?}");
    server.stop().await;
}

#[tokio::test]
async fn missing_files_and_ended_sessions_have_errors() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let missing = not_read(&server, &session, "missing.txt").await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.error().starts_with("File not found."),
        "{missing:?}"
    );
    session.delete().await;
    let destroyed = "Browser session has been destroyed.";
    not_read(&server, &session, "a")
        .await
        .assert_error(410, destroyed);
    put(&server, &session, "a", "x")
        .await
        .assert_error(410, destroyed);
    list(&server, &session, "")
        .await
        .assert_error(410, destroyed);
    let unknown = server.request(Method::GET, "/no-session/files/a");
    server
        .send(unknown)
        .await
        .assert_error(404, "Browser session not found.");
    server.stop().await;
}

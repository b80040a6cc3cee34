//! Errors name what failed, why, and the fix.

use hearth_test_support::TestServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{run, run_with};

/// The address of a port on which nothing listens.
fn unused() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    format!("http://{address}")
}

#[tokio::test]
async fn without_a_server_the_error_names_its_address() {
    let nowhere = unused();
    let given = run_with(&["ls"], &[("HEARTH_URL", &nowhere)]).await;
    let error = format!("cannot list the sessions: no server at {nowhere}: ");
    given.failed(1, &error, "set HEARTH_URL");
    let listen = nowhere.trim_start_matches("http://");
    let local = run_with(&["new"], &[("HEARTH_LISTEN", listen)]).await;
    let error = format!("cannot create a session: no server at {nowhere}: ");
    local.failed(1, &error, "`hearth serve`");
    let executed = run_with(&["exec", "1"], &[("HEARTH_URL", &nowhere)]).await;
    executed.failed(125, "no server at", "set HEARTH_URL");
}

#[tokio::test]
async fn an_address_that_is_none_is_an_invalid_setting() {
    let invalid = run_with(&["ls"], &[("HEARTH_URL", "localhost")]).await;
    invalid.failed(78, "HEARTH_URL: \"localhost\" is not a URL", "");
    let flag = run_with(&["ls", "--url", "http://127.0.0.1/v2"], &[]).await;
    flag.failed(78, "has a path", "");
}

#[tokio::test]
async fn another_server_is_recognized() {
    // The port of another protocol: its own kind of server.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let read = stream.read_buf(&mut request).await.expect("a request");
            assert_ne!(read, 0, "the request is incomplete");
        }
        let text = b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello";
        let written = stream.write_all(text).await;
        written.expect("it reads");
        stream
    };
    let environment = [("HEARTH_URL", address.as_str())];
    let (ran, _stream) = tokio::join!(run_with(&["ls"], &environment), answer);
    ran.failed(
        1,
        "answered 404 Not Found without a message of Hearth",
        "HEARTH_URL",
    );
}

#[tokio::test]
async fn a_session_that_is_unknown_or_has_ended_is_explained() {
    let server = TestServer::start().await;
    let unknown = "00000000-0000-7000-8000-000000000000";
    for arguments in [&["open", unknown][..], &["rm", unknown]] {
        let ran = run(&server, arguments).await;
        ran.failed(1, "Browser session not found.", "`hearth ls`");
    }
    let invalid = run(&server, &["rm", "../profiles/x"]).await;
    invalid.failed(1, "is not the id of a session", "`hearth ls`");
    let id = run(&server, &["new"]).await.ok();
    let both = run(&server, &["rm", unknown, &id]).await;
    both.failed(1, &format!("cannot end the session {unknown}: "), "");
    assert_eq!(both.stdout.trim_end(), id, "the rest is ended all the same");
    let ended = run(&server, &["exec", "-s", &id, "1"]).await;
    ended.failed(125, "has been destroyed", "`hearth new`");
    server.stop().await;
}

#[tokio::test]
async fn a_reached_limit_is_explained() {
    let server = TestServer::builder()
        .setting("HEARTH_MAX_SESSIONS", "1")
        .start()
        .await;
    run(&server, &["new"]).await.ok();
    let second = run(&server, &["new"]).await;
    second.failed(
        1,
        "the maximum number of active browser sessions",
        "`hearth rm`",
    );
    server.stop().await;
}

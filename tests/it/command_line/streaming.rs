//! Output of a server that sends it while the code runs.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::command;

/// Reads a request and returns its head.
async fn request(stream: &mut TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = reader.read_line(&mut head).await.expect("a line");
        assert!(read > 0, "{head}");
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().expect("a number"))
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).await.expect("a body");
    head
}

async fn send(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("it reads");
}

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn output_is_printed_as_it_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut child = command(&["exec", "-s", "a", "1"], &[("HEARTH_URL", &url)])
        .spawn()
        .expect("the program can be started");
    let (mut stream, _) = listener.accept().await.expect("a client");
    let head = request(&mut stream).await.to_lowercase();
    assert!(
        head.starts_with("post /v2/interact/a/execute ") && head.contains("text/event-stream"),
        "{head}"
    );
    send(&mut stream, HEAD).await;
    send(
        &mut stream,
        ": hello\n\nevent: stdout\ndata: {\"text\":\"one\\n\"}\n\n",
    )
    .await;
    // The rest is not sent before the first part was seen.
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).await.expect("a line");
    assert_eq!(line, "one\n");
    send(
        &mut stream,
        "event: stderr\ndata: {\"text\":\"E: x\\n\"}\n\n",
    )
    .await;
    send(&mut stream, "event: result\ndata: {\"result\":\"5\"}\n\n").await;
    let end = r#"{"success":true,"stdout":"one\n","result":"5","stderr":"E: x\n","exitCode":3,"killed":false,"error":"E: x"}"#;
    send(&mut stream, &format!("event: end\ndata: {end}\n\n")).await;
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).await.expect("text");
    let output = child.wait_with_output().await.expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        (output.status.code(), &*rest, &*stderr),
        (Some(3), "5\n", "E: x\n")
    );
}

#[tokio::test]
async fn a_stream_without_its_end_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let environment = [("HEARTH_URL", url.as_str())];
    let answer = async {
        let (mut stream, _) = listener.accept().await.expect("a client");
        request(&mut stream).await;
        send(&mut stream, HEAD).await;
        send(
            &mut stream,
            "event: stdout\ndata: {\"text\":\"one\\n\"}\n\n",
        )
        .await;
    };
    let (ran, ()) = tokio::join!(
        super::run_with(&["exec", "-s", "a", "1"], &environment),
        answer
    );
    ran.failed(125, "the response ended before the code", "");
    assert_eq!(ran.stdout, "one\n");
}

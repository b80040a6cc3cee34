//! Raw connections to the server.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A path for requests with a body, of a session that does not exist.
pub const EXECUTE: &str = "/v2/interact/01920000-0000-7000-8000-000000000000/execute";

/// The number of connections that are opened at a time.
const CONNECTING: usize = 64;

/// The time limit for sending bytes to a server that does not read them.
const SEND_DEADLINE: Duration = Duration::from_secs(10);

/// Connects and sends `bytes`.
pub async fn connect_and_send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // The server may close the connection while it is written.
    let _ = timeout(SEND_DEADLINE, stream.write_all(bytes)).await;
    stream
}

/// Opens `count` connections and sends `bytes` on each.
pub async fn connect_all(address: &str, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connecting = stream::iter(0..count).map(|_| connect_and_send(address, bytes));
    connecting.buffer_unordered(CONNECTING).collect().await
}

/// Returns a request head for a POST with a JSON body of `length` bytes.
pub fn post_head(path: &str, key: Option<&str>, length: usize) -> String {
    let key = key.map_or(String::new(), |key| {
        format!("Authorization: Bearer {key}\r\n")
    });
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{key}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Returns what the server sends until it closes the connection, at most for `deadline`.
pub async fn read_all(stream: &mut TcpStream, deadline: Duration) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(deadline, stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the status of the first response.
pub async fn read_status(stream: &mut TcpStream) -> Option<u16> {
    let mut head = [0; 12];
    let read = timeout(Duration::from_secs(30), stream.read_exact(&mut head)).await;
    read.ok()?.ok()?;
    std::str::from_utf8(&head[9..]).ok()?.parse().ok()
}

/// Reads the status and the body of one response from a connection that stays open.
pub async fn read_response(stream: &mut TcpStream) -> Option<(u16, String)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?.to_lowercase();
    let length = head.split("content-length: ").nth(1)?.split('\r').next()?;
    let mut body = vec![0; length.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    Some((status, String::from_utf8_lossy(&body).into_owned()))
}

/// Waits until the server closes a connection on which it has nothing to send.
pub async fn wait_until_closed(mut stream: TcpStream) {
    let mut byte = [0];
    let closed = stream.read(&mut byte).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
}

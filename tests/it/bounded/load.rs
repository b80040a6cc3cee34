//! Raw connections to the server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects and sends `bytes`.
pub async fn connect_and_send(address: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    // The server may close the connection while it is written.
    let _ = stream.write_all(bytes).await;
    stream
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

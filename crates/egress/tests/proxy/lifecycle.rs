//! Tests time limits and shutdown.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};

use crate::harness::Harness;

/// The paused clock advances only during waits, so each time limit expires at once.
#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_finish_its_head_is_disconnected() {
    let harness = Harness::allowing("").await;
    let mut client = harness.client().await;
    client
        .send("GET http://a.example/ HTTP/1.1\r\nX-Slow: ")
        .await;
    let rest = client.read_to_end().await;
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 408"),
        "{rest}"
    );
}

#[tokio::test(start_paused = true)]
async fn connecting_to_a_silent_peer_times_out() {
    // Fills the backlog, so that the next connection attempt gets no reply.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("bound");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("an address");
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(
        Duration::from_millis(500),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        waiting.push(stream);
    }
    let harness = Harness::allowing(&address.to_string()).await;
    let response = harness.get(&format!("http://{address}/")).await;
    assert!(
        response.starts_with("HTTP/1.1 504") && response.contains("timed out"),
        "{response}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_tunnel_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let mut client = harness.client().await;
    client
        .send(&format!("CONNECT {address} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    client.read_until("200 OK\r\n\r\n").await;
    assert_eq!(client.read_to_end().await, "");
    assert_eq!(served.read(&mut [0]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn ending_a_proxy_ends_its_connections_and_tasks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let idle = harness.client().await;
    let mut tunnel = harness.client().await;
    tunnel
        .send(&format!("CONNECT {address} HTTP/1.1\r\nHost: x\r\n\r\n"))
        .await;
    let (_served, _) = listener.accept().await.expect("connected");
    tunnel.read_until("200 OK\r\n\r\n").await;
    let mut waiting = harness.client().await;
    waiting
        .send(&format!(
            "GET http://{address}/ HTTP/1.1\r\nHost: x\r\n\r\n"
        ))
        .await;
    let (_silent, _) = listener.accept().await.expect("connected");
    let port = harness.proxy.port();
    harness.proxy.end();
    for client in [idle, tunnel, waiting] {
        assert_eq!(client.read_to_end().await, "");
    }
    harness.tracker.close();
    tokio::time::timeout(Duration::from_secs(5), harness.tracker.wait())
        .await
        .expect("no task is left");
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

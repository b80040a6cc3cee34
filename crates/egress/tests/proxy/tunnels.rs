//! Tests CONNECT tunnels.

use std::time::Duration;

use hearth_egress::{Egress, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::harness::Harness;

#[tokio::test]
async fn a_tunnel_relays_bytes_from_the_first_one_until_both_sides_have_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let mut client = harness.client().await;
    // The first bytes arrive together with the request.
    client
        .send(&format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\nfirst"
        ))
        .await;
    let (mut served, _) = listener.accept().await.expect("connected");
    client.read_until("HTTP/1.1 200 OK\r\n\r\n").await;
    let mut first = [0; 5];
    served.read_exact(&mut first).await.expect("bytes");
    assert_eq!(&first, b"first");
    served.write_all(b"answer").await.expect("sent");
    client.read_until("answer").await;
    // One direction ends before the other.
    client.stream.shutdown().await.expect("closed");
    let mut rest = Vec::new();
    served.read_to_end(&mut rest).await.expect("an end");
    served.write_all(b"late").await.expect("sent");
    drop(served);
    assert_eq!(client.read_to_end().await, "late");
    let traffic = harness.proxy.traffic();
    assert!(
        traffic.up_bytes >= 5 && traffic.down_bytes >= 10,
        "{traffic:?}"
    );
}

#[tokio::test]
async fn a_tunnel_relays_long_transfers_in_both_directions_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let harness = Harness::allowing(&address.to_string()).await;
    let mut client = harness.client().await;
    client
        .send(&format!(
            "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n"
        ))
        .await;
    let (served, _) = listener.accept().await.expect("connected");
    client.read_until("200 OK\r\n\r\n").await;
    let sent: Vec<u8> = (0..7_000_000_u32)
        .map(|number| number.to_le_bytes()[(number % 3) as usize])
        .collect();
    // Echoes all bytes.
    let (mut served_reads, mut served_writes) = served.into_split();
    let (mut reads, mut writes) = client.stream.into_split();
    let mut got = Vec::new();
    let echoing = async {
        tokio::io::copy(&mut served_reads, &mut served_writes)
            .await
            .expect("echoed");
        served_writes.shutdown().await.expect("closed");
    };
    let sending = async {
        writes.write_all(&sent).await.expect("sent");
        writes.shutdown().await.expect("closed");
    };
    let (_, (), ()) = tokio::join!(reads.read_to_end(&mut got), echoing, sending);
    assert!(got == sent, "{} bytes", got.len());
}

/// A tunnel keeps its place among the connections of its session.
#[tokio::test]
async fn connections_beyond_the_limit_wait_until_a_tunnel_closes() {
    const MAX: usize = 3;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let policy = Policy {
        allow: address.to_string().parse().expect("a list"),
        ..Policy::default()
    };
    let harness = Harness::with_egress(Egress::new(policy).with_max_connections(MAX)).await;
    let connect = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut tunnels = Vec::new();
    for _ in 0..MAX {
        let mut client = harness.client().await;
        client.send(&connect).await;
        client.read_until("200 OK\r\n\r\n").await;
        tunnels.push((client, listener.accept().await.expect("connected")));
    }
    let mut waiting = harness.client().await;
    waiting.send(&connect).await;
    let early = timeout(Duration::from_millis(500), listener.accept()).await;
    assert!(early.is_err(), "a connection above the limit is served");
    tunnels.pop();
    waiting.read_until("200 OK\r\n\r\n").await;
    listener.accept().await.expect("connected");
}

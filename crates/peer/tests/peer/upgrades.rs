//! Upgrades to another protocol.

use hearth_peer::{Received, Remote, is_upgraded};
use hyper::header::HeaderValue;
use hyper::header::{CONNECTION, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;

use crate::harness::{LIMITS, Node, get};

fn upgrade_request() -> Request<http_body_util::Empty<bytes::Bytes>> {
    let mut request = get("/upgrade");
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("echo"));
    request
}

async fn upgraded(mut response: Response<Received>) -> (OwnedSemaphorePermit, TokioIo<Upgraded>) {
    assert!(is_upgraded(&response));
    let upgrading = hyper::upgrade::on(&mut response);
    let (permit, upgraded) = tokio::join!(response.into_body().hand_over(), upgrading);
    (
        permit.expect("the connection is open"),
        TokioIo::new(upgraded.expect("an upgrade")),
    )
}

#[tokio::test]
async fn bytes_pass_both_ways_after_an_upgrade() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let response = client.send(node.remote, upgrade_request()).await;
    let (permit, mut stream) = upgraded(response.expect("a response")).await;
    stream.write_all(b"from afar").await.expect("open");
    // Half closed: the other end still answers.
    stream.shutdown().await.expect("open");
    let mut received = String::new();
    stream
        .read_to_string(&mut received)
        .await
        .expect("the rest");
    assert_eq!(received, "hello from afar");
    assert_eq!(client.open_connections(), 1);
    drop((permit, stream));
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn an_upgraded_connection_is_not_used_again() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let remote: Remote = node.remote;
    let response = client.send(remote, upgrade_request()).await;
    drop(response.expect("a response"));
    assert_eq!(client.open_connections(), 0);
}

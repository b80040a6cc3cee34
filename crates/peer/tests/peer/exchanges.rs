//! Requests, responses and their ends.

use std::convert::Infallible;
use std::net::TcpListener;

use bytes::Bytes;
use futures_util::stream;
use hearth_peer::{Fingerprint, Remote, SendError};
use http_body_util::{BodyExt, StreamBody};
use hyper::Request;
use hyper::body::Frame;

use crate::harness::{LIMITS, Node, fetch, get, post};

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let body: Bytes = (0..10_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    let echoed = fetch(&client, node.remote, post("/echo", body.clone())).await;
    assert!(echoed.expect("an echo") == body, "the body has changed");
}

#[tokio::test]
async fn a_body_of_unknown_length_passes() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let parts = ["one", " ", "two"].map(|part| Ok::<_, Infallible>(Frame::data(Bytes::from(part))));
    let request = Request::builder()
        .method("POST")
        .uri("/echo")
        .body(StreamBody::new(stream::iter(parts)))
        .expect("a request");
    let echoed = fetch(&client, node.remote, request).await;
    assert_eq!(echoed.expect("an echo"), "one two");
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_its_request() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let waiting = client.send(node.remote, get("/wait"));
    tokio::select! {
        result = waiting => panic!("{result:?}"),
        seen = node.wait_for(|seen| seen.requests == 1) => assert_eq!(seen.cancelled, 0),
    }
    node.wait_for(|seen| seen.cancelled == 1).await;
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_its_response() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let response = client.send(node.remote, get("/endless")).await;
    let mut body = response.expect("a response").into_body();
    body.frame().await.expect("a part").expect("data");
    drop(body);
    node.wait_for(|seen| seen.cancelled == 1).await;
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn a_node_that_ends_leaves_the_request_unanswered() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let waiting = client.send(node.remote, get("/wait"));
    let ending = async {
        node.wait_for(|seen| seen.requests == 1).await;
        node.close_connections().await;
    };
    let (sent, ()) = tokio::join!(waiting, ending);
    assert!(matches!(sent, Err(SendError::Unanswered(_))), "{sent:?}");
}

#[tokio::test]
async fn a_request_to_nobody_is_not_sent() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = Remote {
        address: listener.local_addr().expect("bound"),
        fingerprint: Fingerprint::from([0; 32]),
    };
    drop(listener);
    let sent = client.send(nobody, get("/known")).await;
    assert!(matches!(sent, Err(SendError::NotSent(_))), "{sent:?}");
}

#[tokio::test]
async fn a_node_that_is_stopped_gets_no_request() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    // The kernel accepts connections for it, and nobody answers the handshake.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stopped = Remote {
        address: listener.local_addr().expect("bound"),
        ..node.remote
    };
    let sent = client.send(stopped, get("/known")).await;
    let Err(SendError::NotSent(reason)) = sent else {
        panic!("{sent:?}");
    };
    assert_eq!(reason, "it has not answered for 4 s");
    assert_eq!(client.open_connections(), 0);
}

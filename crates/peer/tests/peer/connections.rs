//! Which connections are kept, and how many there are.

use std::time::Duration;

use hearth_peer::{ClientLimits, SendError};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::{Method, StatusCode};

use crate::harness::{LIMITS, Node, fetch, get, post};

#[tokio::test]
async fn a_connection_is_used_again_after_a_complete_response() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    for round in 1..=3 {
        let body = fetch(&client, node.remote, get("/known")).await;
        assert_eq!(body.expect("a known length"), "four");
        let body = fetch(&client, node.remote, post("/echo", "text")).await;
        assert_eq!(body.expect("an echo"), "text");
        fetch(&client, node.remote, get("/empty"))
            .await
            .expect("no body");
        let mut head = get("/known");
        *head.method_mut() = Method::HEAD;
        fetch(&client, node.remote, head).await.expect("no body");
        assert_eq!(node.seen().requests, 4 * round);
    }
    assert_eq!(node.seen().accepted, 1);
    assert_eq!(client.open_connections(), 1);
}

#[tokio::test]
async fn a_body_need_not_be_read_beyond_its_last_byte() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    for _ in 0..2 {
        let response = client
            .send(node.remote, get("/known"))
            .await
            .expect("a response");
        let mut body = response.into_body();
        let part = body.frame().await.expect("a part").expect("data");
        assert_eq!(part.into_data().expect("data"), "four");
        assert!(body.is_end_stream());
    }
    assert_eq!(node.seen().accepted, 1);
}

#[tokio::test]
async fn a_connection_with_an_unfinished_request_is_not_used_again() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    let rejected = client
        .send(node.remote, post("/reject", vec![0; 20_000_000]))
        .await
        .expect("a response");
    assert_eq!(rejected.status(), StatusCode::FORBIDDEN);
    drop(rejected);
    assert_eq!(client.open_connections(), 0);
    fetch(&client, node.remote, get("/known"))
        .await
        .expect("a new connection");
    assert_eq!(node.seen().accepted, 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_replaced() {
    let node = Node::start().await;
    let client = node.client(LIMITS);
    for round in 1..=3 {
        let body = fetch(&client, node.remote, get("/known")).await;
        assert_eq!(body.expect("an answer"), "four");
        assert_eq!(node.seen().accepted, round);
        node.close_connections().await;
    }
}

#[tokio::test]
async fn idle_connections_are_limited_and_expire() {
    let node = Node::start().await;
    let limits = ClientLimits {
        idle: 1,
        idle_time: Duration::ZERO,
        ..LIMITS
    };
    let client = node.client(limits);
    let request = || fetch(&client, node.remote, get("/known"));
    let (first, second) = tokio::join!(request(), request());
    first.and(second).expect("two answers");
    assert_eq!(node.seen().accepted, 2);
    assert_eq!(client.open_connections(), 1);
    client.close_idle();
    assert_eq!(client.open_connections(), 0);
}

#[tokio::test]
async fn there_are_no_more_connections_than_the_limit() {
    let (node, other) = (Node::start().await, Node::start().await);
    let limits = ClientLimits {
        connections: 1,
        ..LIMITS
    };
    let client = node.client(limits);
    let waiting = client.send(node.remote, get("/wait"));
    let third = async {
        node.wait_for(|seen| seen.requests == 1).await;
        client.send(node.remote, get("/known")).await
    };
    tokio::select! {
        result = waiting => panic!("{result:?}"),
        sent = third => assert!(matches!(sent, Err(SendError::NotSent(_))), "{sent:?}"),
    }
    // An idle connection makes room for one to another node.
    fetch(&client, node.remote, get("/known"))
        .await
        .expect("an answer");
    let sent = client.send(other.remote, get("/known")).await;
    sent.expect_err("the other node does not know the client");
    other.wait_for(|seen| seen.refused == 1).await;
}

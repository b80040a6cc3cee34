//! Many requests at the same time, to nodes that are slow or do not answer.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::time::Duration;

use futures_util::future::{join_all, select_all};
use hearth_peer::{ClientLimits, Remote, SendError};

use crate::harness::{LIMITS, Node, fetch, get};

/// The time of a handshake on a slow node.
const SLOW: Duration = Duration::from_millis(40);

/// Enough for every request at once.
const MANY: ClientLimits = ClientLimits {
    connections: 256,
    idle: 64,
    ..LIMITS
};

#[tokio::test]
async fn a_burst_shares_the_connections_of_a_slow_node() {
    let node = Node::start_slow(SLOW).await;
    let client = node.client(MANY);
    let answers = join_all((0..150).map(|_| fetch(&client, node.remote, get("/known")))).await;
    for answer in answers {
        assert_eq!(answer.expect("an answer"), "four");
    }
    let accepted = node.seen().accepted;
    assert!(accepted < 75, "{accepted} connections for 150 requests");
}

#[tokio::test]
async fn a_burst_waits_for_a_slow_node_that_makes_progress() {
    let node = Node::start_slow(SLOW).await;
    let client = node.client(MANY);
    // No request ends, so each needs a connection.
    let failing = async {
        let waiting = (0..120).map(|_| Box::pin(client.send(node.remote, get("/wait"))));
        select_all(waiting).await.0
    };
    tokio::select! {
        result = failing => panic!("{result:?}"),
        _ = node.wait_for(|seen| seen.requests == 120) => {}
    }
}

#[tokio::test]
async fn a_burst_to_a_node_that_is_stopped_fails_as_one() {
    let node = Node::start().await;
    let client = node.client(MANY);
    // The kernel accepts connections for it, and nobody answers the handshakes.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let stopped = Remote {
        address: listener.local_addr().expect("bound"),
        ..node.remote
    };
    let sent = join_all((0..100).map(|_| client.send(stopped, get("/known")))).await;
    for sent in sent {
        assert!(matches!(sent, Err(SendError::NotSent(_))), "{sent:?}");
    }
    assert_eq!(client.open_connections(), 0);
    // Requests do not find out one after the other that it does not answer.
    listener.set_nonblocking(true).expect("a socket");
    let tried = std::iter::from_fn(|| match listener.accept() {
        Ok((stream, _)) => Some(stream),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            None
        }
    });
    let tried = tried.count();
    assert!((1..=20).contains(&tried), "{tried} connections");
}

//! `WebSockets`, with which Firecrawl's clients watch a crawl.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hearth_test_support::{TestServer, eventually};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::stand_in::Firecrawl;
use super::{builder, get};

fn request(server: &TestServer, header: (&'static str, &str)) -> Request {
    let url = format!("ws://{}/v2/crawl/7?a=b", server.address());
    let mut request = url.into_client_request().expect("a URL");
    let value = header.1.parse().expect("a value");
    request.headers_mut().insert(header.0, value);
    request
}

#[tokio::test]
async fn a_web_socket_passes_with_the_key_in_either_place() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl)
        .setting("HEARTH_FIRECRAWL_KEY", "fc-inner")
        .start()
        .await;
    for header in [
        ("authorization", "Bearer key"),
        // Firecrawl's JavaScript client sends the key as a subprotocol.
        ("sec-websocket-protocol", "key"),
    ] {
        let (mut socket, response) = connect_async(request(&server, header))
            .await
            .expect("accepted");
        let protocol = response.headers().get("sec-websocket-protocol");
        let expected = (header.0 == "sec-websocket-protocol").then_some("key");
        assert_eq!(
            protocol.map(|value| value.to_str().expect("text")),
            expected
        );
        for text in ["hello", &"x".repeat(300_000)] {
            socket.send(Message::text(text)).await.expect("sent");
            let echo = socket.next().await.expect("a message").expect("a message");
            assert_eq!(echo, Message::text(text));
        }
        let (_, metrics) = get(&server.with_key("key"), "/metrics").await;
        assert!(
            metrics.contains("\nhearth_firecrawl_connections 1\n"),
            "{metrics}"
        );
        drop(socket);
        eventually(Duration::from_secs(10), "the connection ends", async || {
            let (_, metrics) = get(&server.with_key("key"), "/metrics").await;
            if metrics.contains("\nhearth_firecrawl_connections 0\n") {
                Ok(())
            } else {
                Err(metrics)
            }
        })
        .await;
    }
    for seen in firecrawl.seen() {
        assert_eq!(seen.path, "/v2/crawl/7?a=b");
        assert_eq!(seen.header("authorization"), ["Bearer fc-inner"]);
        assert_eq!(seen.header("sec-websocket-protocol"), [""; 0]);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_web_socket_needs_a_key() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    for header in [
        ("authorization", "Bearer wrong"),
        ("sec-websocket-protocol", "wrong"),
    ] {
        let error = connect_async(request(&server, header))
            .await
            .expect_err("rejected");
        let Error::Http(response) = error else {
            panic!("{error}")
        };
        assert_eq!(response.status(), 401);
    }
    assert!(firecrawl.seen().is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_open_web_socket_does_not_delay_the_stop() {
    let firecrawl = Firecrawl::start().await;
    let server = builder(&firecrawl).start().await;
    let header = ("authorization", "Bearer key");
    let (mut socket, _) = connect_async(request(&server, header))
        .await
        .expect("accepted");
    socket.send(Message::text("hello")).await.expect("sent");
    socket.next().await.expect("a message").expect("a message");
    server.stop().await;
    assert!(!matches!(socket.next().await, Some(Ok(Message::Text(_)))));
}

//! A raw WebSocket client of a session's `cdpUrl`, for messages that no CDP library sends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::description::DescribedResponse;

const DEADLINE: Duration = Duration::from_secs(10);

/// Asserts that the OpenAPI file describes the response to an upgrade.
fn assert_described(url: &str, answer: &Response<Option<Vec<u8>>>) {
    let url: reqwest::Url = url.parse().expect("tests use valid URLs");
    let body = answer
        .body()
        .as_deref()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let (status, headers) = (answer.status().as_u16(), answer.headers());
    DescribedResponse {
        method: &Method::GET,
        path: url.path(),
        status,
        headers,
        body: &body,
    }
    .assert_described();
}

/// A connection to a session's browser.
#[derive(Debug)]
pub struct CdpClient {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl CdpClient {
    /// Connects; panics unless the upgrade is accepted.
    pub async fn connect(url: &str) -> Self {
        let connecting = tokio::time::timeout(DEADLINE, connect_async(url));
        let (socket, answer) = connecting
            .await
            .expect("the server responds to the upgrade")
            .expect("the upgrade is accepted");
        assert_described(url, &answer);
        Self { socket, last_id: 0 }
    }

    /// Tries to connect, and returns the status and the body of the rejected upgrade.
    pub async fn refused(url: &str) -> (u16, Value) {
        let connecting = tokio::time::timeout(DEADLINE, connect_async(url));
        match connecting
            .await
            .expect("the server responds to the upgrade")
        {
            Err(Error::Http(response)) => {
                assert_described(url, &response);
                let body = response.body().clone().unwrap_or_default();
                let body = serde_json::from_slice(&body);
                (
                    response.status().as_u16(),
                    body.expect("an error response has a JSON body"),
                )
            }
            Err(error) => panic!("the upgrade failed with another error: {error}"),
            Ok(_) => panic!("the upgrade was accepted"),
        }
    }

    /// Sends a command to the browser and returns the whole response; skips events.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.call_with_events(method, params).await.0
    }

    /// Sends a command and returns the response with every event that arrived before it.
    pub async fn call_with_events(&mut self, method: &str, params: Value) -> (Value, Vec<Value>) {
        self.last_id += 1;
        let id = self.last_id;
        let command = json!({"id": id, "method": method, "params": params});
        self.send_text(&command.to_string()).await;
        let answer = tokio::time::timeout(DEADLINE, self.answer_to(id));
        answer
            .await
            .unwrap_or_else(|_| panic!("no response to {method}"))
    }

    /// Waits for the next event with this name and returns its params.
    pub async fn event(&mut self, name: &str) -> Value {
        let waiting = async {
            loop {
                let message = self.message().await;
                if message["method"] == json!(name) {
                    return message["params"].clone();
                }
            }
        };
        tokio::time::timeout(DEADLINE, waiting)
            .await
            .unwrap_or_else(|_| panic!("the event {name} did not arrive"))
    }

    /// Sends a message unchanged.
    pub async fn send_text(&mut self, text: &str) {
        self.socket
            .send(Message::text(text))
            .await
            .expect("the connection is open");
    }

    /// Sends a message unchanged, unless the server has closed the connection.
    pub async fn try_send_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text)).await;
    }

    async fn answer_to(&mut self, id: u64) -> (Value, Vec<Value>) {
        let mut events = Vec::new();
        loop {
            let message = self.message().await;
            if message["id"] == json!(id) {
                return (message, events);
            }
            events.push(message);
        }
    }

    async fn message(&mut self) -> Value {
        loop {
            let message = self
                .socket
                .next()
                .await
                .expect("the connection is open")
                .expect("messages are complete");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("messages are JSON");
            }
        }
    }

    /// Closes the connection with a close frame and waits for the server's. Dropping a client cuts
    /// the connection instead.
    pub async fn close(mut self) {
        self.socket
            .close(None)
            .await
            .expect("the connection is open");
        self.closed(DEADLINE).await;
    }

    /// Waits until the server has closed the connection. Returns the code and the reason of its
    /// close frame if it sent one; panics after `deadline`.
    pub async fn closed(self, deadline: Duration) -> Option<(u16, String)> {
        closed(self.socket, deadline).await
    }
}

/// Reads a socket to its end. Returns the code and the reason of the server's close frame if it
/// sent one.
pub(crate) async fn closed(
    mut socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    deadline: Duration,
) -> Option<(u16, String)> {
    let draining = async {
        let mut close_frame = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(Some(frame)) = message {
                close_frame = Some((frame.code.into(), frame.reason.as_str().to_owned()));
            }
        }
        close_frame
    };
    tokio::time::timeout(deadline, draining)
        .await
        .expect("the server closes the connection")
}

//! A headless client of a session's live view. It records numbers and sizes, and acknowledges a
//! frame on request.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::cdp::closed;

const DEADLINE: Duration = Duration::from_secs(15);

/// A connection to a live view.
#[derive(Debug)]
pub struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A received frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// Sequence number.
    pub number: u32,
    /// Page size in CSS pixels.
    pub size: (u16, u16),
    /// Size of the JPEG.
    pub bytes: usize,
}

impl Viewer {
    /// Connects to `liveViewUrl` or `interactiveLiveViewUrl`; panics unless the upgrade is
    /// accepted.
    pub async fn connect(link: &str) -> Self {
        Self::knock(link, None)
            .await
            .expect("the upgrade is accepted")
    }

    /// Connects as a page of this origin does. Returns the status and the body if the upgrade is
    /// rejected.
    pub async fn connect_from(link: &str, origin: &str) -> Result<Self, (u16, Value)> {
        Self::knock(link, Some(origin)).await
    }

    async fn knock(link: &str, origin: Option<&str>) -> Result<Self, (u16, Value)> {
        let (page, token) = link.split_once('?').expect("a link has a token");
        let address = format!("{page}/socket?{token}").replacen("http", "ws", 1);
        let mut request = address
            .into_client_request()
            .expect("a link is a valid URL");
        if let Some(origin) = origin {
            request.headers_mut().insert(
                "origin",
                origin.parse().expect("an origin is a valid header value"),
            );
        }
        match tokio::time::timeout(DEADLINE, connect_async(request))
            .await
            .expect("the server responds to the upgrade")
        {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((
                    response.status().as_u16(),
                    serde_json::from_slice(&body).expect("an error response has a JSON body"),
                ))
            }
            Err(error) => panic!("the upgrade failed with another error: {error}"),
        }
    }

    /// Waits for the next frame.
    pub async fn frame(&mut self) -> ReceivedFrame {
        let waiting = async {
            loop {
                let message = self
                    .socket
                    .next()
                    .await
                    .expect("the server keeps the connection open")
                    .expect("the connection is open");
                let Message::Binary(frame) = message else {
                    continue;
                };
                let short = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
                let number = u32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
                return ReceivedFrame {
                    number,
                    size: (short(4), short(6)),
                    bytes: frame.len() - 8,
                };
            }
        };
        tokio::time::timeout(DEADLINE, waiting)
            .await
            .expect("a frame arrives")
    }

    /// Tells the server that a frame was drawn.
    pub async fn draw(&mut self, number: u32) {
        self.say(&json!({"type": "drawn", "frame": number})).await;
    }

    /// Waits for the next frame and draws it at once.
    pub async fn watch(&mut self) -> ReceivedFrame {
        let frame = self.frame().await;
        self.draw(frame.number).await;
        frame
    }

    /// Sends a message unchanged.
    pub async fn say(&mut self, message: &Value) {
        self.socket
            .send(Message::text(message.to_string()))
            .await
            .expect("the connection is open");
    }

    /// Waits until the server has closed the connection; returns the code and the reason it sent.
    pub async fn closed(self) -> Option<(u16, String)> {
        closed(self.socket, DEADLINE).await
    }
}

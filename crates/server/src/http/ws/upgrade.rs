//! The upgrade of a request to a WebSocket whose frames the server chooses.
//!
//! axum's WebSocket sends each message as one frame. Its library copies a frame before it writes
//! it, and keeps that memory until the connection ends. A CDP message can have 80 MiB, so CDP
//! connections send and read large messages as several frames.

use axum::extract::FromRequestParts;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Sink, SinkExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::split_frames::{FrameLimits, SplitFrames};
use crate::http::error::ApiError;

/// The maximum size of a frame that the server sends.
const MAX_FRAME_BYTES: usize = 128 * 1024;

/// A WebSocket on an upgraded connection.
pub(crate) type Socket = WebSocketStream<SplitFrames<TokioIo<Upgraded>>>;

/// A request that asks for a WebSocket. Other requests are rejected.
pub(crate) struct Upgrade {
    connection: OnUpgrade,
    accept: HeaderValue,
}

impl<S: Sync> FromRequestParts<S> for Upgrade {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Upgrade, ApiError> {
        let asks = is_websocket(parts);
        let key = parts.headers.get(SEC_WEBSOCKET_KEY).filter(|_| asks);
        let accept = derive_accept_key(key.ok_or(ApiError::UpgradeRequired)?.as_bytes());
        Ok(Upgrade {
            accept: HeaderValue::try_from(accept).map_err(|_| ApiError::UpgradeRequired)?,
            connection: parts.extensions.remove().ok_or(ApiError::UpgradeRequired)?,
        })
    }
}

impl Upgrade {
    /// Returns the response that accepts the upgrade, and the WebSocket that follows it.
    pub fn accept(
        self,
        config: WebSocketConfig,
        limits: FrameLimits,
    ) -> (Response, impl Future<Output = hyper::Result<Socket>>) {
        let headers = [
            (CONNECTION, HeaderValue::from_static("upgrade")),
            (UPGRADE, HeaderValue::from_static("websocket")),
            (SEC_WEBSOCKET_ACCEPT, self.accept),
        ];
        let response = (StatusCode::SWITCHING_PROTOCOLS, headers).into_response();
        let connection = self.connection;
        let socket = async move {
            let frames = SplitFrames::new(TokioIo::new(connection.await?), limits);
            Ok(WebSocketStream::from_raw_socket(frames, Role::Server, Some(config)).await)
        };
        (response, socket)
    }
}

/// Returns true if a request asks for a WebSocket.
pub(crate) fn is_websocket(parts: &Parts) -> bool {
    let headers = &parts.headers;
    parts.method == Method::GET
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &SEC_WEBSOCKET_VERSION, "13")
}

/// Returns true if a header's list of tokens contains `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|each| each.trim().eq_ignore_ascii_case(token))
}

/// Writes a text message, in several frames if it is large. The caller flushes the sink.
pub(crate) async fn send_text<S: Sink<Message> + Unpin>(
    sink: &mut S,
    text: String,
) -> Result<(), S::Error> {
    let mut rest = Bytes::from(text);
    let mut kind = Data::Text;
    loop {
        let payload = rest.split_to(rest.len().min(MAX_FRAME_BYTES));
        let is_last = rest.is_empty();
        let frame = Frame::message(payload, OpCode::Data(kind), is_last);
        sink.feed(Message::Frame(frame)).await?;
        if is_last {
            return Ok(());
        }
        kind = Data::Continue;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the kinds, the ends and the payloads of the frames of a message.
    async fn frames_of(text: &str) -> Vec<(OpCode, bool, String)> {
        let mut frames = Vec::new();
        let sink = futures_util::sink::unfold(&mut frames, |frames, message| {
            let Message::Frame(frame) = message else {
                panic!("{message:?} is not a frame")
            };
            let header = frame.header();
            let payload = String::from_utf8(frame.payload().to_vec()).expect("UTF-8");
            frames.push((header.opcode, header.is_final, payload));
            std::future::ready(Ok::<_, ()>(frames))
        });
        let sending = async {
            let mut sink = std::pin::pin!(sink);
            send_text(&mut sink, text.to_owned()).await
        };
        sending.await.expect("sent");
        frames
    }

    #[tokio::test]
    async fn a_large_message_has_several_frames() {
        let (text, more) = (OpCode::Data(Data::Text), OpCode::Data(Data::Continue));
        for short in ["", "{}"] {
            assert_eq!(frames_of(short).await, [(text, true, short.to_owned())]);
        }
        let full = "x".repeat(MAX_FRAME_BYTES);
        assert_eq!(frames_of(&full).await, [(text, true, full.clone())]);
        assert_eq!(
            frames_of(&format!("{full}{full}end")).await,
            [
                (text, false, full.clone()),
                (more, false, full.clone()),
                (more, true, "end".to_owned())
            ]
        );
    }

    #[test]
    fn headers_are_lists_of_tokens() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static(value))])
        };
        for (value, is_upgrade) in [
            ("Upgrade", true),
            ("keep-alive, upgrade", true),
            ("keep-alive", false),
            ("upgraded", false),
            ("", false),
        ] {
            let found = has_token(&headers(value), &CONNECTION, "upgrade");
            assert_eq!(found, is_upgrade, "{value}");
        }
    }
}

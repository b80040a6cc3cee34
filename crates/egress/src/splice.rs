//! Answers that are long: once their head is known, hyper is taken off both connections, and the
//! body goes the short way.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::headers;
use crate::meter::Metered;
use crate::relay::{Endpoint, copy, write_all};
use crate::response;

/// What is shorter is not worth the connection, which ends with it.
const LONG_TRANSFER_BYTES: u64 = 1024 * 1024;

/// An answer whose head is known.
pub(crate) struct SplicedResponse {
    head: Vec<u8>,
    outside: Endpoint,
    length: u64,
}

/// Whether the answer to a request may be spliced over: nothing of the request is left to be read,
/// and whoever has sent it knows that a connection ends.
pub(crate) fn is_spliceable_request(request: &Request<Incoming>) -> bool {
    request.method() == hyper::Method::GET
        && request.version() == Version::HTTP_11
        && request.is_end_stream()
}

/// Whether it is long, with a length that is told.
pub(crate) fn is_spliceable_response(response: &Response<Incoming>) -> bool {
    response::is_complete(response.status())
        && response
            .size_hint()
            .exact()
            .is_some_and(|length| length >= LONG_TRANSFER_BYTES)
}

/// Takes an answer off the connection on which its head has come.
pub(crate) fn take(
    response: Response<Incoming>,
    outgoing: http1::Connection<TokioIo<TcpStream>, Incoming>,
) -> Option<SplicedResponse> {
    let (mut head, mut body) = response.into_parts();
    let length = body.size_hint().exact()?;
    // What has been read so far is in two connection_slots: first what was taken for the body, then what was
    // not looked at.
    let mut early = BytesMut::new();
    while let Some(Some(frame)) = body.frame().now_or_never() {
        early.extend_from_slice(frame.ok()?.data_ref()?);
    }
    let parts = outgoing.into_parts();
    early.extend_from_slice(&parts.read_buf);
    let length_told = u64::try_from(early.len()).ok()?.min(length);
    early.truncate(usize::try_from(length_told).ok()?);
    headers::strip(&mut head.headers);
    head.headers
        .insert(CONTENT_LENGTH, HeaderValue::from(length));
    head.headers
        .insert(CONNECTION, HeaderValue::from_static("close"));
    let mut text = Vec::new();
    let reason = head.status.canonical_reason().unwrap_or_default();
    write!(text, "HTTP/1.1 {} {reason}\r\n", head.status.as_u16()).ok()?;
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    let outside = Endpoint {
        stream: parts.io.into_inner(),
        early: Bytes::from(early),
    };
    Some(SplicedResponse {
        head: text,
        outside,
        length,
    })
}

impl SplicedResponse {
    /// Writes it to the program, whose connection ends with it.
    pub(crate) async fn send(self, inside: &Metered, long: &Semaphore) -> std::io::Result<()> {
        let SplicedResponse {
            head,
            outside,
            length,
        } = self;
        let add_down = |bytes| inside.meter.add_down(bytes);
        for bytes in [&head[..], &outside.early] {
            write_all(&inside.stream, bytes).await?;
            add_down(bytes.len());
        }
        let left = length - outside.early.len() as u64;
        copy(&outside.stream, &inside.stream, left, long, add_down).await
    }
}

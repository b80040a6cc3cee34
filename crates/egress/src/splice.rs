//! Splices long responses.
//!
//! Once the head of a long response has arrived, both sockets are taken back from hyper, and the
//! body is copied directly from one socket to the other. The copy runs in user space; see `relay`
//! for why it does not use `splice(2)`.

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

/// Minimum length of a spliced response. For shorter responses it is cheaper to keep the client's
/// connection, which a spliced response ends.
const LONG_TRANSFER_BYTES: u64 = 1024 * 1024;

/// A response whose head is complete and whose body is still arriving.
pub(crate) struct SplicedResponse {
    head: Vec<u8>,
    server: Endpoint,
    length: u64,
}

/// Returns whether the response to a request may be spliced: the request has been read completely,
/// and its client understands that the connection ends afterwards.
pub(crate) fn is_spliceable_request(request: &Request<Incoming>) -> bool {
    request.method() == hyper::Method::GET
        && request.version() == Version::HTTP_11
        && request.is_end_stream()
}

/// Returns whether a response is complete, declares its length, and is long.
pub(crate) fn is_spliceable_response(response: &Response<Incoming>) -> bool {
    response::has_requested_body(response.status())
        && response
            .size_hint()
            .exact()
            .is_some_and(|length| length >= LONG_TRANSFER_BYTES)
}

/// Takes a response and its socket back from hyper.
pub(crate) fn take(
    response: Response<Incoming>,
    outgoing: http1::Connection<TokioIo<TcpStream>, Incoming>,
) -> Option<SplicedResponse> {
    let (mut head, mut body) = response.into_parts();
    let length = body.size_hint().exact()?;
    // The bytes read so far are in two places: first the part already parsed as the body, then the
    // unparsed rest.
    let mut buffered = BytesMut::new();
    while let Some(Some(frame)) = body.frame().now_or_never() {
        buffered.extend_from_slice(frame.ok()?.data_ref()?);
    }
    let parts = outgoing.into_parts();
    buffered.extend_from_slice(&parts.read_buf);
    let buffered_length = u64::try_from(buffered.len()).ok()?.min(length);
    buffered.truncate(usize::try_from(buffered_length).ok()?);
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
    let server = Endpoint {
        stream: parts.io.into_inner(),
        buffered: Bytes::from(buffered),
    };
    Some(SplicedResponse {
        head: text,
        server,
        length,
    })
}

impl SplicedResponse {
    /// Writes the response to the client, whose connection ends with it.
    pub(crate) async fn send(
        self,
        client: &Metered,
        large_buffers: &Semaphore,
    ) -> std::io::Result<()> {
        let SplicedResponse {
            head,
            server,
            length,
        } = self;
        let add_down = |bytes| client.meter.add_down(bytes);
        for bytes in [&head[..], &server.buffered] {
            write_all(&client.stream, bytes).await?;
            add_down(bytes.len());
        }
        let left = length - server.buffered.len() as u64;
        copy(
            &server.stream,
            &client.stream,
            left,
            large_buffers,
            add_down,
        )
        .await
    }
}

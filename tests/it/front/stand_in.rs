//! A server with the wire behaviour of a self-hosted Firecrawl: its routes, its JSON, its CORS
//! header, and connections that stay open.
//!
//! | request | response |
//! |---|---|
//! | `GET /` | a redirect to the documentation |
//! | `POST /v2/scrape` | a scrape; `url` selects its kind, see [`Firecrawl::scrape`] |
//! | `/v2/echo/…` | everything that arrived, as JSON, with status 203 and some headers |
//! | `POST /v2/parse` | the number of bytes that arrived |
//! | `GET /v2/parts` | one part, and a second one after [`Firecrawl::release`] |
//! | `GET /v2/bytes/N` | N bytes in parts |
//! | `GET /v2/hang` | none |
//! | `GET /v2/broken` | a part of what it announces; after [`Firecrawl::release`] it breaks off |
//! | `GET /v2/status/N` | status N with an error |
//! | a WebSocket to `/v2/crawl/…` | every message is sent back |

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// The time for an event that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// The id in the responses of scrapes.
pub const SCRAPE_ID: &str = "0199a2d1-1c1f-7d01-a5a0-2f7f6a7ef0c1";

/// The size of the parts of long bodies.
const PART_BYTES: usize = 64 * 1024;

/// A request, without its body.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// Returns the values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(header, _)| header == name);
        matching.map(|(_, value)| value.as_str()).collect()
    }
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    release: Notify,
    /// Hanging requests that are open, and that have been abandoned.
    hanging: watch::Sender<(usize, usize)>,
}

/// A stand-in for Firecrawl. Dropping it closes its listener and its connections.
pub struct Firecrawl {
    address: SocketAddr,
    is_https: bool,
    shared: Arc<Shared>,
    _serving: JoinSet<()>,
}

impl Firecrawl {
    /// Starts it on any port.
    pub async fn start() -> Firecrawl {
        Firecrawl::start_at(([127, 0, 0, 1], 0).into(), None).await
    }

    /// Starts it on any port, with TLS.
    pub async fn start_with_tls(tls: TlsAcceptor) -> Firecrawl {
        Firecrawl::start_at(([127, 0, 0, 1], 0).into(), Some(tls)).await
    }

    /// Starts it on the given port.
    pub async fn start_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> Firecrawl {
        let listener = TcpListener::bind(address).await.expect("the port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let is_https = tls.is_some();
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, tls, Arc::clone(&shared)));
        Firecrawl {
            address,
            is_https,
            shared,
            _serving: serving,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the value of `HEARTH_FIRECRAWL_URL`.
    pub fn url(&self) -> String {
        let scheme = if self.is_https { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Returns all requests, except those of probes.
    pub fn seen(&self) -> Vec<Seen> {
        let seen = self.shared.seen.lock().expect("no panic");
        let requests = seen.iter().filter(|request| request.path != "/");
        requests.cloned().collect()
    }

    /// Lets the second part of one response to `/v2/parts` be sent.
    pub fn release(&self) {
        self.shared.release.notify_one();
    }

    /// Waits until this many requests to `/v2/hang` are open, and this many were abandoned.
    pub async fn wait_for_hanging(&self, open: usize, abandoned: usize) {
        let mut hanging = self.shared.hanging.subscribe();
        let reached = hanging.wait_for(|counts| *counts == (open, abandoned));
        let outcome = timeout(PATIENCE, reached).await;
        let is_reached = outcome.is_ok();
        drop(outcome);
        let counts = *self.shared.hanging.borrow();
        assert!(is_reached, "{counts:?} instead of {:?}", (open, abandoned));
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        match tls.clone() {
            None => {
                connections.spawn(serve(stream, shared));
            }
            Some(tls) => {
                connections.spawn(async move {
                    // Clients that reject the certificate are expected.
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, shared).await;
                    }
                });
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, shared: Arc<Shared>) {
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // A client may leave at any time.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(request: Request<Incoming>, shared: &Arc<Shared>) -> Response<Body> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter();
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
    };
    let kept = seen.clone();
    shared.seen.lock().expect("no panic").push(kept);
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => redirect(),
        ["v2", "scrape"] => scrape(request).await,
        ["v2", "echo", ..] => echo(seen, request).await,
        ["v2", "parse"] => {
            let bytes = count(request.into_body()).await;
            json_response(StatusCode::OK, &json!({"success": true, "bytes": bytes}))
        }
        ["v2", "parts"] => two_parts(shared),
        ["v2", "bytes", count] => many_bytes(count.parse().expect("a number")),
        ["v2", "hang"] => {
            let _open = Hanging::new(shared);
            std::future::pending().await
        }
        ["v2", "broken"] => broken(shared),
        ["v2", "status", code] => {
            let code = StatusCode::from_bytes(code.as_bytes()).expect("a status");
            json_response(code, &json!({"success": false, "error": "from firecrawl"}))
        }
        ["v2", "crawl", _] if request.headers().contains_key(UPGRADE) => web_socket(request),
        _ => json_response(
            StatusCode::NOT_FOUND,
            &json!({"success": false, "error": "Cannot find it"}),
        ),
    }
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .header("access-control-allow-origin", "*")
        .body(full(body.to_string()))
        .expect("a response")
}

fn redirect() -> Response<Body> {
    Response::builder()
        .status(StatusCode::FOUND)
        .header("location", "https://docs.example/")
        .body(full("Found"))
        .expect("a response")
}

async fn echo(seen: Seen, request: Request<Incoming>) -> Response<Body> {
    let body = request.into_body().collect().await.expect("a body");
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    let text = json!({
        "method": seen.method,
        "path": seen.path,
        "headers": seen.headers,
        "body": body,
    });
    Response::builder()
        .status(StatusCode::NON_AUTHORITATIVE_INFORMATION)
        .header(CONTENT_TYPE, "application/json")
        .header("set-cookie", "a=1")
        .header("set-cookie", "b=2")
        .header("x-response-time", "7ms")
        .header("keep-alive", "timeout=5")
        .header(CONNECTION, "keep-alive, x-hop")
        .header("x-hop", "1")
        .body(full(text.to_string()))
        .expect("a response")
}

async fn count(mut body: Incoming) -> usize {
    let mut bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        bytes += frame.data_ref().map_or(0, Bytes::len);
    }
    bytes
}

fn two_parts(shared: &Arc<Shared>) -> Response<Body> {
    let shared = Arc::clone(shared);
    let first = stream::once(async { Ok(Frame::data(Bytes::from_static(b"first "))) });
    let second = stream::once(async move {
        shared.release.notified().await;
        Ok(Frame::data(Bytes::from_static(b"second")))
    });
    Response::new(BodyExt::boxed_unsync(StreamBody::new(first.chain(second))))
}

fn many_bytes(count: usize) -> Response<Body> {
    let parts = stream::unfold(count, async |left| {
        let size = left.min(PART_BYTES);
        let part = Bytes::from(vec![b'x'; size]);
        (size > 0).then(|| (Ok(Frame::data(part)), left - size))
    });
    Response::new(BodyExt::boxed_unsync(StreamBody::new(parts)))
}

fn broken(shared: &Arc<Shared>) -> Response<Body> {
    let shared = Arc::clone(shared);
    let part = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{\"success\":"))) });
    let end = stream::once(async move {
        shared.release.notified().await;
        Err(io::Error::other("the server crashed"))
    });
    Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, 1000)
        .body(BodyExt::boxed_unsync(StreamBody::new(part.chain(end))))
        .expect("a response")
}

/// Answers a scrape. The last part of its `url` selects the kind: `plain`, `no-id` (without
/// `scrapeId`), `medium` and `large` (20 and 33 MiB, without `scrapeId`), `fails`.
async fn scrape(request: Request<Incoming>) -> Response<Body> {
    let body = request.into_body().collect().await.expect("a body");
    // Express accepts members that are nested deeper than a `Value` may be.
    let body: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&body.to_bytes()).expect("JSON");
    let actions = body.get("actions").map(|actions| actions.get());
    if actions.is_some_and(|actions| actions.starts_with('[')) {
        let error = json!({
            "success": false,
            "code": "SCRAPE_ACTIONS_NOT_SUPPORTED",
            "error": "Actions require Fire Engine",
        });
        return json_response(StatusCode::BAD_REQUEST, &error);
    }
    let url = body.get("url").map_or("\"\"", |url| url.get());
    let url: String = serde_json::from_str(url).expect("a text");
    let mut metadata = json!({"title": "Plain", "sourceURL": url, "statusCode": 200});
    match url.rsplit('/').next().unwrap_or_default() {
        "plain" => metadata["scrapeId"] = SCRAPE_ID.into(),
        "no-id" => {}
        "medium" => return long(MEDIUM_BYTES),
        "large" => return long(LARGE_BYTES),
        _ => {
            let error = json!({"success": false, "code": "SCRAPE_SITE_ERROR", "error": "no"});
            return json_response(StatusCode::INTERNAL_SERVER_ERROR, &error);
        }
    }
    let data = json!({"markdown": "# Plain", "metadata": metadata});
    json_response(StatusCode::OK, &json!({"success": true, "data": data}))
}

/// The sizes of the texts in the responses of long scrapes.
const MEDIUM_BYTES: usize = 20 << 20;
pub const LARGE_BYTES: usize = 33 << 20;

fn long(size: usize) -> Response<Body> {
    let part = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let start = stream::once(async move { part("{\"success\":true,\"data\":{\"markdown\":\"") });
    let text = stream::unfold(size, async |left| {
        let size = left.min(PART_BYTES);
        (size > 0).then(|| (Ok(Frame::data(Bytes::from(vec![b'x'; size]))), left - size))
    });
    let end = stream::once(async move { part("\",\"metadata\":{}}}") });
    Response::builder()
        .header(CONTENT_TYPE, "application/json; charset=utf-8")
        .body(BodyExt::boxed_unsync(StreamBody::new(
            start.chain(text).chain(end),
        )))
        .expect("a response")
}

/// Accepts a WebSocket that sends every message back, with the first protocol that the client
/// offers.
fn web_socket(mut request: Request<Incoming>) -> Response<Body> {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header("sec-websocket-accept", derive_accept_key(key));
    if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
        response = response.header("sec-websocket-protocol", protocol);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.expect("an upgrade"));
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        let (sink, stream) = socket.split();
        let messages = stream.filter(|message| {
            let is_data = message
                .as_ref()
                .is_ok_and(tokio_tungstenite::tungstenite::Message::is_text);
            std::future::ready(is_data)
        });
        // The client ends the connection.
        let _ = messages.forward(sink).await;
    });
    response.body(full("")).expect("a response")
}

/// A request that hangs. Dropping it counts it as abandoned.
struct Hanging(Arc<Shared>);

impl Hanging {
    fn new(shared: &Arc<Shared>) -> Hanging {
        shared.hanging.send_modify(|(open, _)| *open += 1);
        Hanging(Arc::clone(shared))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.0.hanging.send_modify(|(open, abandoned)| {
            *open -= 1;
            *abandoned += 1;
        });
    }
}

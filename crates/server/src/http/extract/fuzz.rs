//! A fuzz target for everything that a client sends on one connection: heads, bodies and WebSocket
//! frames. The connection is served by the real listener, with its timeouts and limits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hearth_fuzz::{Result as Generated, Target, Unstructured, Vocabulary};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::api_keys::ApiKeys;
use crate::config::ServerLimits;
use crate::http::connections::{ConnectionLimits, Connections};
use crate::http::serve::Listener;

/// The budgets of the server and of the session that owns the WebSocket.
const SERVER_BYTES: u64 = 100 * 1024;
const SESSION_BYTES: u64 = 4 * 1024;

/// The maximum size of a WebSocket message.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// The bytes of messages that are not counted, because they arrived with the head of the request.
const UNCOUNTED_BYTES: u64 = 32 * 1024;

/// The time after which nothing else happens. The clock is paused, so it passes only while all
/// tasks wait.
const IDLE: Duration = Duration::from_millis(10);

const BODIES: Vocabulary = Vocabulary {
    names: &[
        "ttl", "profile", "name", "code", "language", "timeout", "other",
    ],
    strings: &["node", "1+1", "", "\u{1f36a}"],
};

const LINES: &[&str] = &[
    "Host: x\r\n",
    "Content-Type: application/json\r\n",
    "Content-Type: text/plain\r\n",
    "Authorization: Bearer key\r\n",
    "Authorization: Bearer wrong\r\n",
    "Content-Length: 2\r\n",
    "Content-Length: 70000\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: -1\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: x\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "X: \u{e9}\0\r\n",
    " folded\r\n",
    "Broken\r\n",
];

const UPGRADE: &str = "GET /socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The state of the routes.
#[derive(Clone)]
struct Routes {
    keys: Arc<ApiKeys>,
    server: Budget,
    session: Budget,
    /// Bytes of bodies and messages that handlers received.
    received: Arc<AtomicUsize>,
    /// A broken invariant.
    failure: Arc<Mutex<Option<String>>>,
}

impl Routes {
    fn require(&self, holds: bool, invariant: &str) {
        if !holds {
            *self.failure.lock().expect("no panic") = Some(invariant.to_owned());
        }
    }
}

/// Reads a body as [`ApiRequest`] does.
async fn read_body(State(routes): State<Routes>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let authenticate =
        || auth::authenticate(&routes.keys, &parts.headers).map(|_| team::everybody());
    let mut buffer = BodyBuffer::new(&routes.server, ServerLimits::STANDARD);
    let result = buffer.read(&parts.headers, body, &authenticate).await;
    routes
        .received
        .fetch_add(buffer.received, Ordering::Relaxed);
    let is_bounded = buffer.bytes.len() as u64 <= buffer.reserved.bytes();
    routes.require(is_bounded, "a body is larger than its reservation");
    let is_unchecked =
        authenticate().is_err() && buffer.bytes.len() > buffer.limits.unchecked_body_bytes;
    routes.require(!is_unchecked, "a large body without a key was kept");
    result?;
    let turn = async || {
        let turns = Arc::new(Semaphore::new(1));
        Ok(turns.acquire_owned().await.expect("it is never closed"))
    };
    parse_body(&parts, Arc::new(buffer), turn).await?;
    authenticate()?;
    Ok("parsed".into_response())
}

/// Reads messages as the socket of a CDP client does.
async fn read_messages(
    State(routes): State<Routes>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Response {
    let connection = Arc::clone(
        request
            .extensions()
            .get::<Arc<ClientConnection>>()
            .expect("a connection"),
    );
    connection.upgrade(&routes.session);
    let upgrade = upgrade
        .read_buffer_size(1024)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES);
    upgrade.on_upgrade(async move |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            drop(connection.take_message());
            let bytes = message.into_data().len();
            let is_counted = bytes as u64 <= SESSION_BYTES + UNCOUNTED_BYTES;
            routes.require(is_counted, "a message is larger than the budget");
            routes.received.fetch_add(bytes, Ordering::Relaxed);
        }
    })
}

fn push_frame(random: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Generated<()> {
    let opcode = *random.choose(&[
        0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x88, 0x89, 0x8a, 0x83, 0xf1,
    ])?;
    let payload = vec![b'a'; *random.choose(&[0, 5, 125, 126, 3000, 9000, 60_000])?];
    let mask = if random.ratio(1, 10)? { 0 } else { 0x80 };
    bytes.push(opcode);
    match payload.len() {
        length if random.ratio(1, 12)? => {
            bytes.push(mask | 0x7f);
            bytes.extend((u64::MAX - length as u64).to_be_bytes());
        }
        length @ 0..=125 => bytes.push(mask | u8::try_from(length).unwrap_or(125)),
        length => {
            bytes.push(mask | 0x7e);
            bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    if mask != 0 {
        bytes.extend([0; 4]);
    }
    bytes.extend(payload);
    Ok(())
}

fn push_request(random: &mut Unstructured<'_>, bytes: &mut Vec<u8>) -> Generated<()> {
    let body = match random.int_in_range(0..=5)? {
        0 => String::new(),
        1 => "x".repeat(70_000),
        _ => BODIES.value(random)?,
    };
    let mut head = String::new();
    head.push_str(random.choose(&["POST", "POST", "GET", "PUT", "get", "PRI"])?);
    head.push_str(random.choose(&[
        " / ",
        " /socket ",
        " /%ff?x=%00 ",
        " * ",
        " http://x/ ",
        "  ",
    ])?);
    head.push_str(random.choose(&[
        "HTTP/1.1\r\n",
        "HTTP/1.1\r\n",
        "HTTP/1.0\r\n",
        "HTTP/2.0\r\n",
        "\n",
    ])?);
    for _ in 0..random.int_in_range(0..=5)? {
        head.push_str(random.choose(LINES)?);
    }
    let is_chunked = random.ratio(1, 3)?;
    if is_chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else {
        head.push_str("Content-Length: ");
        head.push_str(&body.len().to_string());
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    bytes.extend(head.bytes());
    if is_chunked {
        let length = *random.choose(&[body.len(), 0, 1, usize::MAX])?;
        bytes.extend(format!("{length:x}\r\n{body}\r\n0\r\n\r\n").bytes());
    } else {
        bytes.extend(body.bytes());
    }
    Ok(())
}

fn generate(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let mut bytes = Vec::new();
    if random.ratio(1, 3)? {
        bytes.extend(UPGRADE.bytes());
        for _ in 0..random.int_in_range(1..=5)? {
            push_frame(random, &mut bytes)?;
        }
    } else {
        for _ in 0..random.int_in_range(1..=3)? {
            push_request(random, &mut bytes)?;
        }
    }
    Ok(bytes)
}

/// Sends bytes on a new connection, and returns everything that the server answers.
async fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await;
    let (mut reading, mut writing) = stream.expect("the server listens").into_split();
    let mut answer = Vec::new();
    let sending = async {
        // The server may have closed the connection after an invalid part.
        let _ = writing.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let receiving =
        async { while let Ok(Ok(1..)) = timeout(IDLE, reading.read_buf(&mut answer)).await {} };
    tokio::select! {
        () = receiving => {}
        () = sending => {}
    }
    // Ends a request that is not complete.
    let _ = writing.shutdown().await;
    let _ = reading.read_to_end(&mut answer).await;
    answer
}

/// Asserts that the server's bytes begin with a response that a client may cause.
fn assert_answer(answer: &[u8]) {
    if answer.is_empty() {
        return;
    }
    let status = answer
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| answer.strip_prefix(b"HTTP/1.0 "))
        .and_then(|rest| rest.get(..3));
    let status = status.expect("a response");
    let allowed: &[&[u8]] = &[
        b"100", b"101", b"200", b"400", b"401", b"404", b"405", b"413", b"414", b"426", b"431",
        b"503",
    ];
    assert!(
        allowed.contains(&status),
        "{}",
        answer.escape_ascii().to_string()
    );
}

#[test]
fn connections_are_answered_and_leave_nothing() {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let routes = Routes {
        keys: Arc::new(ApiKeys::parse("team:key").expect("a key")),
        server: Budget::new("the server", SERVER_BYTES),
        session: Budget::new("this session", SESSION_BYTES),
        received: Arc::default(),
        failure: Arc::default(),
    };
    let app = Router::new()
        .route("/", any(read_body))
        .route("/socket", get(read_messages))
        .with_state(routes.clone());
    let connections = Connections::new(ConnectionLimits {
        total: 8,
        per_address: 8,
    });
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let port = runtime.block_on(async {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let listener = Listener {
            limits: ServerLimits::STANDARD,
            socket,
            connections: Arc::clone(&connections),
            pause: watch::channel(false).1,
            first_request_time: Duration::ZERO,
        };
        tasks.spawn(listener.serve(app, stop.clone()));
        port
    });
    let target = Target {
        name: "http-connection",
        words: LINES,
        inputs: 300,
        max_bytes: 160 * 1024,
    };
    let all_is_returned = || {
        (
            connections.counts().open,
            routes.server.used(),
            routes.session.used(),
        ) == (0, 0, 0)
    };
    target.run(generate, |input| {
        routes.received.store(0, Ordering::Relaxed);
        *routes.failure.lock().expect("no panic") = None;
        runtime.block_on(async {
            assert_answer(&exchange(port, input).await);
            // No connection and no reserved byte is left.
            while !all_is_returned() {
                tokio::task::yield_now().await;
            }
        });
        assert!(routes.received.load(Ordering::Relaxed) <= input.len());
        let failure = routes.failure.lock().expect("no panic").take();
        assert_eq!(failure, None);
    });
    stop.cancel();
    tasks.close();
    runtime.block_on(tasks.wait());
}

//! A proxy, a client that sends given bytes to it, and an origin server that records the bytes it
//! receives.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth_egress::{Egress, Policy, Proxy, Resolve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// Time limit of a wait. It exceeds every time limit of the proxy, so that tests can wait for
/// those.
const TEST_TIMEOUT: Duration = Duration::from_hours(1);

pub struct Harness {
    pub egress: Egress,
    pub proxy: Proxy,
    pub tracker: TaskTracker,
}

impl Harness {
    pub async fn start(policy: Policy) -> Harness {
        Harness::with_egress(Egress::new(policy)).await
    }

    /// Starts a proxy in filtered mode with this allow list.
    pub async fn allowing(list: &str) -> Harness {
        Harness::start(Policy {
            allow: list.parse().expect("a list"),
            ..Policy::default()
        })
        .await
    }

    pub async fn with_egress(egress: Egress) -> Harness {
        let tracker = TaskTracker::new();
        let proxy = egress.open(&tracker).await.expect("loopback has a port");
        Harness {
            egress,
            proxy,
            tracker,
        }
    }

    pub async fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.proxy.port()))
            .await
            .expect("the proxy listens");
        Client {
            stream,
            buffered: Vec::new(),
        }
    }

    /// Sends a request on a new connection and returns the complete response.
    pub async fn request(&self, request: &str) -> String {
        let mut client = self.client().await;
        client.send(request).await;
        client.response().await
    }

    /// Requests a URL with GET.
    pub async fn get(&self, url: &str) -> String {
        let host = url.split('/').nth(2).expect("a host");
        self.request(&format!(
            "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

/// A client's connection to the proxy.
pub struct Client {
    pub stream: TcpStream,
    /// Bytes that were read beyond the last response.
    buffered: Vec<u8>,
}

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .await
            .expect("the proxy reads");
    }

    /// Reads until `text` arrives, and returns everything up to its end.
    pub async fn read_until(&mut self, text: &str) -> String {
        let reading = async {
            loop {
                if let Some(at) = find(&self.buffered, text.as_bytes()) {
                    let rest = self.buffered.split_off(at + text.len());
                    let read = std::mem::replace(&mut self.buffered, rest);
                    return String::from_utf8_lossy(&read).into_owned();
                }
                let count = self.stream.read_buf(&mut self.buffered).await.unwrap_or(0);
                assert!(
                    count > 0,
                    "{text:?} did not arrive: {:?}",
                    String::from_utf8_lossy(&self.buffered)
                );
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, reading)
            .await
            .expect("the proxy responds")
    }

    /// Reads one response with its body, or the bytes that arrived before the connection closed.
    pub async fn response(&mut self) -> String {
        let reading = async {
            loop {
                if let Some(length) = response_length(&self.buffered) {
                    let rest = self.buffered.split_off(length);
                    return std::mem::replace(&mut self.buffered, rest);
                }
                if self.stream.read_buf(&mut self.buffered).await.unwrap_or(0) == 0 {
                    return std::mem::take(&mut self.buffered);
                }
            }
        };
        let response = tokio::time::timeout(TEST_TIMEOUT, reading)
            .await
            .expect("the proxy responds");
        String::from_utf8_lossy(&response).into_owned()
    }

    /// Reads until the end of the connection.
    pub async fn read_to_end(mut self) -> String {
        let mut rest = std::mem::take(&mut self.buffered);
        let reading = self.stream.read_to_end(&mut rest);
        // A connection reset counts as the end.
        let _ = tokio::time::timeout(TEST_TIMEOUT, reading)
            .await
            .expect("the connection ends");
        String::from_utf8_lossy(&rest).into_owned()
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Returns the length of the response at the start of `bytes`, if it declares its length and is
/// complete.
fn response_length(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| {
        line.strip_prefix("content-length:")?
            .trim()
            .parse::<usize>()
            .ok()
    })?;
    (bytes.len() >= head + length).then_some(head + length)
}

/// An HTTP server that sends one response per connection and records the requests.
pub struct Origin {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    _accepting: tokio::task::JoinSet<()>,
}

impl Origin {
    /// Starts a server on 127.0.0.1 that sends `response` after it has read a complete request.
    pub async fn responding(response: &str) -> Origin {
        Origin::at("127.0.0.1:0", response).await
    }

    pub async fn at(address: &str, response: &str) -> Origin {
        let listener = TcpListener::bind(address)
            .await
            .expect("loopback has a port");
        let address = listener.local_addr().expect("an address");
        let got: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut accepting = tokio::task::JoinSet::new();
        let (kept, response) = (Arc::clone(&got), response.to_owned());
        accepting.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let request = read_request(&mut stream).await;
                kept.lock().expect("no panic").push(request);
                // Writing fails if the client has disconnected.
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        Origin {
            address,
            got,
            _accepting: accepting,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the requests so far with their bodies, one for each connection.
    pub fn requests(&self) -> Vec<String> {
        self.got.lock().expect("no panic").clone()
    }
}

/// Reads a head and its body, which is delimited by a length or by the last chunk.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| {
                line.strip_prefix("content-length:")?
                    .trim()
                    .parse::<usize>()
                    .ok()
            });
            let is_complete = match length {
                Some(length) => body.len() >= length,
                None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if is_complete {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return text;
        }
    }
}

/// A resolver that returns scripted responses in order and repeats the last one.
#[derive(Debug)]
pub struct ScriptedResolver(Mutex<VecDeque<Vec<IpAddr>>>, AtomicUsize);

impl ScriptedResolver {
    pub fn of(responses: &[&[&str]]) -> Arc<ScriptedResolver> {
        let parse = |response: &&[&str]| {
            response
                .iter()
                .map(|address| address.parse().expect("an address"))
                .collect()
        };
        Arc::new(ScriptedResolver(
            Mutex::new(responses.iter().map(parse).collect()),
            AtomicUsize::default(),
        ))
    }

    pub fn lookups(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Resolve for ScriptedResolver {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut responses = self.0.lock().expect("no panic");
        let response = if responses.len() > 1 {
            responses.pop_front()
        } else {
            responses.front().cloned()
        };
        response.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

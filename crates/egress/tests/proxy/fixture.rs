//! A proxy, a program in front of it that says exactly the bytes it is told to, and a server behind
//! it that remembers exactly the bytes it got.

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

/// Longer than every bound of the proxy, so that a test that waits for one does not hang for ever.
const PATIENCE: Duration = Duration::from_hours(1);

pub struct Scene {
    pub egress: Egress,
    pub proxy: Proxy,
    pub tracker: TaskTracker,
}

impl Scene {
    pub async fn set(policy: Policy) -> Scene {
        Scene::over(Egress::new(policy)).await
    }

    /// A filtered way out with this list.
    pub async fn allowing(list: &str) -> Scene {
        Scene::set(Policy {
            allow: list.parse().expect("a list"),
            ..Policy::default()
        })
        .await
    }

    pub async fn over(egress: Egress) -> Scene {
        let tracker = TaskTracker::new();
        let proxy = egress
            .open("test", &tracker)
            .await
            .expect("loopback has a port");
        Scene {
            egress,
            proxy,
            tracker,
        }
    }

    pub async fn program(&self) -> Program {
        let stream = TcpStream::connect(("127.0.0.1", self.proxy.port()))
            .await
            .expect("the proxy listens");
        Program {
            stream,
            kept: Vec::new(),
        }
    }

    /// Sends a request on a connection of its own and gives back the whole answer.
    pub async fn ask(&self, request: &str) -> String {
        let mut program = self.program().await;
        program.say(request).await;
        program.answer().await
    }

    /// Asks for a page.
    pub async fn get(&self, url: &str) -> String {
        let host = url.split('/').nth(2).expect("a host");
        self.ask(&format!(
            "GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
        .await
    }
}

/// A program's connection to the proxy.
pub struct Program {
    pub stream: TcpStream,
    /// Read beyond the last answer.
    kept: Vec<u8>,
}

impl Program {
    pub async fn say(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .await
            .expect("the proxy reads");
    }

    /// Reads until these bytes have come.
    pub async fn hears(&mut self, text: &str) -> String {
        let reading = async {
            loop {
                if let Some(at) = find(&self.kept, text.as_bytes()) {
                    let rest = self.kept.split_off(at + text.len());
                    let heard = std::mem::replace(&mut self.kept, rest);
                    return String::from_utf8_lossy(&heard).into_owned();
                }
                let count = self.stream.read_buf(&mut self.kept).await.unwrap_or(0);
                assert!(
                    count > 0,
                    "{text:?} never came: {:?}",
                    String::from_utf8_lossy(&self.kept)
                );
            }
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("the proxy answers")
    }

    /// One answer with its body, or whatever came before the connection was closed.
    pub async fn answer(&mut self) -> String {
        let reading = async {
            loop {
                if let Some(length) = whole_answer(&self.kept) {
                    let rest = self.kept.split_off(length);
                    return std::mem::replace(&mut self.kept, rest);
                }
                if self.stream.read_buf(&mut self.kept).await.unwrap_or(0) == 0 {
                    return std::mem::take(&mut self.kept);
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("the proxy answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Everything up to the end of the connection.
    pub async fn rest(mut self) -> String {
        let mut rest = std::mem::take(&mut self.kept);
        let reading = self.stream.read_to_end(&mut rest);
        // A reset is an end, too.
        let _ = tokio::time::timeout(PATIENCE, reading)
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

/// The length of the answer that `bytes` begin with, if it tells its length and is there.
fn whole_answer(bytes: &[u8]) -> Option<usize> {
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

/// A server that answers every connection once, and remembers what it got.
pub struct Origin {
    pub address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    _accepting: tokio::task::JoinSet<()>,
}

impl Origin {
    /// On 127.0.0.1, saying `answer` as soon as a head has come and the body after it.
    pub async fn saying(answer: &str) -> Origin {
        Origin::at("127.0.0.1:0", answer).await
    }

    pub async fn at(address: &str, answer: &str) -> Origin {
        let listener = TcpListener::bind(address)
            .await
            .expect("loopback has a port");
        let address = listener.local_addr().expect("an address");
        let got: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut accepting = tokio::task::JoinSet::new();
        let (kept, answer) = (Arc::clone(&got), answer.to_owned());
        accepting.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("accepted");
                let request = read_request(&mut stream).await;
                kept.lock().expect("no panic").push(request);
                // Whoever has gone away needs no answer.
                let _ = stream.write_all(answer.as_bytes()).await;
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

    /// The requests so far, one for each connection, bodies included.
    pub fn got(&self) -> Vec<String> {
        self.got.lock().expect("no panic").clone()
    }
}

/// A head and, as it says, a body: by length, or chunked up to the last chunk.
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

/// A resolver whose answers are written beforehand; the last one stays.
#[derive(Debug)]
pub struct Script(Mutex<VecDeque<Vec<IpAddr>>>, AtomicUsize);

impl Script {
    pub fn of(answers: &[&[&str]]) -> Arc<Script> {
        let parse = |answer: &&[&str]| {
            answer
                .iter()
                .map(|address| address.parse().expect("an address"))
                .collect()
        };
        Arc::new(Script(
            Mutex::new(answers.iter().map(parse).collect()),
            AtomicUsize::default(),
        ))
    }

    pub fn asked(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

impl Resolve for Script {
    fn addresses(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.1.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.0.lock().expect("no panic");
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

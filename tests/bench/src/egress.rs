//! Egress: the cost of a session's proxy compared with the same transfer without it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::baseline::Baseline;
use crate::harness::Harness;
use crate::rows::Group;
use crate::samples::Samples;

/// The fetching program, which node runs.
const FETCH: &str = include_str!("egress.mjs");

/// Size of the large file.
const LARGE_BYTES: usize = 50_000_000;

/// Size of the small file.
const SMALL_BYTES: usize = 5;

/// Small transfers per large one.
const SMALL_EACH: usize = 10;

/// A server of two files, in a separate thread.
struct Origin {
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener
            .local_addr()
            .expect("a bound socket has an address");
        let content = Arc::new(vec![b'x'; LARGE_BYTES]);
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !serve(&stream, &content) {
                    break;
                }
            }
        });
        Self {
            address,
            serving: Some(serving),
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(self.address) {
            drop(stream.write_all(b"GET /end HTTP/1.1\r\n\r\n"));
        }
        drop(self.serving.take().map(JoinHandle::join));
    }
}

/// Answers one request; returns false for the last one.
fn serve(mut stream: &TcpStream, content: &[u8]) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut first, mut line) = (String::new(), String::new());
    drop(reader.read_line(&mut first));
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
    }
    let length = if first.contains("/large") {
        LARGE_BYTES
    } else {
        SMALL_BYTES
    };
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // A program that disconnects half-way reports the error itself.
    drop(
        stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(&content[..length])),
    );
    !first.contains("/end")
}

/// Measures the group [`Group::Egress`].
pub async fn measure(harness: &Harness<'_>, rounds: usize, samples: &mut Samples) {
    let session = harness.session().await;
    let (proxy, _) = harness
        .execute(&session, "bash", "echo ${HTTP_PROXY#http://}")
        .await;
    let (origin, baseline) = (Origin::start(), Baseline::new());
    let rounds = rounds * Group::Egress.rounds_each();
    let files = [
        (
            "/large",
            LARGE_BYTES,
            rounds,
            ["large-direct", "large-plain", "large-tunnel"],
        ),
        (
            "/small",
            SMALL_BYTES,
            rounds * SMALL_EACH,
            ["small-direct", "small-plain", "small-tunnel"],
        ),
    ];
    for (path, bytes, rounds, keys) in files {
        let warm_up = Group::Egress.warm_up_rounds();
        let words = [
            origin.address.to_string(),
            proxy.clone(),
            (warm_up + rounds).to_string(),
            path.to_owned(),
        ];
        let times = baseline.fetch(FETCH, &words, bytes);
        let times: BTreeMap<String, Vec<f64>> =
            serde_json::from_str(&times).expect("lists of numbers");
        for (key, way) in keys.into_iter().zip(["direct", "plain", "tunnel"]) {
            for milliseconds in &times[way][warm_up..] {
                samples.add_value(key, *milliseconds);
            }
        }
    }
    session.delete().await;
}

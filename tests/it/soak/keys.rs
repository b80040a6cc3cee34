//! Key comparison is constant-time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hearth_test_support::TestServer;

use crate::soak::welch;

const KEY: &str = "0123456789abcdef0123456789abcdef";
/// Keys that differ in the first letter, in the last, and in length.
const WRONG: [&str; 3] = [
    "x123456789abcdef0123456789abcdef",
    "0123456789abcdef0123456789abcdex",
    "0",
];

/// Requests for each wrong key.
const REQUESTS: usize = 40_000;

/// Above this value, two times differ almost certainly.
const SUSPICIOUS: f64 = 4.5;

/// Sends one request on a persistent connection; returns the response time.
fn rejection(stream: &mut TcpStream, key: &str) -> Duration {
    // The padding gives all requests the same length.
    let filling = "x".repeat(KEY.len() - key.len());
    let request = format!(
        "GET /v2/interact HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nX-Filling: {filling}\r\n\r\n"
    );
    let mut answer = [0; 2048];
    let start = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let count = stream.read(&mut answer).unwrap();
    let elapsed = start.elapsed();
    let text = String::from_utf8_lossy(&answer[..count]);
    assert!(
        text.starts_with("HTTP/1.1 401") && text.ends_with('}'),
        "{text}"
    );
    elapsed
}

#[tokio::test]
#[ignore = "takes a minute on an idle machine: make soak"]
async fn the_time_of_a_rejection_does_not_depend_on_the_key() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", KEY)
        .setting("HEARTH_LOG", "error")
        .start()
        .await;
    let address = server.address().to_owned();
    let times = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut times = WRONG.map(|_| Vec::with_capacity(REQUESTS));
        for round in 0..REQUESTS {
            // The order rotates, so that changes on the machine affect all keys alike.
            for index in 0..WRONG.len() {
                let index = (index + round) % WRONG.len();
                times[index].push(rejection(&mut stream, WRONG[index]).as_secs_f64());
            }
        }
        times
    });
    let times = times.await.unwrap();
    server.stop().await;
    for other in [1, 2] {
        let t = welch::t(&times[0], &times[other]);
        eprintln!("t of {:?} and {:?}: {t:.2}", WRONG[0], WRONG[other]);
        assert!(
            t.abs() < SUSPICIOUS,
            "{:?} and {:?} can be told apart: t = {t:.2}",
            WRONG[0],
            WRONG[other]
        );
    }
}

//! Attacks with large CDP calls.

use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::inside::{raw_web_socket, until_deleted};
use super::row::{Attack, Resource, Row};
use super::scenario::Scenario;

pub const ROWS: &[Row] = &[
    Row {
        id: "D14",
        attack: "six CDP clients of three sessions send calls of 40 MB at the same time, three times",
        exhausts: Resource::Memory,
        start: |scenario| at_the_same_time(scenario).boxed_local(),
    },
    Row {
        id: "D15",
        attack: "eight CDP clients send a call of 40 MB one after the other, and stay connected",
        exhausts: Resource::Memory,
        start: |scenario| one_after_the_other(scenario).boxed_local(),
    },
];

/// The size of a call's params.
const BYTES: usize = 40_000_000;

/// The time limit for sending or answering one call.
const DEADLINE: Duration = Duration::from_secs(30);

/// The first byte of a text message in one frame, and of a ping.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// Returns a masked frame with a call whose params the server checks and writes again, because a
/// member occurs twice.
fn frame() -> Vec<u8> {
    let filler = "x".repeat(BYTES);
    let call = format!(
        r#"{{"id":1,"method":"Input.dispatchDragEvent","params":{{"x":0,"x":0,"data":"{filler}"}}}}"#
    );
    let mut frame = vec![TEXT, 0xff];
    frame.extend_from_slice(&(call.len() as u64).to_be_bytes());
    // The mask 0 changes nothing.
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(call.as_bytes());
    frame
}

/// Returns true if the server accepts all bytes.
async fn send(socket: &mut TcpStream, bytes: &[u8]) -> bool {
    let sent = timeout(DEADLINE, socket.write_all(bytes)).await;
    sent.is_ok_and(|sent| sent.is_ok())
}

/// Returns true if the next message is an answer to a call. Answers are short. The server may send
/// pings before it.
async fn is_answered(socket: &mut TcpStream) -> bool {
    let answer = async {
        loop {
            let mut head = [0; 2];
            socket.read_exact(&mut head).await?;
            let length = match head[1] {
                126 => socket.read_u16().await?,
                short => short.into(),
            };
            let mut payload = vec![0; length.into()];
            socket.read_exact(&mut payload).await?;
            if head[0] != PING {
                return std::io::Result::Ok(head[0] == TEXT);
            }
        }
    };
    let answer = timeout(DEADLINE, answer).await;
    answer.is_ok_and(|is_text| is_text.is_ok_and(|is_text| is_text))
}

/// Accepts a WebSocket and reads its head.
async fn connect(url: &str) -> TcpStream {
    let mut socket = raw_web_socket(url).await;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.expect("a response"));
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{head:?}");
    socket
}

/// Sends the last bytes of all calls when the server has the others, and then two calls more.
async fn at_the_same_time(scenario: &Scenario) -> Attack {
    let attacker = &scenario.attacker;
    let sessions = join_all((0..3).map(|_| attacker.session())).await;
    let frame = frame();
    let (most, last) = frame.split_at(frame.len() - 1);
    let clients = sessions.iter().chain(&sessions).map(async |session| {
        let mut socket = connect(session.cdp_url()).await;
        send(&mut socket, most).await.then_some(socket)
    });
    let mut sockets: Vec<_> = join_all(clients).await.into_iter().flatten().collect();
    let answers = sockets.iter_mut().map(async |socket| {
        // The server may close a connection when its buffers are full.
        let mut answered = 0;
        while answered < 3 && send(socket, last).await && is_answered(socket).await {
            answered += 1;
            if answered < 3 && !send(socket, most).await {
                break;
            }
        }
        answered
    });
    let answered: Vec<u32> = join_all(answers).await;
    assert!(answered.contains(&3), "{answered:?} calls were answered");
    until_deleted(sockets, sessions)
}

/// Sends one call at a time. Each client stays connected after the answer to its call.
async fn one_after_the_other(scenario: &Scenario) -> Attack {
    let session = scenario.attacker.session().await;
    let frame = frame();
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut socket = connect(session.cdp_url()).await;
        assert!(send(&mut socket, &frame).await && is_answered(&mut socket).await);
        sockets.push(socket);
    }
    until_deleted(sockets, vec![session])
}

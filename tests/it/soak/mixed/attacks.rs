//! Attacks on the server's resources, as in the module `bounded`. They explain no failure of other
//! clients.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dice::Dice;
use super::soak::Soak;
use crate::bounded::load::{connect_and_send, post_head};

const EXECUTE: &str = "/v2/interact/01920000-0000-7000-8000-000000000000/execute";

/// The maximum time to open connections and to send.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens connections that send nothing or half a head.
async fn open_idle_connections(soak: &Soak<'_>, dice: &mut Dice) -> Vec<TcpStream> {
    let count = 100 + dice.below(700);
    let mut streams = Vec::new();
    let opening = async {
        for number in 0..count {
            let part: &[u8] = if number % 2 == 0 {
                b""
            } else {
                b"GET /v2/interact HTTP/1.1\r\nHost: localhost\r\nX-A: "
            };
            streams.push(connect_and_send(soak.server.address(), part).await);
        }
    };
    let _ = timeout(PATIENCE, opening).await;
    streams
}

/// Sends large bodies without a key.
async fn send_bodies(soak: &Soak<'_>, dice: &mut Dice) -> Vec<TcpStream> {
    let body = format!("[{}{{}}]", "{\"\":0},".repeat(1_250_000));
    let request = post_head(EXECUTE, None, body.len()) + &body;
    let sending =
        (0..=dice.below(8)).map(|_| connect_and_send(soak.server.address(), request.as_bytes()));
    timeout(PATIENCE, join_all(sending))
        .await
        .unwrap_or_default()
}

/// Sends bodies whose end is missing.
async fn stall_bodies(soak: &Soak<'_>, dice: &mut Dice) -> Vec<TcpStream> {
    let part = post_head(EXECUTE, None, 64_000) + &"x".repeat(60_000);
    let sending =
        (0..20 + dice.below(100)).map(|_| connect_and_send(soak.server.address(), part.as_bytes()));
    timeout(PATIENCE, join_all(sending))
        .await
        .unwrap_or_default()
}

/// Sends messages over CDP to one session whose end is missing. That session may suffer.
async fn send_unfinished_messages(soak: &Soak<'_>, dice: &mut Dice) -> Vec<TcpStream> {
    let urls = soak
        .cdp_urls
        .lock()
        .expect("the lock is not poisoned")
        .clone();
    let urls: Vec<(String, String)> = urls.into_iter().collect();
    if urls.is_empty() {
        return Vec::new();
    }
    let (dir, url) = dice.pick(&urls);
    soak.hits.on_session(dir, "unfinished messages".to_owned());
    let rest = url.trim_start_matches("ws://");
    let Some((address, path)) = rest.split_once('/') else {
        return Vec::new();
    };
    let head = format!(
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    // A masked text frame of 80 MB with the mask 0.
    let mut frame = vec![0x81, 0xff];
    frame.extend_from_slice(&80_000_000_u64.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    let part = vec![b' '; 1_000_000];
    let sending = (0..2 + dice.below(6)).map(async |_| {
        let mut stream = connect_and_send(address, head.as_bytes()).await;
        let sending = async {
            stream.write_all(&frame).await?;
            for _ in 0..79 {
                stream.write_all(&part).await?;
            }
            std::io::Result::Ok(())
        };
        // The server may close the connection.
        let _ = timeout(PATIENCE, sending).await;
        stream
    });
    join_all(sending).await
}

/// Attacks now and then, until the round is over.
pub async fn attack(soak: &Soak<'_>, mut dice: Dice) {
    loop {
        let mut action = dice.fork();
        let pause = Duration::from_secs(5) + action.millis(0, 10_000);
        soak.pause(pause).await;
        if soak.is_over() {
            return;
        }
        let (name, streams) = match action.below(4) {
            0 => (
                "idle connections",
                open_idle_connections(soak, &mut action).await,
            ),
            1 => ("bodies without a key", send_bodies(soak, &mut action).await),
            2 => ("stalled bodies", stall_bodies(soak, &mut action).await),
            _ => (
                "unfinished messages",
                send_unfinished_messages(soak, &mut action).await,
            ),
        };
        soak.journal.count(&format!("attack: {name}"));
        soak.pause(action.millis(500, 3000)).await;
        drop(streams);
    }
}

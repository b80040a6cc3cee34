//! Attacks with a session: from its code, over CDP, and with its executions.

use std::time::Duration;

use futures_util::future::{FutureExt, join_all};
use hearth_test_support::cdp::CdpClient;
use hearth_test_support::{Session, eventually};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::KEY;
use super::load::{connect_all, connect_and_send, post_head, read_all, read_status};
use super::row::{Attack, Resource, Row};
use super::scenario::{Scenario, buffer_bytes, wait_until_filled};
use super::watch::open_descriptors;

pub const ROWS: &[Row] = &[
    Row {
        id: "D5",
        attack: "code opens thousands of connections to its session's CDP listener",
        exhausts: Resource::Descriptors,
        start: |scenario| cdp_connections(scenario).boxed_local(),
    },
    Row {
        id: "D6",
        attack: "30 CDP clients of a session send messages without their end",
        exhausts: Resource::Memory,
        start: |scenario| unfinished_messages(scenario).boxed_local(),
    },
    Row {
        id: "D7",
        attack: "16 CDP clients of a session read nothing",
        exhausts: Resource::Memory,
        start: |scenario| slow_readers(scenario).boxed_local(),
    },
    Row {
        id: "D8",
        attack: "code writes messages of 120 MB without their end to its kernel's descriptor",
        exhausts: Resource::Memory,
        start: |scenario| unfinished_replies(scenario).boxed_local(),
    },
    Row {
        id: "D9",
        attack: "40 executions have an unknown field of 10 MB, which arrives slowly",
        exhausts: Resource::Memory,
        start: |scenario| unknown_fields(scenario).boxed_local(),
    },
    Row {
        id: "D10",
        attack: "2,000 executions wait for their turn",
        exhausts: Resource::Memory,
        start: |scenario| queued_executions(scenario).boxed_local(),
    },
    Row {
        id: "D11",
        attack: "responses with 10 MB of control characters on both streams are not read, and the \
                 session ends",
        exhausts: Resource::Memory,
        start: |scenario| unread_responses(scenario).boxed_local(),
    },
    Row {
        id: "D12",
        attack: "one team creates as many sessions as it can",
        exhausts: Resource::OtherTeam,
        start: |scenario| all_sessions(scenario).boxed_local(),
    },
];

/// Returns an attack that lasts until `held` is dropped and the sessions are deleted.
pub(super) fn until_deleted<T: 'static>(held: T, sessions: Vec<Session>) -> Attack {
    Attack::Until(Box::pin(async move {
        drop(held);
        for session in sessions {
            session.delete().await;
        }
    }))
}

async fn cdp_connections(scenario: &Scenario) -> Attack {
    let session = scenario.attacker.session().await;
    let pid = scenario.server.serving_pid();
    let before = open_descriptors(pid);
    let attack = session
        .python(
            "import os, socket
host = [part for part in os.environ['no_proxy'].split(',') if ':' in part][0]
address, port = host.rsplit(':', 1)
sockets = []
for _ in range(2500):
    s = socket.socket()
    s.settimeout(2)
    try:
        s.connect((address, int(port)))
        sockets.append(s)
    except OSError:
        break
len(sockets)",
        )
        .await
        .ok();
    assert!(attack.result.parse::<usize>().is_ok_and(|count| count > 0));
    if scenario.has_limits {
        eventually(
            Duration::from_secs(10),
            "connections above the limit are closed",
            async || match open_descriptors(pid) {
                open if open < before + 300 => Ok(()),
                open => Err(format!("{before} before, {open} now")),
            },
        )
        .await;
    }
    until_deleted((), vec![session])
}

/// Returns a WebSocket to `url` that was opened by hand, to send incomplete messages.
pub(super) async fn raw_web_socket(url: &str) -> TcpStream {
    let rest = url.strip_prefix("ws://").expect("a ws URL");
    let (address, path) = rest.split_once('/').expect("it has a path");
    let head = format!(
        "GET /{path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    connect_and_send(address, head.as_bytes()).await
}

async fn unfinished_messages(scenario: &Scenario) -> Attack {
    let session = scenario.attacker.session().await;
    let attacks = (0..30).map(async |_| {
        let mut socket = raw_web_socket(session.cdp_url()).await;
        // A masked text frame of 16 MB with the mask 0, of which the last byte is missing.
        let mut frame = vec![0x81, 0xff];
        frame.extend_from_slice(&16_000_000_u64.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.resize(frame.len() + 16_000_000 - 1, b' ');
        let sent = timeout(Duration::from_secs(10), socket.write_all(&frame)).await;
        (socket, sent.is_ok_and(|sent| sent.is_ok()))
    });
    let sockets = join_all(attacks).await;
    let complete = sockets.iter().filter(|(_, is_sent)| *is_sent).count();
    // The kernel buffers a few megabytes of each.
    assert!(
        !scenario.has_limits || complete < 20,
        "{complete} sockets were not closed"
    );
    until_deleted(sockets, vec![session])
}

async fn slow_readers(scenario: &Scenario) -> Attack {
    const CLIENTS: usize = 16;
    let session = scenario.attacker.session().await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = CdpClient::connect(session.cdp_url()).await;
        let targets = client.call("Target.getTargets", json!({})).await;
        let targets = targets["result"]["targetInfos"].as_array().cloned();
        let mut targets = targets.expect("a list").into_iter();
        let page = targets.find(|target| target["type"] == json!("page"));
        let page = page.expect("a session has a tab");
        let params = json!({"targetId": page["targetId"], "flatten": true});
        let attached = client.call("Target.attachToTarget", params).await;
        clients.push((client, attached["result"]["sessionId"].clone()));
    }
    // 44 MB for each client.
    for id in 0..11 {
        for (client, attached) in &mut clients {
            let params = json!({"expression": "'x'.repeat(4e6)", "returnByValue": true});
            let command = json!({"id": 1000 + id, "sessionId": attached, "method": "Runtime.evaluate", "params": params});
            // A client that holds too much is closed.
            client.try_send_text(&command.to_string()).await;
        }
    }
    wait_until_filled(&scenario.attacker, 1e6).await;
    until_deleted(clients, vec![session])
}

/// Code that writes the beginning of a message from its kernel. The Python kernel has moved its
/// descriptor from 4 to 201.
const UNFINISHED: [(&str, &str); 2] = [
    (
        "python",
        "import os, struct
os.set_blocking(201, True)
os.write(201, struct.pack('>I', 120_000_000))
left = 119_000_000
while left > 0:
    left -= os.write(201, b' ' * min(left, 1_000_000))
await __import__('asyncio').sleep(100)",
    ),
    (
        "node",
        "const { writeSync } = require('node:fs');
writeSync(4, Buffer.from([7, 39, 14, 0]));
const spaces = Buffer.alloc(1e6, ' ');
for (let left = 119e6; left > 0;) {
    try {
        left -= writeSync(4, spaces, 0, Math.min(left, 1e6));
    } catch (error) {
        if (error.code !== 'EAGAIN') throw error;
    }
}
await new Promise(() => {})",
    ),
];

async fn unfinished_replies(scenario: &Scenario) -> Attack {
    let attacker = &scenario.attacker;
    let (one, two) = tokio::join!(attacker.session(), attacker.session());
    let mut executions = JoinSet::new();
    for session in [&one, &two] {
        for (language, code) in UNFINISHED {
            let session = session.clone();
            let body = json!({"language": language, "code": code, "timeout": 60});
            executions.spawn(async move { session.execute(&body).await });
        }
    }
    if scenario.has_limits {
        // Only one message fits into the buffer of a session, so it ends at least one kernel.
        for _ in 0..2 {
            let ended = timeout(Duration::from_secs(20), executions.join_next()).await;
            let reply = ended.expect("a kernel ends").expect("two are left");
            let reply = reply.expect("no panic");
            assert_ne!(reply.body["exitCode"], json!(0), "{}", reply.text);
        }
        wait_until_filled(attacker, 0.0).await;
    } else {
        wait_until_filled(attacker, 400e6).await;
    }
    until_deleted(executions, vec![one, two])
}

/// Returns a request to run `code` in a session.
fn execute_request(session: &Session, code: &str, language: &str, more: &str) -> String {
    let body = json!({"code": code, "language": language, "timeout": 60, "more": more});
    let body = body.to_string();
    let path = format!("/v2/interact/{}/execute", session.id());
    post_head(&path, Some(KEY), body.len()) + &body
}

/// Starts an execution that occupies the turn of its language until its connection is dropped.
async fn occupy_turn(scenario: &Scenario, session: &Session) -> TcpStream {
    let started = "require('node:fs').writeFileSync('started', ''); await new Promise(() => {})";
    let request = execute_request(session, started, "node", "");
    let blocker = connect_and_send(scenario.server.address(), request.as_bytes()).await;
    session
        .bash("until [ -e started ]; do sleep 0.05; done")
        .await
        .ok();
    blocker
}

async fn unknown_fields(scenario: &Scenario) -> Attack {
    let session = scenario.attacker.session().await;
    let blocker = occupy_turn(scenario, &session).await;
    let request = execute_request(&session, "1", "node", &"x".repeat(9_900_000));
    let (all, last) = request.split_at(request.len() - 1);
    let address = scenario.server.address();
    let mut streams = connect_all(address, 40, all.as_bytes()).await;
    if scenario.has_limits {
        for stream in &mut streams {
            // Some requests were already rejected.
            let _ = stream.write_all(last.as_bytes()).await;
        }
        eventually(
            Duration::from_secs(20),
            "executions that wait hold no unknown fields",
            async || match scenario.buffer_bytes().await {
                used if used < 1e6 => Ok(()),
                used => Err(format!("{used} bytes")),
            },
        )
        .await;
    }
    until_deleted((blocker, streams), vec![session])
}

async fn queued_executions(scenario: &Scenario) -> Attack {
    let session = scenario.attacker.session().await;
    let blocker = occupy_turn(scenario, &session).await;
    // Each has 50,000 characters of four bytes.
    let code = format!("/*{}*/", "😀".repeat(50_000));
    let request = execute_request(&session, &code, "node", "");
    let address = scenario.server.address();
    let mut streams = connect_all(address, 2_000, request.as_bytes()).await;
    if scenario.has_limits {
        let statuses = streams
            .iter_mut()
            .map(|stream| async { timeout(Duration::from_secs(10), read_status(stream)).await });
        let statuses = join_all(statuses).await;
        let waiting = statuses.iter().filter(|status| status.is_err()).count();
        assert!(waiting <= 32, "{waiting} executions wait");
    }
    until_deleted((blocker, streams), vec![session])
}

async fn unread_responses(scenario: &Scenario) -> Attack {
    let attacker = scenario.attacker.clone();
    let (one, two) = tokio::join!(attacker.session(), attacker.session());
    let code = "import sys\nfor stream in (sys.stdout, sys.stderr):\n    stream.write('\\x01' * 10_000_000); stream.flush()";
    let address = scenario.server.address();
    let executions = [&one, &two].map(async |session| {
        let request = execute_request(session, code, "python", "");
        let mut sockets = Vec::new();
        for _ in 0..8 {
            let socket = connect_and_send(address, request.as_bytes()).await;
            // The first bytes arrive when the execution has ended; the rest is never read.
            socket.readable().await.expect("a response");
            sockets.push(socket);
        }
        sockets
    });
    let mut sockets: Vec<_> = join_all(executions).await.into_iter().flatten().collect();
    Attack::TimeLimited(Box::pin(async move {
        one.delete().await;
        two.delete().await;
        eventually(
            Duration::from_secs(30),
            "the responses are released",
            async || match buffer_bytes(&attacker).await {
                used if used < 1e6 => Ok(()),
                used => Err(format!("{used} bytes")),
            },
        )
        .await;
        // The responses were cut, and do not look complete.
        let response = read_all(&mut sockets[0], Duration::from_secs(10)).await;
        assert!(!response.ends_with("0\r\n\r\n"), "{} bytes", response.len());
    }))
}

async fn all_sessions(scenario: &Scenario) -> Attack {
    let mut sessions = Vec::new();
    for _ in 0..5 {
        let reply = scenario.attacker.create(&json!({})).await;
        if reply.status == 200 {
            let id = reply.body["id"].as_str().expect("an id");
            sessions.push(id.to_owned());
        }
    }
    let attacker = scenario.attacker.clone();
    Attack::Until(Box::pin(async move {
        for id in sessions {
            attacker.delete(&id).await.ok();
        }
    }))
}

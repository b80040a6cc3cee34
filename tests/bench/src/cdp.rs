//! A CDP client with the same interface over a pipe and over a WebSocket, and the latency of one
//! command on each.

use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::chromium::RawChromium;
use crate::harness::Harness;
use crate::rows::Group;
use crate::samples::Samples;

const DEADLINE: Duration = Duration::from_secs(20);

/// A connection to a browser.
#[derive(Debug)]
pub struct Connection {
    transport: Transport,
    last_id: u64,
}

#[derive(Debug)]
enum Transport {
    Pipes {
        commands: pipe::Sender,
        answers: BufReader<pipe::Receiver>,
    },
    Socket(Box<WebSocketStream<MaybeTlsStream<TcpStream>>>),
}

impl Connection {
    /// Connects over the pipes of `--remote-debugging-pipe`.
    pub fn over_pipes(commands: PipeWriter, answers: PipeReader) -> Self {
        let commands =
            pipe::Sender::from_owned_fd(OwnedFd::from(commands)).expect("the descriptor is a pipe");
        let answers = pipe::Receiver::from_owned_fd(OwnedFd::from(answers))
            .expect("the descriptor is a pipe");
        Self {
            transport: Transport::Pipes {
                commands,
                answers: BufReader::new(answers),
            },
            last_id: 0,
        }
    }

    /// Connects over a WebSocket, without Nagle's algorithm.
    pub async fn over_socket(url: &str) -> Self {
        let connecting = tokio::time::timeout(DEADLINE, connect_async_with_config(url, None, true));
        let (socket, _) = connecting
            .await
            .expect("the server responds to the upgrade")
            .expect("the upgrade is accepted");
        Self {
            transport: Transport::Socket(Box::new(socket)),
            last_id: 0,
        }
    }

    /// Sends a command, to the browser or to one of its sessions, and returns its id.
    pub async fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        let mut text = command.to_string();
        match &mut self.transport {
            Transport::Pipes { commands, .. } => {
                text.push('\0');
                commands
                    .write_all(text.as_bytes())
                    .await
                    .expect("the browser reads");
            }
            Transport::Socket(socket) => socket
                .send(Message::text(text))
                .await
                .expect("the connection is open"),
        }
        self.last_id
    }

    async fn next(&mut self) -> Value {
        let text = match &mut self.transport {
            Transport::Pipes { answers, .. } => {
                let mut bytes = Vec::new();
                answers
                    .read_until(0, &mut bytes)
                    .await
                    .expect("the browser writes");
                bytes.pop();
                bytes
            }
            Transport::Socket(socket) => loop {
                let message = socket
                    .next()
                    .await
                    .expect("the connection is open")
                    .expect("messages are complete");
                if let Message::Text(text) = message {
                    break text.as_bytes().to_vec();
                }
            },
        };
        serde_json::from_slice(&text).expect("messages are JSON")
    }

    /// Reads until the first matching event.
    pub async fn event(&mut self, method: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await;
            if message["method"] == method && is_wanted(&message) {
                return message;
            }
        }
    }

    /// Sends a command and returns its result; skips events.
    pub async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let calling = async {
            let id = self.send(session, method, params).await;
            loop {
                let mut message = self.next().await;
                if message["id"] == json!(id) {
                    assert!(message.get("error").is_none(), "{method}: {message}");
                    return message["result"].take();
                }
            }
        };
        tokio::time::timeout(DEADLINE, calling)
            .await
            .unwrap_or_else(|_| panic!("no response to {method}"))
    }

    /// Attaches to the first page.
    async fn attach(&mut self) -> String {
        let targets = self.call(None, "Target.getTargets", json!({})).await;
        let targets = targets["targetInfos"]
            .as_array()
            .expect("a list of targets");
        let page = targets
            .iter()
            .find(|target| target["type"] == "page")
            .expect("the browser has a page");
        let params = json!({"targetId": page["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", params).await;
        session["sessionId"]
            .as_str()
            .expect("a session has an id")
            .to_owned()
    }
}

/// One of the compared connections.
pub struct Contender {
    connection: Connection,
    page: String,
    evaluate: &'static str,
    version: &'static str,
}

impl Contender {
    /// Attaches to the first page. The keys are those of the rows of both commands.
    pub async fn new(
        mut connection: Connection,
        evaluate: &'static str,
        version: &'static str,
    ) -> Self {
        let page = connection.attach().await;
        Self {
            connection,
            page,
            evaluate,
            version,
        }
    }

    /// Times both commands.
    pub async fn run(&mut self, samples: &mut Samples) {
        let start = Instant::now();
        let params = json!({"expression": "1"});
        let value = self
            .connection
            .call(Some(&self.page), "Runtime.evaluate", params)
            .await;
        samples.add(self.evaluate, start.elapsed());
        assert_eq!(value["result"]["value"], json!(1));

        let start = Instant::now();
        let value = self
            .connection
            .call(None, "Browser.getVersion", json!({}))
            .await;
        samples.add(self.version, start.elapsed());
        assert!(value["product"].is_string(), "{value}");
    }
}

/// Measures the group [`Group::Cdp`].
pub async fn measure(harness: &Harness<'_>, rounds: usize, samples: &mut Samples) {
    let session = harness.session().await;
    let (on_pipe, pipe) = RawChromium::start_on_pipe(&harness.recipe).await;
    let (on_port, port) = RawChromium::start_on_port(&harness.recipe).await;
    let broker = Connection::over_socket(session.cdp_url()).await;
    let mut contenders = [
        Contender::new(pipe, "evaluate-pipe", "version-pipe").await,
        Contender::new(port, "evaluate-port", "version-port").await,
        Contender::new(broker, "evaluate-broker", "version-broker").await,
    ];
    let mut warm_up = Samples::default();
    for round in 0..Group::Cdp.warm_up_rounds() + rounds * Group::Cdp.rounds_each() {
        let samples = if round < Group::Cdp.warm_up_rounds() {
            &mut warm_up
        } else {
            &mut *samples
        };
        for contender in &mut contenders {
            contender.run(samples).await;
        }
        contenders.reverse();
    }
    drop(contenders);
    on_pipe.end().await;
    on_port.end().await;
    session.delete().await;
}

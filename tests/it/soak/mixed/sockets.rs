//! `WebSockets` of a session: CDP and the live view.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::code::foreign_mark;
use super::dice::Dice;
use super::visit::Visit;

/// The maximum time for an upgrade, a response and a frame.
const DEADLINE: Duration = Duration::from_secs(30);

/// A connection to a session.
struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn connect(url: &str) -> Result<Socket, String> {
        match timeout(DEADLINE, connect_async(url)).await {
            Ok(Ok((socket, _))) => Ok(Socket(socket)),
            Ok(Err(Error::Http(response))) => {
                let body = response.body().as_deref().unwrap_or_default();
                let body = String::from_utf8_lossy(body);
                Err(format!("upgrade rejected: {} {body}", response.status()))
            }
            Ok(Err(error)) => Err(format!("upgrade failed: {error}")),
            Err(_) => Err(format!("no response to an upgrade within {DEADLINE:?}")),
        }
    }

    /// Returns the next text or binary message.
    async fn next(&mut self) -> Result<Message, String> {
        loop {
            match timeout(DEADLINE, self.0.next()).await {
                Err(_) => return Err(format!("no message within {DEADLINE:?}")),
                Ok(None) => return Err("closed".to_owned()),
                Ok(Some(Err(error))) => return Err(format!("broken: {error}")),
                Ok(Some(Ok(Message::Close(frame)))) => return Err(format!("closed: {frame:?}")),
                Ok(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => {
                    return Ok(message);
                }
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), String> {
        let sent = self.0.send(Message::text(message.to_string())).await;
        sent.map_err(|error| format!("not sent: {error}"))
    }

    /// Waits for the next picture of a live view and draws it. Adds other messages to `received`.
    async fn draw_one(&mut self, received: &mut String) -> Result<(), String> {
        loop {
            match self.next().await? {
                Message::Text(text) => received.push_str(&text),
                Message::Binary(frame) => {
                    let number = frame.first_chunk().copied().map(u32::from_be_bytes);
                    let number = number.ok_or("an empty frame")?;
                    return self.send(&json!({"type": "drawn", "frame": number})).await;
                }
                _ => {}
            }
        }
    }

    /// Closes the connection with a handshake or, if `cut`, without.
    async fn end(mut self, cut: bool) {
        if !cut {
            let _ = timeout(DEADLINE, self.0.close(None)).await;
        }
    }
}

/// A CDP client.
struct Cdp {
    socket: Socket,
    last_id: u64,
    /// Everything that the server sent.
    received: String,
}

impl Cdp {
    async fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.last_id += 1;
        let mut command = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(&command).await?;
        let answering = async {
            loop {
                let Message::Text(text) = self.socket.next().await? else {
                    continue;
                };
                self.received.push_str(&text);
                let message: Value =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                if message["id"] != json!(self.last_id) {
                    continue;
                }
                return match message.get("error") {
                    Some(error) => Err(format!("{method}: {error}")),
                    None => Ok(message["result"].clone()),
                };
            }
        };
        let answer = timeout(DEADLINE, answering).await;
        answer.unwrap_or_else(|_| Err(format!("no response to {method} within {DEADLINE:?}")))
    }
}

impl Visit<'_> {
    fn socket_failed(&self, what: &str, sent: Instant, problem: &str) {
        let soak = self.soak;
        // A session that has ended was checked when it was deleted.
        soak.failed(what, self.fault(sent).as_deref(), || {
            format!("session {}: {problem}", self.dir)
        });
    }

    fn check_received(&self, what: &str, received: &str) {
        if let Some(foreign) = foreign_mark(received, &self.mark) {
            let excerpt: String = received.chars().take(2000).collect();
            self.soak.journal.violation(format!(
                "{what} of {} received {foreign}: {excerpt}",
                self.mark
            ));
        }
    }

    /// Opens a tab over CDP, evaluates an expression in it and closes it.
    pub async fn use_cdp(&self, mut dice: Dice) {
        let sent = Instant::now();
        let url = self.soak.site.url(&format!("/title/{}", self.mark));
        let mut cdp = match Socket::connect(&self.cdp_url).await {
            Ok(socket) => Cdp {
                socket,
                last_id: 0,
                received: String::new(),
            },
            Err(problem) => return self.socket_failed("CDP", sent, &problem),
        };
        let nonce = self.nonce();
        let using = async {
            cdp.call(None, "Browser.getVersion", json!({})).await?;
            let tab = cdp
                .call(None, "Target.createTarget", json!({"url": url}))
                .await?;
            let target = json!({"targetId": tab["targetId"]});
            let attaching = json!({"targetId": tab["targetId"], "flatten": true});
            let attached = cdp.call(None, "Target.attachToTarget", attaching).await?;
            let session = attached["sessionId"].as_str().unwrap_or_default();
            let expression = json!({"expression": format!("'{nonce}'")});
            let value = cdp
                .call(Some(session), "Runtime.evaluate", expression)
                .await?;
            if value["result"]["value"] != json!(nonce) {
                return Err(format!("{nonce} became {value}"));
            }
            cdp.call(None, "Target.getTargets", json!({})).await?;
            cdp.call(None, "Target.closeTarget", target).await?;
            Ok::<(), String>(())
        };
        let used = using.await;
        self.check_received("a CDP client", &cdp.received);
        cdp.socket.end(dice.chance(50)).await;
        match used {
            Ok(()) => self.soak.journal.count("CDP: succeeded"),
            Err(problem) => self.socket_failed("CDP", sent, &problem),
        }
    }

    /// Watches the live view: waits for a picture, and stays for a moment.
    pub async fn watch(&self, mut dice: Dice) {
        let sent = Instant::now();
        let Some((page, token)) = self.live_view_url.split_once('?') else {
            return self.soak.journal.violation("no live view".to_owned());
        };
        let url = format!("{page}/socket?{token}").replacen("http", "ws", 1);
        let mut socket = match Socket::connect(&url).await {
            Ok(socket) => socket,
            Err(problem) => return self.socket_failed("live view", sent, &problem),
        };
        let mut received = String::new();
        let mut watched = socket.draw_one(&mut received).await;
        let staying = async {
            while watched.is_ok() {
                watched = socket.draw_one(&mut received).await;
            }
        };
        let _ = timeout(dice.millis(0, 2000), staying).await;
        self.check_received("a viewer", &received);
        socket.end(dice.chance(50)).await;
        match watched {
            Ok(()) => self.soak.journal.count("live view: succeeded"),
            Err(problem) => self.socket_failed("live view", sent, &problem),
        }
    }
}

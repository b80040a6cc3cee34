//! Tests the broker with real queues and a real pipe. Each test scripts the browser's side of the
//! conversation.

mod endings;
mod failed_loads;
mod fuzz;
mod policy;
mod routing;
mod settings;
mod shared_pages;
mod tabs;

use std::io::Read;
use std::os::fd::OwnedFd;

use serde_json::{Value, json};
use tokio::net::unix::pipe::Sender;

use super::client::{ClientReceiver, ClientSender};
use super::send_queue::Outgoing;
use super::*;
use crate::broker::file_access::ClientOrigin;
use crate::broker::pending::{PendingAttach, Root};

const DOWNLOADS: &str = "/s/1/b/downloads";

const LIMITS: BrowserLimits = BrowserLimits {
    max_tabs: 5,
    max_download_bytes: 1000,
};

fn file_access() -> FileAccess {
    FileAccess {
        session: "/s/1".into(),
        downloads: DOWNLOADS.into(),
    }
}

fn browser_client() -> PendingAttach {
    PendingAttach {
        root: Root::Browser,
        origin: ClientOrigin::External,
    }
}

/// A broker, and the browser's ends of it.
struct BrokerFixture {
    broker: Arc<Broker>,
    browser: std::io::PipeReader,
}

struct Connection {
    sender: ClientSender,
    receiver: ClientReceiver,
}

impl BrokerFixture {
    async fn new() -> BrokerFixture {
        let (browser, ours) = std::io::pipe().expect("a pipe");
        let sender = Sender::from_owned_fd(OwnedFd::from(ours)).expect("a writing end");
        sender.writable().await.expect("the pipe is open");
        let budget = Budget::new("this test", 256 << 20);
        BrokerFixture {
            broker: Arc::new(Broker::new(
                PipeWriter::new(sender, &budget),
                budget.clone(),
                file_access(),
                LIMITS,
                None,
            )),
            browser,
        }
    }

    /// Reads the next command for the browser.
    fn command(&mut self) -> Value {
        let mut frame = Vec::new();
        let mut byte = [0];
        loop {
            self.browser.read_exact(&mut byte).expect("a command");
            if byte == [0] {
                return serde_json::from_slice(&frame).expect("JSON");
            }
            frame.push(byte[0]);
        }
    }

    fn browser_sends(&self, message: &Value) {
        self.broker.handle_frame(&message.to_string());
    }

    /// Attaches a client whose root session is `root`.
    async fn client(&mut self, root: &str) -> Connection {
        let client = self.broker.request_client(browser_client()).expect("sent");
        let command = self.command();
        assert_eq!(command["method"], "Target.attachToBrowserTarget");
        self.browser_sends(&json!({"method": "Target.attachedToTarget", "params": {
            "sessionId": root, "targetInfo": {"targetId": format!("browser of {root}"), "type": "browser"},
            "waitingForDebugger": false}}));
        self.browser_sends(&json!({"id": command["id"], "result": {"sessionId": root}}));
        let (sender, receiver) = client.await.expect("answered").expect("attached").split();
        Connection { sender, receiver }
    }

    /// Attaches a client whose root session `root` is on one page.
    async fn page_client(&mut self, root: &str, target: &str) -> Connection {
        let attach = PendingAttach {
            root: Root::Target(target.to_owned()),
            origin: ClientOrigin::External,
        };
        let client = self.broker.request_client(attach).expect("sent");
        let command = self.command();
        assert_eq!(
            command["params"],
            json!({"targetId": target, "flatten": true})
        );
        self.browser_sends(&json!({"id": command["id"], "result": {"sessionId": root}}));
        let (sender, receiver) = client.await.expect("answered").expect("attached").split();
        Connection { sender, receiver }
    }

    /// Sends a client's call on a session and asserts that it reaches the browser unchanged.
    fn pass(
        &mut self,
        connection: &Connection,
        session: &str,
        method: &str,
        params: &Value,
    ) -> Value {
        connection
            .send(&json!({"id": 1, "method": method, "params": params, "sessionId": session}));
        let command = self.command();
        assert_eq!(
            (&command["method"], &command["sessionId"]),
            (&json!(method), &json!(session))
        );
        command
    }

    /// Opens a session for `target` below `parent`.
    async fn child(
        &mut self,
        connection: &mut Connection,
        parent: &str,
        session: &str,
        target: &str,
    ) {
        self.browser_sends(&json!({"method": "Target.attachedToTarget", "sessionId": parent, "params": {
            "sessionId": session, "targetInfo": {"targetId": target, "type": "page"}, "waitingForDebugger": false}}));
        assert_eq!(connection.message().await["params"]["sessionId"], session);
    }

    /// Opens a tab, and answers the broker's attach call for it.
    fn tab_opens(&mut self, target: &str, context: &str) {
        self.browser_sends(
            &json!({"method": "Target.targetCreated", "params": {"targetInfo": {
            "targetId": target, "type": "page", "browserContextId": context}}}),
        );
        let attach = self.command();
        assert_eq!(
            (&attach["method"], &attach["params"]["targetId"]),
            (&json!("Target.attachToTarget"), &json!(target))
        );
        self.browser_sends(
            &json!({"id": attach["id"], "result": {"sessionId": format!("own-{target}")}}),
        );
    }

    fn current_tab(&self) -> Option<String> {
        self.broker.current_tab().borrow().clone()
    }
}

impl Connection {
    fn send(&self, message: &Value) {
        self.sender
            .send(message.to_string())
            .expect("the client is connected");
    }

    async fn next(&mut self) -> Outgoing {
        tokio::time::timeout(Duration::from_secs(5), self.receiver.next())
            .await
            .expect("a message for the client")
    }

    async fn message(&mut self) -> Value {
        match self.next().await {
            Outgoing::Message(text) => serde_json::from_str(&text).expect("JSON"),
            Outgoing::Close { code, reason } => panic!("closed: {code} {reason}"),
        }
    }

    async fn close(&mut self) -> (u16, String) {
        match self.next().await {
            Outgoing::Close { code, reason } => (code, reason),
            Outgoing::Message(text) => panic!("a message: {text}"),
        }
    }
}

//! A real browser in a temporary directory, and clients that behave like WebSocket clients.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hearth_browser::{
    Browser, BrowserLimits, Client, ClientOrigin, ClientReceiver, ClientSender,
    IgnoredCertificates, LaunchError, LaunchSpec, Outgoing, Viewport,
};
use hearth_budget::Budget;
use hearth_sandbox::Launcher;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

pub const SHELL: &str = "/usr/lib/chromium/chromium-headless-shell";
pub const USER_AGENT: &str = "Mozilla/5.0 (test) Chrome/1.0.0.0";
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything needed to launch browsers, and a check that none of their processes is left.
pub struct BrowserFixture {
    pub launcher: Launcher,
    pub tracker: TaskTracker,
    dir: TempDir,
}

impl BrowserFixture {
    pub fn new() -> BrowserFixture {
        let tracker = TaskTracker::new();
        let dir = tempfile::tempdir().expect("a directory");
        BrowserFixture {
            launcher: Launcher::new(shim(), tracker.clone()),
            tracker,
            dir,
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub async fn launch(&self, executable: &str) -> Result<Browser, LaunchError> {
        let spec = LaunchSpec {
            sandbox: !nix::unistd::geteuid().is_root(),
            executable: executable.into(),
            dir: self.dir().to_owned(),
            session_dir: self.dir().to_owned(),
            viewport: Viewport {
                width: 1100,
                height: 620,
            },
            user_agent: USER_AGENT.to_owned(),
            locale: None,
            proxy_port: None,
            navigation_hint: None,
            ignored_certificates: IgnoredCertificates::default(),
            limits: BrowserLimits {
                max_tabs: 100,
                max_download_bytes: 1 << 30,
            },
            budget: Budget::new("this test", 256 << 20),
        };
        Browser::launch(&self.launcher, &self.tracker, spec).await
    }

    pub async fn browser(&self) -> Browser {
        self.launch(SHELL).await.expect("launched")
    }

    /// Asserts that every task of every browser and process tree has ended. A shim ends after its
    /// whole tree.
    pub async fn assert_no_processes(&self) {
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait())
            .await
            .expect("a pending frame");
    }
}

/// Returns the built server, which is its own shim. Cargo builds it next to the tests, but not for
/// them.
fn shim() -> PathBuf {
    let test = std::env::current_exe().expect("this test's path");
    let shim = test
        .ancestors()
        .nth(2)
        .expect("the target directory")
        .join("hearth");
    assert!(
        shim.exists(),
        "{} is missing: run cargo build --release first",
        shim.display()
    );
    shim
}

/// A client that waits for each reply.
pub struct Connection {
    pub sender: ClientSender,
    pub receiver: ClientReceiver,
    last_id: i64,
    /// Messages received while waiting for another one.
    kept: Vec<Value>,
}

impl Connection {
    pub async fn to(browser: &Browser) -> Connection {
        Connection::over(
            browser
                .attach(ClientOrigin::External)
                .await
                .expect("attached"),
        )
    }

    fn over(client: Client) -> Connection {
        let (sender, receiver) = client.split();
        Connection {
            sender,
            receiver,
            last_id: 0,
            kept: Vec::new(),
        }
    }

    pub fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> i64 {
        self.last_id += 1;
        let mut message = json!({"id": self.last_id, "method": method, "params": params});
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.sender.send(message.to_string()).expect("connected");
        self.last_id
    }

    pub async fn next(&mut self) -> Outgoing {
        tokio::time::timeout(PATIENCE, self.receiver.next())
            .await
            .expect("a message for the client")
    }

    async fn message(&mut self) -> Value {
        match self.next().await {
            Outgoing::Message(text) => serde_json::from_str(&text).expect("JSON"),
            Outgoing::Close { code, reason } => panic!("closed: {code} {reason}"),
        }
    }

    pub async fn reply(&mut self, id: i64) -> Value {
        self.first(|message| message["id"] == id).await
    }

    pub async fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.send(session, method, &params);
        let mut reply = self.reply(id).await;
        assert!(reply.get("error").is_none(), "{method}: {reply}");
        reply["result"].take()
    }

    /// Returns the first message that matches `wanted` and keeps the others for later.
    pub async fn first(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let message = self.message().await;
            if wanted(&message) {
                return message;
            }
            self.kept.push(message);
        }
    }

    /// Skips all messages up to the close and returns it.
    pub async fn close(&mut self) -> (u16, String) {
        loop {
            if let Outgoing::Close { code, reason } = self.next().await {
                return (code, reason);
            }
        }
    }

    /// Returns true if such an event has arrived. The reply that was last awaited came after it.
    pub fn has_received(&self, method: &str) -> bool {
        self.kept.iter().any(|message| message["method"] == method)
    }

    /// Makes a call that the broker must deny, and returns the error message.
    pub async fn denied(&mut self, session: Option<&str>, method: &str, params: Value) -> String {
        let id = self.send(session, method, &params);
        let reply = self.reply(id).await;
        assert_eq!(reply["error"]["code"], -32000, "{method}: {reply}");
        reply["error"]["message"]
            .as_str()
            .expect("a reason")
            .to_owned()
    }

    pub async fn session_on(&mut self, target: &str) -> String {
        let params = json!({"targetId": target, "flatten": true});
        let attached = self.call(None, "Target.attachToTarget", params).await;
        attached["sessionId"]
            .as_str()
            .expect("a session")
            .to_owned()
    }

    pub async fn evaluate(&mut self, session: &str, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call(Some(session), "Runtime.evaluate", params).await["result"]["value"].take()
    }

    /// Loads `url` and waits until it is loaded.
    pub async fn navigate(&mut self, session: &str, url: &str) {
        self.call(Some(session), "Page.enable", json!({})).await;
        self.kept.clear();
        self.call(Some(session), "Page.navigate", json!({"url": url}))
            .await;
        self.first(|event| event["method"] == "Page.loadEventFired")
            .await;
    }
}

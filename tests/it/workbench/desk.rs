//! A person with a browser, which is a session of another server because no session reaches its own
//! server.

use hearth_test_support::{Session, TestServer};
use serde_json::{Value, json};

/// Playwright options of a window on a desk.
pub const DESK: &str = "{ viewport: { width: 1280, height: 900 }, permissions: ['clipboard-read', 'clipboard-write'] }";

/// Functions for the browser's kernel. A request that fails on purpose is not a complaint: a key
/// that is missing (401) or shows less (403), a session that has ended (410), and a server without
/// files (404).
const SETUP: &str = "var complaints = []; var hosts = new Set();
    desk.setDefaultTimeout(25_000);
    desk.on('request', (request) => hosts.add(new URL(request.url()).host));
    desk.on('console', (message) => {
        const isExpected = /status of (401|403|404|410)/.test(message.text());
        if (message.type() === 'error' && !isExpected) complaints.push(message.text());
    });
    desk.on('pageerror', (error) => complaints.push(String(error)));
    var output = desk.locator('#stream');
    var outcome = desk.locator('#outcome');
    var outcomeIs = (text) => outcome.filter({ hasText: text }).waitFor();
    var write = async (code) => {
        await desk.locator('.CodeMirror').waitFor();
        await desk.evaluate((code) => document.querySelector('.CodeMirror').CodeMirror.setValue(code), code);
    };
    var enterKey = async (key) => {
        await desk.getByLabel(/API key/).fill(key);
        await desk.keyboard.press('Enter');
    };";

/// A person who uses the workbench.
pub struct Desk {
    server: TestServer,
    browser: Session,
}

impl Desk {
    /// Opens the workbench of a server in a window with these Playwright options. `path` begins
    /// with `#`, or is empty.
    pub async fn before(server: &TestServer, path: &str, options: &str) -> Self {
        let own = TestServer::start().await;
        let browser = own.session().await;
        let desk = Self {
            server: own,
            browser,
        };
        let origin = server.origin();
        desk.act(&format!(
            "var desk = await (await browser.newContext({options})).newPage(); {SETUP}
            await desk.goto('{origin}/{path}')"
        ))
        .await;
        if let Some(key) = server.key() {
            desk.act(&format!("await enterKey('{key}')")).await;
        }
        desk
    }

    /// Opens the page of a session, and waits for its code editor.
    pub async fn at(server: &TestServer, session: &Session, options: &str) -> Self {
        let path = format!("#/sessions/{}", session.id());
        let desk = Self::before(server, &path, options).await;
        desk.act("await desk.locator('.CodeMirror').waitFor()")
            .await;
        desk
    }

    /// Runs code in the browser's kernel; panics if it fails. `desk` is the window.
    pub async fn act(&self, code: &str) {
        self.browser.node(&format!("{code}; 0")).await.ok();
    }

    /// Returns the value of an expression in the browser's kernel.
    pub async fn see(&self, code: &str) -> Value {
        let code = format!("JSON.stringify({code})");
        self.browser.node(&code).await.ok().json()
    }

    /// Writes code into the editor.
    pub async fn write(&self, code: &str) {
        self.act(&format!("await write({})", json!(code))).await;
    }

    /// Returns the path of a file that the browser's code has written.
    pub fn file(&self, name: &str) -> std::path::PathBuf {
        let dir = self.server.session_dirs().into_iter().next();
        dir.expect("one session").join("work").join(name)
    }

    /// Closes the window. Asserts that nothing failed in it, that no policy was violated, and that
    /// nothing was fetched from another host.
    pub async fn leave(self, server: &TestServer) {
        assert_eq!(self.see("complaints").await, json!([]));
        let hosts = self.see("[...hosts].filter(Boolean)").await;
        assert_eq!(hosts, json!([server.address()]));
        self.server.stop().await;
    }
}

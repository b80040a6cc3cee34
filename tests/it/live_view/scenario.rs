//! A session with a page, and a viewer in another browser.

use std::path::PathBuf;

use hearth_test_support::{Execution, Session, Site, TestServer};
use serde_json::{Value, json};

/// Functions for the viewer's kernel.
const VIEWER: &str = include_str!("../../fixtures/viewer.js");

/// Playwright options of a phone, for [`Scenario::open_as`].
pub const PHONE: &str = "{ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }";

/// A watched session and the viewer's browser, which is a session of another server because no
/// session reaches its own server.
pub struct Scenario {
    pub server: TestServer,
    viewers_server: TestServer,
    pub site: Site,
    /// The watched session. Its page is `/desk`.
    pub session: Session,
    viewer: Session,
}

impl Scenario {
    pub async fn setup() -> Self {
        Self::setup_with(&json!({})).await
    }

    /// Starts the scenario; the watched session is created with this body.
    pub async fn setup_with(body: &Value) -> Self {
        let (server, site) = (TestServer::start().await, Site::start().await);
        let viewers_server = TestServer::builder().single().start().await;
        let viewer = viewers_server.session().await;
        viewer.node(&format!("{VIEWER}; 0")).await.ok();
        let session = server.session_with(body).await;
        let scenario = Self {
            server,
            viewers_server,
            site,
            session,
            viewer,
        };
        scenario
            .code(&format!(
                "await page.goto('{}')",
                scenario.site.url("/desk")
            ))
            .await;
        scenario
    }

    /// Starts the scenario with a viewer that has opened the interactive link.
    pub async fn with_control() -> Self {
        let scenario = Self::setup().await;
        scenario.open(&scenario.interactive_link()).await;
        scenario
    }

    /// Starts the scenario with a viewer that has opened the view-only link.
    pub async fn watched() -> Self {
        let scenario = Self::setup().await;
        scenario.open(&scenario.link()).await;
        scenario
    }

    pub fn link(&self) -> String {
        self.session.created["liveViewUrl"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub fn interactive_link(&self) -> String {
        self.session.created["interactiveLiveViewUrl"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Opens a link in the viewer's browser.
    pub async fn open(&self, link: &str) {
        self.act(&format!("await viewer.open('{link}')")).await;
    }

    /// Opens a link in a new window with these Playwright options.
    pub async fn open_as(&self, link: &str, options: &str) {
        self.act(&format!("await viewer.open('{link}', {options})"))
            .await;
    }

    /// Runs code in the viewer's kernel; panics if it fails.
    pub async fn act(&self, code: &str) {
        self.viewer.node(&format!("{code}; 0")).await.ok();
    }

    /// Runs code in the viewer's kernel and returns the result, even of a failure.
    pub async fn try_act(&self, code: &str) -> Execution {
        self.viewer.node(code).await
    }

    /// Returns the path of a file that the viewer's code has written.
    pub async fn viewers_file(&self, name: &str) -> PathBuf {
        PathBuf::from(self.viewer.bash("pwd").await.ok().result).join(name)
    }

    /// Evaluates an expression in the viewer's window.
    pub async fn see(&self, expression: &str) -> Value {
        self.viewer
            .node(&format!("JSON.stringify({expression})"))
            .await
            .ok()
            .json()
    }

    /// Runs node code in the watched session.
    pub async fn code(&self, code: &str) -> Execution {
        self.session.node(&format!("{code}; 0")).await.ok()
    }

    /// Evaluates an expression in the watched page.
    pub async fn page(&self, expression: &str) -> Value {
        let code = format!(
            "JSON.stringify(await page.evaluate({}) ?? null)",
            json!(expression)
        );
        self.session.node(&code).await.ok().json()
    }

    /// Waits until an expression is true in the watched page.
    pub async fn page_until(&self, expression: &str) {
        let expression = json!(expression);
        let code =
            format!("await page.waitForFunction({expression}, null, {{ timeout: 15000 }}); 0");
        let execution = self.session.node(&code).await;
        assert_eq!(
            execution.exit_code,
            0,
            "{expression} did not become true: {}",
            self.page("seen").await
        );
    }

    pub async fn teardown(self) {
        self.server.stop().await;
        self.viewers_server.stop().await;
    }
}

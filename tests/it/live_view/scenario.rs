//! A session with a page, and somebody in front of another browser who looks at it.

use std::path::PathBuf;

use hearth_test_support::{Execution, Session, Site, TestServer};
use serde_json::{Value, json};

/// What the viewer can do, in the words of its kernel.
const VIEWER: &str = include_str!("../../fixtures/viewer.js");

/// A phone, for [`Scenario::open_as`].
pub const PHONE: &str = "{ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }";

/// A session that is looked at, and the viewer's browser: a session of another server, since no
/// session reaches its own.
pub struct Scenario {
    pub server: TestServer,
    viewers_server: TestServer,
    pub site: Site,
    /// The session that is looked at. Its page is `/desk`.
    pub session: Session,
    viewer: Session,
}

impl Scenario {
    pub async fn setup() -> Self {
        Self::setup_with(&json!({})).await
    }

    /// The same, where the session that is looked at was created with this body.
    pub async fn setup_with(body: &Value) -> Self {
        let (server, site) = (TestServer::start().await, Site::start().await);
        let viewers_server = TestServer::start().await;
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

    /// Somebody has opened the interactive link, and steers.
    pub async fn steered() -> Self {
        let scenario = Self::setup().await;
        scenario.open(&scenario.interactive_link()).await;
        scenario
    }

    /// Somebody has opened the other link, and only watches.
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

    /// The viewer opens a link.
    pub async fn open(&self, link: &str) {
        self.act(&format!("await viewer.open('{link}')")).await;
    }

    /// The same, with a window of its own that has these options of Playwright's.
    pub async fn open_as(&self, link: &str, options: &str) {
        self.act(&format!("await viewer.open('{link}', {options})"))
            .await;
    }

    /// The viewer does something.
    pub async fn act(&self, code: &str) {
        self.viewer.node(&format!("{code}; 0")).await.ok();
    }

    /// The same, whatever comes of it.
    pub async fn try_act(&self, code: &str) -> Execution {
        self.viewer.node(code).await
    }

    /// Where a file lies that the viewer's code has written.
    pub async fn viewers_file(&self, name: &str) -> PathBuf {
        PathBuf::from(self.viewer.bash("pwd").await.ok().result).join(name)
    }

    /// What the viewer's window says to an expression.
    pub async fn see(&self, expression: &str) -> Value {
        self.viewer
            .node(&format!("JSON.stringify({expression})"))
            .await
            .ok()
            .json()
    }

    /// Runs node code in the session that is looked at.
    pub async fn code(&self, code: &str) -> Execution {
        self.session.node(&format!("{code}; 0")).await.ok()
    }

    /// What the page that is looked at says to an expression.
    pub async fn page(&self, expression: &str) -> Value {
        let code = format!(
            "JSON.stringify(await page.evaluate({}) ?? null)",
            json!(expression)
        );
        self.session.node(&code).await.ok().json()
    }

    /// Waits until an expression is true in the page that is looked at.
    pub async fn page_until(&self, expression: &str) {
        let expression = json!(expression);
        let code =
            format!("await page.waitForFunction({expression}, null, {{ timeout: 15000 }}); 0");
        let execution = self.session.node(&code).await;
        assert_eq!(
            execution.exit_code,
            0,
            "{expression} did not come true: {}",
            self.page("seen").await
        );
    }

    pub async fn teardown(self) {
        self.server.stop().await;
        self.viewers_server.stop().await;
    }
}

//! The operator page in a real browser, which is a session of another server because no session
//! reaches its own server.

use hearth_test_support::{Session, Site, TestServer, repository};
use serde_json::{Value, json};

const PHONE: &str = "{ viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 }";
pub const DESK: &str = "{ viewport: { width: 1280, height: 800 } }";

/// Max size of a picture in a document.
const MAX_BYTES: u64 = 200_000;

/// An operator with a browser.
pub struct Operator {
    server: TestServer,
    browser: Session,
    origin: String,
}

impl Operator {
    /// Opens the page in a window with these Playwright options.
    pub async fn before(server: &TestServer, options: &str) -> Self {
        let own = TestServer::builder().single().start().await;
        let browser = own.session().await;
        let operator = Self {
            server: own,
            browser,
            origin: server.origin().to_owned(),
        };
        operator.open(options).await;
        if let Some(key) = server.key() {
            operator.enter(key).await;
            operator.forget_rejections().await;
        }
        operator
    }

    async fn open(&self, options: &str) {
        let origin = &self.origin;
        self.act(&format!(
            "var complaints = []; var desk = await (await browser.newContext({options})).newPage(); desk.setDefaultTimeout(55_000); \
             desk.on('console', (message) => message.type() === 'error' && complaints.push(message.text())); \
             desk.on('pageerror', (error) => complaints.push(String(error))); await desk.goto('{origin}/operator')"
        ))
        .await;
    }

    /// Enters a key on the page.
    pub async fn enter(&self, key: &str) {
        let enter = format!(
            "await desk.getByLabel(/key/i).fill('{key}'); await desk.keyboard.press('Enter')"
        );
        self.act(&enter).await;
    }

    /// Forgets complaints about responses with status 401, which the browser itself logs.
    pub async fn forget_rejections(&self) {
        self.act("complaints = complaints.filter((complaint) => !complaint.includes('401'))")
            .await;
    }

    pub async fn act(&self, code: &str) {
        self.browser.node(&format!("{code}; 0")).await.ok();
    }

    pub async fn see(&self, code: &str) -> Value {
        self.browser.node(code).await.ok().json()
    }

    pub async fn leave(self) {
        assert_eq!(self.see("complaints").await, json!([]));
        self.server.stop().await;
    }
}

#[tokio::test]
async fn the_page_shows_a_session_with_its_thumbnail_and_ends_it_after_confirmation() {
    // The meters are those of the server that shows the page.
    let server = TestServer::builder().single().start().await;
    let site = Site::start().await;
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); await page.title()",
            site.url("/title/Evening")
        ))
        .await
        .ok();
    session.bash("exit 3").await;
    let operator = Operator::before(&server, DESK).await;
    operator
        .act("await desk.getByText('Evening', { exact: true }).waitFor()")
        .await;
    operator.act("await desk.waitForFunction(() => document.querySelector('#sessions img')?.naturalWidth > 100)").await;
    let seen = operator
        .see("[await desk.locator('main').innerText()]")
        .await;
    let seen = seen[0].as_str().expect("text");
    for word in [
        "1 of ",
        "exit 0",
        "exit 3",
        "bash",
        "/title/Evening",
        "Leaked processes",
        "Live view",
    ] {
        assert!(seen.contains(word), "{word} is not on the page:\n{seen}");
    }
    // The operator's view does not affect the session's page.
    assert_eq!(
        session
            .node("await page.evaluate(() => devicePixelRatio)")
            .await
            .ok()
            .json(),
        json!(1)
    );
    operator
        .act("var end = desk.getByRole('button', { name: /^End/ }); await end.click()")
        .await;
    assert_eq!(session.status().await["status"], "active");
    // A double click counts as one press, and a press without a second one is forgotten.
    operator.act(r"while ((await end.allTextContents()).some((text) => /^End(\?|$)/.test(text))) await end.click({ timeout: 1000 }).catch(() => {})").await;
    operator
        .act("await desk.getByText('No session is open').waitFor()")
        .await;
    session.assert_destroyed("deleted").await;
    operator.leave().await;
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_cut_off_on_a_phone() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let long = "evening-shelf-".repeat(100);
    for _ in 0..2 {
        let session = server.session().await;
        session
            .node(&format!(
                "await page.goto('{}')",
                site.url(&format!("/title/{long}"))
            ))
            .await
            .ok();
    }
    let operator = Operator::before(&server, PHONE).await;
    // Only cards on the screen have a thumbnail.
    operator.act("await desk.waitForFunction(() => { document.querySelector('#sessions .card:not(:has(img))')?.scrollIntoView(); return document.querySelectorAll('#sessions img').length === 2 })").await;
    let widths = operator
        .see("await desk.evaluate(() => [document.documentElement.scrollWidth, innerWidth])")
        .await;
    assert_eq!(widths, json!([360, 360]));
    operator.leave().await;
    server.stop().await;
}

#[tokio::test]
async fn a_team_sees_its_own_sessions_and_an_operator_all() {
    let keys = "shop:key-of-shop,lab:key-of-lab";
    let builder = TestServer::builder()
        .setting("HEARTH_API_KEYS", keys)
        .setting("HEARTH_OPERATOR_KEY", "key-of-boss");
    let (server, site) = (builder.start().await, Site::start().await);
    let sessions = [
        ("shop", server.with_key("key-of-shop").session().await),
        ("lab", server.with_key("key-of-lab").session().await),
    ];
    for (team, session) in &sessions {
        session
            .node(&format!(
                "await page.goto('{}')",
                site.url(&format!("/title/Page-of-{team}"))
            ))
            .await
            .ok();
    }
    let operator = Operator::before(&server, DESK).await;
    operator.enter("key-of-nobody").await;
    operator.act("await desk.waitForFunction(() => document.querySelector('#rejection').textContent.length > 0)").await;
    operator.forget_rejections().await;
    operator.enter("key-of-shop").await;
    operator
        .act("await desk.getByText('Page-of-shop', { exact: true }).waitFor()")
        .await;
    assert_eq!(
        operator
            .see("await desk.getByText('Page-of-lab', { exact: true }).count()")
            .await,
        json!(0)
    );
    operator
        .act("await desk.getByRole('button', { name: 'Forget the key' }).click()")
        .await;
    operator.enter("key-of-boss").await;
    operator
        .act("await desk.getByText('Page-of-lab', { exact: true }).waitFor()")
        .await;
    assert_eq!(
        operator
            .see("await desk.getByText('Page-of-shop', { exact: true }).count()")
            .await,
        json!(1)
    );
    operator.forget_rejections().await;
    operator.leave().await;
    // Repeats the check without a page.
    let shop = server.with_key("key-of-shop");
    let ask = async |method: &str, path: &str| {
        let method = method.parse().expect("a method");
        let path = format!("/operator/sessions/{}{path}", sessions[1].1.id());
        hearth_test_support::Exchange::of(shop.request_outside(method, &path))
            .await
            .status
    };
    assert_eq!(
        (ask("GET", "/picture").await, ask("DELETE", "").await),
        (403, 403)
    );
    assert_eq!(sessions[1].1.status().await["status"], "active");
    server.stop().await;
}

#[tokio::test]
async fn a_session_without_a_live_view_has_no_thumbnail_and_a_hanging_page_blocks_nothing() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let hidden = server.session_with(&json!({"streamWebView": false})).await;
    let hung = server.session().await;
    hung.node(&format!(
        "await page.goto('{}'); page.evaluate(() => {{ for (;;); }}).catch(() => {{}}); 0",
        site.url("/title/Hung")
    ))
    .await
    .ok();
    let ask = async |path: String| {
        hearth_test_support::Exchange::of(server.request_outside(reqwest::Method::GET, &path)).await
    };
    assert_eq!(
        ask(format!("/operator/sessions/{}/picture", hidden.id()))
            .await
            .status,
        204
    );
    assert!(
        [200, 204].contains(
            &ask(format!("/operator/sessions/{}/picture", hung.id()))
                .await
                .status
        )
    );
    let state = ask("/operator/state".to_owned()).await.json();
    assert_eq!(
        state["sessions"][0]["url"],
        json!(site.url("/title/Hung")),
        "{state}"
    );
    assert_eq!(
        (
            &state["sessions"][1]["hasPicture"],
            &state["sessions"][1]["liveViewUrl"]
        ),
        (&json!(false), &json!(""))
    );
    server.stop().await;
}

/// Takes the screenshot. After a change of the page, run
/// `scripts/test --run-ignored only -E 'test(the_screenshot_shows_a_quiet_server)'`.
#[tokio::test]
#[ignore = "writes docs/operator-page.png"]
async fn the_screenshot_shows_a_quiet_server() {
    let (server, site) = (
        TestServer::builder()
            .setting("HEARTH_MAX_SESSIONS", "40")
            .start()
            .await,
        Site::start().await,
    );
    let sessions = [
        server.session().await,
        server.session().await,
        server.session().await,
    ];
    let shelf = json!(include_str!("../../fixtures/shelf.html"));
    // The address is readable and the same in every run.
    sessions[0].node(&format!("await context.route('https://books.example/**', (route) => route.fulfill({{ contentType: 'text/html; charset=utf-8', body: {shelf} }})); await page.goto('https://books.example/evening-shelf')")).await.ok();
    sessions[1].python("await page.set_content('<title>Prices</title><body style=\"font: 40px sans-serif; background: #dfe8d8\"><h1>Prices</h1><p>12 of 80 pages read')").await;
    sessions[1].bash("sleep 0.2; exit 1").await;
    sessions[2]
        .node(&format!(
            "await page.goto('{}')",
            site.url("/title/Lanterns")
        ))
        .await
        .ok();
    let busy = sessions[2].clone();
    let (code, over) = (
        format!(
            "{}; curl -s {}",
            site.bash_signal("begun"),
            site.url("/held/go-on")
        ),
        site.url("/signal/go-on"),
    );
    let screenshot = async {
        site.signalled("begun").await;
        let operator = Operator::before(
            &server,
            "{ viewport: { width: 1280, height: 440 }, colorScheme: 'light' }",
        )
        .await;
        operator.act("await desk.waitForFunction(() => [...document.querySelectorAll('#sessions img')].filter((img) => img.naturalWidth > 100).length === 3)").await;
        operator
            .act("await desk.getByText('running now').waitFor()")
            .await;
        operator
            .act("await desk.screenshot({ path: 'operator-page.png' })")
            .await;
        let dir = operator
            .server
            .session_dirs()
            .into_iter()
            .next()
            .expect("one session");
        let taken = dir.join("work/operator-page.png");
        assert!(
            std::fs::metadata(&taken)
                .expect("the screenshot exists")
                .len()
                <= MAX_BYTES
        );
        std::fs::copy(taken, repository().join("docs/operator-page.png"))
            .expect("the screenshot can be copied");
        operator.leave().await;
        reqwest::get(over).await.expect("the site is running");
    };
    let (ran, ()) = tokio::join!(busy.bash(&code), screenshot);
    ran.ok();
    server.stop().await;
}

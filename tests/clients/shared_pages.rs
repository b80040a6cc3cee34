//! Several clients on the pages of one session: they see the same pages, and none of them changes
//! what another one has set by attaching, reading or leaving.

use std::time::Duration;

use hearth_test_support::{Session, Site, TestServer, eventually};
use serde_json::{Value, json};

use super::visitor::Visitor;

/// An expression with everything that a client can set for a page and a page can observe.
const OBSERVED: &str = "(async () => ({
    media: matchMedia('print').matches ? 'print' : 'screen',
    scheme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light',
    motion: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'reduce' : 'usual',
    size: [innerWidth, innerHeight],
    agent: navigator.userAgent,
    number: (1.5).toLocaleString(),
    permission: (await navigator.permissions.query({ name: 'geolocation' })).state,
    header: await fetch('/headers').then(async (reply) => /x-shared: (\\w+)/i.exec(await reply.text())?.[1] ?? 'none', () => 'offline'),
}))()";

/// Sets all of these except for being offline, with Playwright. `ORIGIN` is the page's.
const PLAYWRIGHT_SETS: &str = "
    await page.emulateMedia({ media: 'print', colorScheme: 'dark', reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 901, height: 602 });
    await page.setExtraHTTPHeaders({ 'x-shared': 'playwright' });
    await page.context().grantPermissions(['geolocation'], { origin: 'ORIGIN' });
    globalThis.protocol = await page.context().newCDPSession(page);
    await protocol.send('Emulation.setUserAgentOverride', { userAgent: 'playwright' });
    await protocol.send('Emulation.setLocaleOverride', { locale: 'de-DE' });";

fn set_by_playwright() -> Value {
    json!({
        "media": "print", "scheme": "dark", "motion": "reduce", "size": [901, 602],
        "agent": "playwright", "number": "1,5", "permission": "granted",
        "header": "playwright",
    })
}

/// Sets other values with Puppeteer.
const PUPPETEER_SETS: &str = "
    await page.emulateMediaType('print');
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }, { name: 'prefers-reduced-motion', value: 'reduce' }]);
    await page.setViewport({ width: 703, height: 504 });
    await page.setExtraHTTPHeaders({ 'x-shared': 'puppeteer' });
    await page.browserContext().overridePermissions('ORIGIN', ['geolocation']);
    await page.setUserAgent('puppeteer');
    globalThis.protocol = await page.createCDPSession();
    await protocol.send('Emulation.setLocaleOverride', { locale: 'de-DE' });";

/// Reads the page in the way of each library.
const PLAYWRIGHT_READS: &str = "
    await page.title(); await page.content(); await page.screenshot({ fullPage: true });
    await page.locator('h1').textContent(); return browser.contexts()[0].pages().length;";
const PUPPETEER_READS: &str = "
    await page.title(); await page.content(); await page.screenshot({ fullPage: true });
    await page.$eval('h1', (heading) => heading.textContent); return (await browser.pages()).length;";

/// A server with one session whose page is on a site.
struct Shared {
    server: TestServer,
    site: Site,
    session: Session,
}

impl Shared {
    async fn start() -> Self {
        let (server, site) = (TestServer::start().await, Site::start().await);
        let session = server.session().await;
        let goto = format!("await page.goto('{}'); 0", site.url("/title/shared"));
        session.node(&goto).await.ok();
        Self {
            server,
            site,
            session,
        }
    }

    fn code(&self, code: &str) -> String {
        code.replace("ORIGIN", &self.site.url(""))
    }

    async fn observed(&self) -> Value {
        let code = format!("await page.evaluate({})", Value::from(OBSERVED));
        self.session.node(&code).await.ok().json()
    }

    /// Asserts that the page soon shows this, because a client that disconnects leaves later.
    async fn assert_soon(&self, what: &str, expected: &Value) {
        eventually(Duration::from_secs(10), what, || async {
            let now = self.observed().await;
            if now == *expected {
                Ok(())
            } else {
                Err(format!("{now}\nexpected {expected}"))
            }
        })
        .await;
    }

    /// Connects clients that read the page, and asserts after each of them, and after each of them
    /// has left, that the page shows the same.
    async fn assert_visits_change_nothing(&self, expected: &Value) {
        assert_eq!(self.observed().await, *expected);
        let mut visitors = Vec::new();
        for (library, reads) in [
            ("playwright", PLAYWRIGHT_READS),
            ("puppeteer", PUPPETEER_READS),
            ("playwright", PLAYWRIGHT_READS),
        ] {
            let mut visitor = Visitor::connect(library, &self.session).await;
            assert_eq!(self.observed().await, *expected, "{library} attached");
            visitor.run(reads).await;
            assert_eq!(self.observed().await, *expected, "{library} has read");
            visitors.push(visitor);
        }
        for (language, code) in [
            ("python", "await page.title()"),
            ("bash", "agent-browser get title"),
            ("bash", "agent-browser snapshot"),
        ] {
            self.session.run(language, code).await.ok();
            assert_eq!(self.observed().await, *expected, "{code}");
        }
        for visitor in visitors {
            visitor.leave().await;
            self.assert_soon("nothing changes when a client leaves", expected)
                .await;
        }
    }
}

/// Rules E1, E2, E3, E4.
#[tokio::test]
async fn settings_of_a_page_survive_clients_that_attach_read_and_leave() {
    let shared = Shared::start().await;
    let usual = shared.observed().await;
    assert_eq!(usual["size"], json!([1280, 720]));
    shared.assert_visits_change_nothing(&usual).await;

    let set = format!("{} 0", shared.code(PLAYWRIGHT_SETS));
    shared.session.node(&set).await.ok();
    let mut expected = set_by_playwright();
    shared.assert_visits_change_nothing(&expected).await;

    shared
        .session
        .node("await page.context().setOffline(true); 0")
        .await
        .ok();
    expected["header"] = json!("offline");
    shared.assert_visits_change_nothing(&expected).await;
    shared.server.stop().await;
}

/// Rules E1, E2, E3, E4.
#[tokio::test]
async fn settings_of_puppeteer_survive_clients_that_attach_read_and_leave() {
    let shared = Shared::start().await;
    let mut puppeteer = Visitor::connect("puppeteer", &shared.session).await;
    puppeteer.run(&shared.code(PUPPETEER_SETS)).await;
    let mut expected = json!({
        // Puppeteer sends each of the two alone, which resets the other one.
        "media": "screen", "scheme": "dark", "motion": "reduce", "size": [703, 504],
        "agent": "puppeteer", "number": "1,5", "permission": "granted",
        "header": "puppeteer",
    });
    shared.assert_visits_change_nothing(&expected).await;
    puppeteer.run("await page.setOfflineMode(true)").await;
    expected["header"] = json!("offline");
    shared.assert_visits_change_nothing(&expected).await;
    shared.server.stop().await;
}

/// Rules E2, E3, E4.
#[tokio::test]
async fn values_of_the_remaining_client_apply_when_another_one_leaves() {
    let shared = Shared::start().await;
    let usual = shared.observed().await;
    let mut first = Visitor::connect("playwright", &shared.session).await;
    first.run(&shared.code(PLAYWRIGHT_SETS)).await;
    let mut second = Visitor::connect("puppeteer", &shared.session).await;
    // The first client holds the locale, which the browser does not let others change.
    let sets = "
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
        await page.setViewport({ width: 703, height: 504 });
        await page.setExtraHTTPHeaders({ 'x-shared': 'puppeteer' });
        await page.setUserAgent('puppeteer');
        await page.browserContext().overridePermissions('ORIGIN', []);
        await page.setOfflineMode(true);";
    second.run(&shared.code(sets)).await;
    let expected = json!({
        "media": "print", "scheme": "light", "motion": "reduce", "size": [703, 504],
        "agent": "puppeteer", "number": "1,5", "permission": "denied",
        "header": "offline",
    });
    shared.assert_soon("the last values apply", &expected).await;
    second.leave().await;
    shared
        .assert_soon("the first values apply again", &set_by_playwright())
        .await;

    let mut second = Visitor::connect("puppeteer", &shared.session).await;
    second.run(&shared.code(sets)).await;
    first.leave().await;
    let expected = json!({
        "media": "screen", "scheme": "light", "motion": "usual", "size": [703, 504],
        "agent": "puppeteer", "number": usual["number"], "permission": "denied",
        "header": "offline",
    });
    shared
        .assert_soon("the second values still apply", &expected)
        .await;
    second.leave().await;
    shared.server.stop().await;
}

/// Rule M20.
#[tokio::test]
async fn pages_of_a_private_context_are_hidden_from_other_clients() {
    let shared = Shared::start().await;
    let mut owner = Visitor::connect("playwright", &shared.session).await;
    let (mut playwright, mut puppeteer) = (
        Visitor::connect("playwright", &shared.session).await,
        Visitor::connect("puppeteer", &shared.session).await,
    );
    let opens = format!(
        "globalThis.own = await browser.newContext();
         globalThis.tab = await own.newPage();
         await tab.goto('{}');
         const [popup] = await Promise.all([tab.waitForEvent('popup'), tab.click('a')]);
         await popup.waitForLoadState();
         return [await popup.title(), browser.contexts().map((each) => each.pages().length)];",
        shared.site.url("/popup")
    );
    assert_eq!(owner.run(&opens).await, json!(["popped", [1, 2]]));
    // The clients that were there, and one that comes later.
    let mut late = Visitor::connect("puppeteer", &shared.session).await;
    let pages =
        "return browser.contexts().flatMap((each) => each.pages()).map((each) => each.url());";
    let expected = json!([shared.site.url("/title/shared")]);
    assert_eq!(playwright.run(pages).await, expected);
    let pages = "return (await browser.pages()).map((each) => each.url());";
    for visitor in [&mut puppeteer, &mut late] {
        assert_eq!(visitor.run(pages).await, expected);
    }
    let node = "browser.contexts().flatMap((each) => each.pages()).map((each) => each.url())";
    assert_eq!(shared.session.node(node).await.ok().json(), expected);
    let python = "[page.url for context in browser.contexts for page in context.pages]";
    assert_eq!(shared.session.python(python).await.ok().json(), expected);
    // The current tab of code is one that it sees.
    for (language, code) in [
        ("python", "await page.title()"),
        ("bash", "agent-browser get title"),
    ] {
        let shown = shared.session.run(language, code).await.ok();
        let shown = format!("{}{}", shown.result, shown.stdout);
        assert!(shown.contains("shared"), "{language}: {shown}");
    }
    // The owner's pages still work, also for dialogs and new pages.
    let works = "await (await own.newPage()).goto('about:blank'); return tab.title();";
    assert_eq!(owner.run(works).await, json!("Opener"));
    for visitor in [owner, playwright, puppeteer, late] {
        visitor.leave().await;
    }
    shared.server.stop().await;
}

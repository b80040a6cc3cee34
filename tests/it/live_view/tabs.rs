//! The bar: tabs, addresses, and dialogs of pages.

use serde_json::json;

use crate::live_view::scenario::Scenario;

/// Reads the names of the tabs in the strip, and which one is marked.
const STRIP: &str =
    "await viewer.view.evaluate(() => [...document.querySelectorAll('[role=tab]')].map(
    (tab) => tab.textContent + (tab.ariaSelected === 'true' ? '*' : '')))";

impl Scenario {
    /// Waits until the viewer shows the crash, reloads the tab, and asserts that it is visible and
    /// can be controlled.
    async fn reload_crashed(&self) {
        self.act("await viewer.says('what', 'This tab has crashed.')")
            .await;
        self.act("await page.getByRole('button', { name: 'Reload' }).click()")
            .await;
        self.act("await page.locator('#veil').waitFor({ state: 'hidden' })")
            .await;
        self.act("await viewer.shows(500, 500, [240, 240, 240]); await viewer.click(120, 70)")
            .await;
        self.act("await viewer.shows(500, 500, [30, 120, 60])")
            .await;
    }

    /// Waits until the strip has these tabs, the current one with a star.
    async fn strip(&self, tabs: &[&str]) {
        let expected = json!(json!(tabs).to_string());
        let code = format!(
            "await viewer.view.waitForFunction((expected) => JSON.stringify(
                [...document.querySelectorAll('[role=tab]')].map(
                    (tab) => tab.textContent + (tab.ariaSelected === 'true' ? '*' : ''))) === expected, {expected}); 0"
        );
        let execution = self.try_act(&code).await;
        assert!(
            execution.exit_code == 0,
            "the strip shows {} instead of {tabs:?}",
            self.see(STRIP).await
        );
    }
}

#[tokio::test]
async fn the_view_follows_tabs_that_pages_and_code_open_and_close() {
    let scenario = Scenario::watched().await;
    scenario.strip(&["Desk*"]).await;
    scenario
        .page(&format!(
            "void window.open('{}')",
            scenario.site.url("/title/popped")
        ))
        .await;
    scenario.strip(&["Desk", "popped*"]).await;
    scenario
        .act("await viewer.says('title', 'popped'); await viewer.shows(1000, 600, [255, 255, 255])")
        .await;
    scenario.code("globalThis.third = await context.newPage(); await third.goto('data:text/html,<title>Third</title><body bgcolor=red>')").await;
    scenario.strip(&["Desk", "popped", "Third*"]).await;
    scenario
        .act("await viewer.shows(1000, 600, [255, 0, 0])")
        .await;
    scenario.code("await page.bringToFront()").await;
    scenario.strip(&["Desk*", "popped", "Third"]).await;
    scenario
        .act("await viewer.shows(1000, 600, [240, 240, 240])")
        .await;
    scenario.code("await third.close()").await;
    scenario.strip(&["Desk*", "popped"]).await;
    scenario.teardown().await;
}

#[tokio::test]
async fn tabs_are_in_opening_order_for_late_viewers_too() {
    let scenario = Scenario::setup().await;
    for title in ["one", "two", "three", "four"] {
        scenario
            .code(&format!(
                "await (await context.newPage()).goto('{}')",
                scenario.site.url(&format!("/title/{title}"))
            ))
            .await;
    }
    scenario
        .code("await context.pages()[2].bringToFront()")
        .await;
    scenario.open(&scenario.link()).await;
    scenario
        .strip(&["Desk", "one", "two*", "three", "four"])
        .await;
    scenario.code("await context.pages()[1].close()").await;
    scenario.strip(&["Desk", "two*", "three", "four"]).await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_clicked_tab_is_the_current_tab_for_code_too() {
    let scenario = Scenario::with_control().await;
    scenario
        .code(&format!(
            "await (await context.newPage()).goto('{}')",
            scenario.site.url("/title/other")
        ))
        .await;
    scenario.strip(&["Desk", "other*"]).await;
    scenario
        .act("await page.getByRole('tab', { name: 'Desk' }).click()")
        .await;
    scenario.strip(&["Desk*", "other"]).await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_eq!(
        scenario
            .session
            .python("await page.title()")
            .await
            .ok()
            .result,
        "Desk"
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn tabs_are_opened_and_closed_by_the_viewer() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await page.getByRole('button', { name: 'New tab' }).click()")
        .await;
    scenario.strip(&["Desk", "about:blank*"]).await;
    let url = scenario.site.url("/title/opened");
    scenario
        .act(&format!(
            "await page.locator('#address').fill('{url}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scenario.strip(&["Desk", "opened*"]).await;
    scenario
        .act("await page.getByRole('button', { name: 'Close Desk' }).click()")
        .await;
    scenario.strip(&["opened*"]).await;
    assert_eq!(
        scenario
            .see("await page.locator('#tabs').isVisible()")
            .await,
        false
    );
    let pages = scenario
        .session
        .node("JSON.stringify(context.pages().map((page) => page.url()))")
        .await
        .ok()
        .json();
    assert_eq!(pages, json!([url]));
    scenario.teardown().await;
}

#[tokio::test]
async fn a_session_without_tabs_says_so_and_can_open_one() {
    let scenario = Scenario::with_control().await;
    scenario.code("await page.close()").await;
    scenario
        .act("await viewer.says('what', 'No tab is open.')")
        .await;
    assert_eq!(
        scenario
            .see("await page.locator('#frame').isVisible()")
            .await,
        false
    );
    scenario
        .act("await page.getByRole('button', { name: 'Open a tab' }).click()")
        .await;
    scenario
        .act("await page.locator('#veil').waitFor({ state: 'hidden' })")
        .await;
    let url = scenario.site.url("/desk");
    scenario
        .act(&format!(
            "await page.locator('#address').fill('{url}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_eq!(scenario.code("").await.error, None);
    scenario.teardown().await;
}

#[tokio::test]
async fn a_crashed_tab_says_so_and_can_be_reloaded() {
    let scenario = Scenario::with_control().await;
    // The page is green until it is reloaded, so that the next frame differs from the last one
    // before the crash.
    scenario
        .act("await viewer.click(120, 70); await viewer.shows(500, 500, [30, 120, 60])")
        .await;
    scenario
        .code(
            "const cdp = await context.newCDPSession(page); cdp.send('Page.crash').catch(() => {})",
        )
        .await;
    scenario.reload_crashed().await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_tab_that_crashed_earlier_can_be_reloaded_by_a_new_viewer() {
    let scenario = Scenario::setup().await;
    let crash = "await new Promise(async (resolve) => {
        page.once('crash', resolve);
        (await context.newCDPSession(page)).send('Page.crash').catch(() => {});
    })";
    scenario.code(crash).await;
    // There is no frame to wait for.
    scenario
        .act(&format!(
            "await viewer.openInVain('{}'); await viewer.state('live')",
            scenario.interactive_link()
        ))
        .await;
    scenario.reload_crashed().await;
    scenario.teardown().await;
}

#[tokio::test]
async fn back_forward_reload_and_the_address_bar_work() {
    let scenario = Scenario::with_control().await;
    let url = scenario.site.url("/title/next");
    // Without a scheme, the address of a machine gets http.
    let typed = url.trim_start_matches("http://");
    scenario
        .act(&format!(
            "await page.locator('#address').fill('{typed}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scenario
        .act(&format!(
            "await viewer.says('title', 'next'); await viewer.addressIs('{url}')"
        ))
        .await;
    let press = async |name: &str| {
        scenario
            .act(&format!(
                "await page.getByRole('button', {{ name: '{name}' }}).click()"
            ))
            .await;
    };
    press("Back").await;
    scenario.act("await viewer.says('title', 'Desk')").await;
    press("Forward").await;
    scenario.act("await viewer.says('title', 'next')").await;
    scenario
        .code("await page.evaluate(() => { document.title = 'changed' })")
        .await;
    scenario.act("await viewer.says('title', 'changed')").await;
    press("Reload").await;
    scenario.act("await viewer.says('title', 'next')").await;
    // The keyboard shortcuts work while the page has the focus.
    scenario
        .act("await viewer.click(700, 500); await page.keyboard.press('Alt+ArrowLeft')")
        .await;
    scenario.act("await viewer.says('title', 'Desk')").await;
    scenario
        .code("await page.evaluate(() => { document.title = 'changed' })")
        .await;
    scenario.act("await viewer.says('title', 'changed')").await;
    scenario
        .act("await page.keyboard.press('F5'); await viewer.says('title', 'Desk')")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn an_address_being_typed_is_not_replaced_until_it_is_cancelled() {
    let scenario = Scenario::with_control().await;
    let (desk, other) = (
        scenario.site.url("/desk"),
        scenario.site.url("/title/other"),
    );
    scenario
        .act(&format!("await viewer.addressIs('{desk}')"))
        .await;
    scenario
        .act("await page.locator('#address').click(); await page.keyboard.type('half an addr')")
        .await;
    scenario.code(&format!("await page.goto('{other}')")).await;
    scenario
        .act("await viewer.says('title', 'other'); await viewer.addressIs('half an addr')")
        .await;
    scenario
        .act(&format!(
            "await page.keyboard.press('Escape'); await viewer.addressIs('{other}')"
        ))
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_opened_shows_a_temporary_notice() {
    let scenario = Scenario::with_control().await;
    scenario.act("await page.locator('#address').fill('no address at all'); await page.keyboard.press('Enter')").await;
    scenario
        .act("await viewer.says('notice', 'no address at all')")
        .await;
    scenario
        .act(&format!(
            "await viewer.addressIs('{}')",
            scenario.site.url("/desk")
        ))
        .await;
    assert_eq!(scenario.page("document.title").await, "Desk");
    scenario.teardown().await;
}

#[tokio::test]
async fn a_viewer_answers_a_pages_dialogs() {
    let scenario = Scenario::with_control().await;
    // The viewer who pressed the button gets the question.
    let ask = async |question: &str| {
        scenario
            .page(&format!(
                "void (button.onclick = () => seen.push({question}))"
            ))
            .await;
        scenario.act("await viewer.click(120, 70)").await;
    };
    ask("prompt('Name?', 'Ada')").await;
    scenario
        .act("await viewer.says('message', 'Name?'); await page.locator('#answer').fill('Bob')")
        .await;
    scenario
        .act("await page.getByRole('button', { name: 'OK' }).click()")
        .await;
    scenario.page_until("seen.includes('Bob')").await;
    scenario
        .act("await page.locator('#dialog').waitFor({ state: 'hidden' })")
        .await;
    ask("confirm('Shall we?')").await;
    scenario
        .act("await viewer.says('message', 'Shall we?')")
        .await;
    scenario
        .act("await page.getByRole('button', { name: 'Cancel' }).click()")
        .await;
    scenario.page_until("seen.includes(false)").await;
    ask("confirm('Really?')").await;
    scenario
        .act("await viewer.says('message', 'Really?')")
        .await;
    scenario
        .act("await page.getByRole('button', { name: 'OK' }).click()")
        .await;
    scenario.page_until("seen.includes(true)").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_view_only_viewer_sees_a_dialog_but_cannot_answer_it() {
    let scenario = Scenario::with_control().await;
    scenario
        .page("void (button.onclick = () => seen.push(confirm('Shall we?')))")
        .await;
    scenario
        .act("await viewer.click(120, 70); globalThis.controlling = page")
        .await;
    scenario
        .open_as(
            &scenario.link(),
            "{ viewport: { width: 600, height: 400 } }",
        )
        .await;
    scenario.act("await viewer.says('message', 'Shall we?'); await viewer.says('dialog', 'is waiting for an answer')").await;
    assert_eq!(
        scenario
            .see("await page.locator('button:visible').count()")
            .await,
        0
    );
    scenario
        .act("await controlling.getByRole('button', { name: 'OK' }).click()")
        .await;
    scenario
        .act("await page.locator('#dialog').waitFor({ state: 'hidden' })")
        .await;
    scenario.page_until("seen.includes(true)").await;
    scenario.teardown().await;
}

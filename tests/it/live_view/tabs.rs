//! The bar: tabs, addresses, and what pages ask.

use serde_json::json;

use crate::live_view::scene::Scene;

/// The names of the tabs in the strip, and which one is marked.
const STRIP: &str =
    "await viewer.view.evaluate(() => [...document.querySelectorAll('[role=tab]')].map(
    (tab) => tab.textContent + (tab.ariaSelected === 'true' ? '*' : '')))";

impl Scene {
    /// The viewer is told of the crash and reloads the tab, which is seen and steered from then on.
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
            "the strip has {} and not {tabs:?}",
            self.see(STRIP).await
        );
    }
}

#[tokio::test]
async fn the_view_follows_tabs_that_pages_and_code_open_and_close() {
    let scene = Scene::watched().await;
    scene.strip(&["Desk*"]).await;
    scene
        .page(&format!(
            "void window.open('{}')",
            scene.site.url("/title/popped")
        ))
        .await;
    scene.strip(&["Desk", "popped*"]).await;
    scene
        .act("await viewer.says('title', 'popped'); await viewer.shows(1000, 600, [255, 255, 255])")
        .await;
    scene.code("globalThis.third = await context.newPage(); await third.goto('data:text/html,<title>Third</title><body bgcolor=red>')").await;
    scene.strip(&["Desk", "popped", "Third*"]).await;
    scene
        .act("await viewer.shows(1000, 600, [255, 0, 0])")
        .await;
    scene.code("await page.bringToFront()").await;
    scene.strip(&["Desk*", "popped", "Third"]).await;
    scene
        .act("await viewer.shows(1000, 600, [240, 240, 240])")
        .await;
    scene.code("await third.close()").await;
    scene.strip(&["Desk*", "popped"]).await;
    scene.strike().await;
}

#[tokio::test]
async fn tabs_stand_in_the_order_of_their_opening_also_for_who_comes_late() {
    let scene = Scene::set().await;
    for title in ["one", "two", "three", "four"] {
        scene
            .code(&format!(
                "await (await context.newPage()).goto('{}')",
                scene.site.url(&format!("/title/{title}"))
            ))
            .await;
    }
    scene.code("await context.pages()[2].bringToFront()").await;
    scene.open(&scene.link()).await;
    scene.strip(&["Desk", "one", "two*", "three", "four"]).await;
    scene.code("await context.pages()[1].close()").await;
    scene.strip(&["Desk", "two*", "three", "four"]).await;
    scene.strike().await;
}

#[tokio::test]
async fn a_tab_that_is_clicked_is_the_current_one_for_code_too() {
    let scene = Scene::steered().await;
    scene
        .code(&format!(
            "await (await context.newPage()).goto('{}')",
            scene.site.url("/title/other")
        ))
        .await;
    scene.strip(&["Desk", "other*"]).await;
    scene
        .act("await page.getByRole('tab', { name: 'Desk' }).click()")
        .await;
    scene.strip(&["Desk*", "other"]).await;
    scene
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_eq!(
        scene.session.python("await page.title()").await.ok().result,
        "Desk"
    );
    scene.strike().await;
}

#[tokio::test]
async fn tabs_are_opened_and_closed_by_the_viewer() {
    let scene = Scene::steered().await;
    scene
        .act("await page.getByRole('button', { name: 'New tab' }).click()")
        .await;
    scene.strip(&["Desk", "about:blank*"]).await;
    let url = scene.site.url("/title/opened");
    scene
        .act(&format!(
            "await page.locator('#address').fill('{url}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scene.strip(&["Desk", "opened*"]).await;
    scene
        .act("await page.getByRole('button', { name: 'Close Desk' }).click()")
        .await;
    scene.strip(&["opened*"]).await;
    assert_eq!(
        scene.see("await page.locator('#tabs').isVisible()").await,
        false
    );
    let pages = scene
        .session
        .node("JSON.stringify(context.pages().map((page) => page.url()))")
        .await
        .ok()
        .json();
    assert_eq!(pages, json!([url]));
    scene.strike().await;
}

#[tokio::test]
async fn a_session_without_a_tab_says_so_and_a_tab_can_be_opened() {
    let scene = Scene::steered().await;
    scene.code("await page.close()").await;
    scene
        .act("await viewer.says('what', 'No tab is open.')")
        .await;
    assert_eq!(
        scene
            .see("await page.locator('#picture').isVisible()")
            .await,
        false
    );
    scene
        .act("await page.getByRole('button', { name: 'Open a tab' }).click()")
        .await;
    scene
        .act("await page.locator('#veil').waitFor({ state: 'hidden' })")
        .await;
    let url = scene.site.url("/desk");
    scene
        .act(&format!(
            "await page.locator('#address').fill('{url}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scene
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_eq!(scene.code("").await.error, None);
    scene.strike().await;
}

#[tokio::test]
async fn a_tab_that_crashes_says_so_and_is_reloaded() {
    let scene = Scene::steered().await;
    // Green until it is loaded anew: what is seen then is not the last picture of before.
    scene
        .act("await viewer.click(120, 70); await viewer.shows(500, 500, [30, 120, 60])")
        .await;
    scene
        .code(
            "const cdp = await context.newCDPSession(page); cdp.send('Page.crash').catch(() => {})",
        )
        .await;
    scene.reload_crashed().await;
    scene.strike().await;
}

#[tokio::test]
async fn a_tab_that_crashed_before_anybody_looked_is_reloaded_by_who_comes() {
    let scene = Scene::set().await;
    let crash = "await new Promise(async (resolve) => {
        page.once('crash', resolve);
        (await context.newCDPSession(page)).send('Page.crash').catch(() => {});
    })";
    scene.code(crash).await;
    // There is no picture to wait for.
    scene
        .act(&format!(
            "await viewer.openInVain('{}'); await viewer.state('live')",
            scene.interactive_link()
        ))
        .await;
    scene.reload_crashed().await;
    scene.strike().await;
}

#[tokio::test]
async fn back_forward_reload_and_the_address_bar_work() {
    let scene = Scene::steered().await;
    let url = scene.site.url("/title/next");
    // Without a scheme: an address of a machine gets http.
    let typed = url.trim_start_matches("http://");
    scene
        .act(&format!(
            "await page.locator('#address').fill('{typed}'); await page.keyboard.press('Enter')"
        ))
        .await;
    scene
        .act(&format!(
            "await viewer.says('title', 'next'); await viewer.addressIs('{url}')"
        ))
        .await;
    let press = async |name: &str| {
        scene
            .act(&format!(
                "await page.getByRole('button', {{ name: '{name}' }}).click()"
            ))
            .await
    };
    press("Back").await;
    scene.act("await viewer.says('title', 'Desk')").await;
    press("Forward").await;
    scene.act("await viewer.says('title', 'next')").await;
    scene
        .code("await page.evaluate(() => { document.title = 'changed' })")
        .await;
    scene.act("await viewer.says('title', 'changed')").await;
    press("Reload").await;
    scene.act("await viewer.says('title', 'next')").await;
    // The keys for it, while the page has the keyboard.
    scene
        .act("await viewer.click(700, 500); await page.keyboard.press('Alt+ArrowLeft')")
        .await;
    scene.act("await viewer.says('title', 'Desk')").await;
    scene
        .code("await page.evaluate(() => { document.title = 'changed' })")
        .await;
    scene.act("await viewer.says('title', 'changed')").await;
    scene
        .act("await page.keyboard.press('F5'); await viewer.says('title', 'Desk')")
        .await;
    scene.strike().await;
}

#[tokio::test]
async fn an_address_that_is_being_typed_is_left_alone_until_it_is_given_up() {
    let scene = Scene::steered().await;
    let (desk, other) = (scene.site.url("/desk"), scene.site.url("/title/other"));
    scene
        .act(&format!("await viewer.addressIs('{desk}')"))
        .await;
    scene
        .act("await page.locator('#address').click(); await page.keyboard.type('half an addr')")
        .await;
    scene.code(&format!("await page.goto('{other}')")).await;
    scene
        .act("await viewer.says('title', 'other'); await viewer.addressIs('half an addr')")
        .await;
    scene
        .act(&format!(
            "await page.keyboard.press('Escape'); await viewer.addressIs('{other}')"
        ))
        .await;
    scene.strike().await;
}

#[tokio::test]
async fn an_address_that_cannot_be_opened_is_a_passing_notice() {
    let scene = Scene::steered().await;
    scene.act("await page.locator('#address').fill('no address at all'); await page.keyboard.press('Enter')").await;
    scene
        .act("await viewer.says('notice', 'no address at all')")
        .await;
    scene
        .act(&format!(
            "await viewer.addressIs('{}')",
            scene.site.url("/desk")
        ))
        .await;
    assert_eq!(scene.page("document.title").await, "Desk");
    scene.strike().await;
}

#[tokio::test]
async fn what_a_page_asks_is_answered_by_the_viewer() {
    let scene = Scene::steered().await;
    // Whoever pressed the button is asked.
    let ask = async |question: &str| {
        scene
            .page(&format!(
                "void (button.onclick = () => seen.push({question}))"
            ))
            .await;
        scene.act("await viewer.click(120, 70)").await;
    };
    ask("prompt('Name?', 'Ada')").await;
    scene
        .act("await viewer.says('message', 'Name?'); await page.locator('#answer').fill('Bob')")
        .await;
    scene
        .act("await page.getByRole('button', { name: 'OK' }).click()")
        .await;
    scene.page_until("seen.includes('Bob')").await;
    scene
        .act("await page.locator('#dialog').waitFor({ state: 'hidden' })")
        .await;
    ask("confirm('Shall we?')").await;
    scene.act("await viewer.says('message', 'Shall we?')").await;
    scene
        .act("await page.getByRole('button', { name: 'Cancel' }).click()")
        .await;
    scene.page_until("seen.includes(false)").await;
    ask("confirm('Really?')").await;
    scene.act("await viewer.says('message', 'Really?')").await;
    scene
        .act("await page.getByRole('button', { name: 'OK' }).click()")
        .await;
    scene.page_until("seen.includes(true)").await;
    scene.strike().await;
}

#[tokio::test]
async fn who_only_watches_sees_the_question_and_cannot_answer() {
    let scene = Scene::steered().await;
    scene
        .page("void (button.onclick = () => seen.push(confirm('Shall we?')))")
        .await;
    scene
        .act("await viewer.click(120, 70); globalThis.steering = page")
        .await;
    scene
        .open_as(&scene.link(), "{ viewport: { width: 600, height: 400 } }")
        .await;
    scene.act("await viewer.says('message', 'Shall we?'); await viewer.says('dialog', 'waits for an answer')").await;
    assert_eq!(
        scene
            .see("await page.locator('button:visible').count()")
            .await,
        0
    );
    scene
        .act("await steering.getByRole('button', { name: 'OK' }).click()")
        .await;
    scene
        .act("await page.locator('#dialog').waitFor({ state: 'hidden' })")
        .await;
    scene.page_until("seen.includes(true)").await;
    scene.strike().await;
}

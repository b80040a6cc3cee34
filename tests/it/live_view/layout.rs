//! The live view's layout: small windows, phones, and frames in other sites.

use serde_json::json;

use crate::live_view::scenario::{PHONE, Scenario};

/// Checks that nothing overflows the window, and that the frame is complete, as large as possible
/// and not distorted.
const FIT: &str = "await viewer.view.evaluate(() => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    const frame = document.getElementById('frame').getBoundingClientRect();
    const canvasArea = document.getElementById('canvas-area').getBoundingClientRect();
    const near = (one, other) => Math.abs(one - other) <= 1;
    return {
        overflows: scrollWidth > innerWidth || scrollHeight > innerHeight,
        whole: frame.left >= canvasArea.left - 1 && frame.right <= canvasArea.right + 1
            && frame.top >= canvasArea.top - 1 && frame.bottom <= canvasArea.bottom + 1,
        large: near(frame.width, canvasArea.width) || near(frame.height, canvasArea.height),
        undistorted: near((frame.width / 1280) * 720, frame.height),
    };
})";

async fn assert_fits(scenario: &Scenario, what: &str) {
    let expected = json!({"overflows": false, "whole": true, "large": true, "undistorted": true});
    assert_eq!(scenario.see(FIT).await, expected, "{what}");
}

#[tokio::test]
async fn the_frame_fits_every_window_and_follows_its_size() {
    let scenario = Scenario::with_control().await;
    for (width, height) in [
        (1280, 800),
        (1920, 1080),
        (390, 844),
        (600, 400),
        (320, 240),
        (2000, 300),
    ] {
        scenario
            .act(&format!(
                "await page.setViewportSize({{ width: {width}, height: {height} }})"
            ))
            .await;
        scenario.act("await viewer.view.waitForFunction(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true)))))").await;
        assert_fits(&scenario, &format!("{width} x {height}")).await;
    }
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn it_fits_a_phone_and_its_buttons_are_large_enough() {
    let scenario = Scenario::setup().await;
    for tab in [
        "second",
        "third",
        "fourth",
        "a fifth with a title that is rather long",
    ] {
        scenario
            .code(&format!(
                "await (await context.newPage()).goto('{}')",
                scenario.site.url("/title/x")
            ))
            .await;
        scenario
            .code(&format!("await context.pages().at(-1).evaluate((title) => {{ document.title = title }}, '{tab}')"))
            .await;
    }
    for link in [scenario.link(), scenario.interactive_link()] {
        scenario.open_as(&link, PHONE).await;
        scenario.act("await viewer.says('title', 'a fifth')").await;
        assert_fits(&scenario, "phone").await;
        assert_eq!(
            scenario
                .see("await viewer.view.evaluate(() => document.getElementById('frame').width)")
                .await,
            780
        );
        let small = "await viewer.view.evaluate(() => [...document.querySelectorAll('button')].filter(
            ({ offsetWidth, offsetHeight }) => offsetWidth && (offsetWidth < 40 || offsetHeight < 40)).map((button) => button.outerHTML))";
        assert_eq!(scenario.see(small).await, json!([]));
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn it_works_in_a_frame_of_another_site() {
    let scenario = Scenario::setup().await;
    let embed = format!(
        "await page.goto('{}');
        await page.setContent('<h1>Elsewhere</h1><iframe id=view width=600 height=400 src=\"{}\"></iframe>');
        viewer.view = await (await page.waitForSelector('#view')).contentFrame();
        await viewer.isLive()",
        scenario.site.url("/title/elsewhere"),
        scenario.interactive_link()
    );
    scenario.act(&embed).await;
    assert_ne!(
        scenario
            .see("[await page.evaluate(() => origin), await viewer.view.evaluate(() => origin)]")
            .await[0],
        scenario.server.origin()
    );
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_fits(&scenario, "in a frame").await;
    scenario.act("await viewer.click(120, 70)").await;
    scenario.page_until("seen.includes('pressed')").await;
    scenario
        .act("await viewer.shows(500, 500, [30, 120, 60])")
        .await;
    scenario
        .act("await viewer.click(100, 160); await page.keyboard.type('framed')")
        .await;
    scenario.page_until("text.value === 'framed'").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn nothing_is_fetched_from_other_hosts_or_violates_the_csp() {
    let scenario = Scenario::setup().await;
    scenario.act("globalThis.said = []; page.on('console', (message) => said.push(message.text())); page.on('pageerror', (error) => said.push(String(error)))").await;
    scenario
        .act("globalThis.asked = new Set(); page.on('request', (request) => asked.add(new URL(request.url()).host))")
        .await;
    scenario.open(&scenario.interactive_link()).await;
    scenario.act("await viewer.click(120, 70)").await;
    scenario.page_until("seen.includes('pressed')").await;
    let hosts = scenario.see("[...asked]").await;
    assert!(
        hosts
            .as_array()
            .unwrap()
            .iter()
            .all(|host| host == scenario.server.address() || host == ""),
        "{hosts}"
    );
    assert_eq!(scenario.see("said").await, json!([]));
    scenario.teardown().await;
}

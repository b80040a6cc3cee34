//! The screenshot of the live view in README.md.

use crate::live_view::scenario::Scenario;

/// The page's size plus the bar and the tabs.
const WINDOW: &str = "{ viewport: { width: 1280, height: 797 }, colorScheme: 'light' }";

/// Max size of a picture in the README.
const MAX_BYTES: u64 = 200_000;

/// Takes the screenshot. After a change of the page, run
/// `scripts/test --run-ignored only -E 'test(live_view::screenshot)'`.
#[tokio::test]
#[ignore = "writes docs/live-view.png"]
async fn the_screenshot_shows_typing_into_a_search_field() {
    let scenario = Scenario::setup().await;
    let shelf = serde_json::json!(include_str!("../../fixtures/shelf.html"));
    // The address is readable and the same in every run.
    scenario.code(&format!("await context.route('https://books.example/**', (route) => route.fulfill({{ contentType: 'text/html; charset=utf-8', body: {shelf} }}))")).await;
    scenario.code("const shelf = await context.newPage(); await shelf.goto('https://books.example/evening-shelf')").await;
    scenario.open_as(&scenario.interactive_link(), WINDOW).await;
    scenario
        .act("await viewer.says('title', 'Lantern Books'); await viewer.click(200, 190)")
        .await;
    scenario.act("await page.keyboard.type('tides')").await;
    scenario
        .code("await shelf.waitForFunction(() => search.value === 'tides'); page = shelf")
        .await;
    // Wait until the change after the last letter is visible.
    scenario
        .page("void (document.querySelector('button').style.background = 'rgb(180, 80, 30)')")
        .await;
    let button =
        scenario.page("(({ x, y }) => [x + 6, y + 6])(document.querySelector('button').getBoundingClientRect())").await;
    scenario
        .act(&format!(
            "await viewer.shows({}, {}, [180, 80, 30])",
            button[0], button[1]
        ))
        .await;
    scenario
        .act("await page.screenshot({ path: 'live-view.png' })")
        .await;
    let taken = scenario.viewers_file("live-view.png").await;
    let bytes = std::fs::metadata(&taken).unwrap().len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    std::fs::copy(
        taken,
        hearth_test_support::repository().join("docs/live-view.png"),
    )
    .unwrap();
    scenario.teardown().await;
}

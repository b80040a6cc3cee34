//! The workbench with the keyboard alone.

use hearth_test_support::TestServer;
use serde_json::json;

use super::desk::{DESK, Desk};

/// Presses Tab until the focus is on an element that matches a selector.
const TAB_TO: &str = "var tabTo = async (selector) => {
    for (let presses = 0; presses < 60; presses += 1) {
        await desk.keyboard.press('Tab');
        if (await desk.evaluate((selector) => document.activeElement.matches(selector), selector)) return;
    }
    throw new Error(`Tab does not reach ${selector}`);
}";

#[tokio::test]
async fn a_session_is_created_used_and_left_with_the_keyboard() {
    let server = TestServer::start().await;
    let desk = Desk::before(&server, "", DESK).await;
    desk.act(&format!(
        "{TAB_TO}; var press = (key) => desk.keyboard.press(key); var focused = () => desk.evaluate(() => document.activeElement.id || document.activeElement.className);
        await desk.getByText('No session is open.').waitFor(); await press('/')"
    ))
    .await;
    assert_eq!(desk.see("await focused()").await, "search");
    desk.act("await tabTo('#new-session'); await press('Enter')")
        .await;
    assert_eq!(desk.see("await focused()").await, "profile");
    desk.act("await press('Enter'); await desk.waitForURL(/#\\/sessions\\//); await desk.locator('.CodeMirror').waitFor()")
        .await;
    assert_eq!(desk.see("await focused()").await, "session-title");
    // The arrow keys choose a language.
    desk.act(
        "await tabTo('input[value=node]'); await press('ArrowRight'); await press('ArrowRight')",
    )
    .await;
    assert_eq!(
        desk.see("await desk.getByLabel('Bash').isChecked()").await,
        json!(true)
    );
    desk.act("await tabTo('.CodeMirror textarea'); await press('Control+A'); await desk.keyboard.type('if true; then\\n'); await press('Tab'); await desk.keyboard.type('echo typed\\nfi')")
        .await;
    let code =
        "await desk.evaluate(() => document.querySelector('.CodeMirror').CodeMirror.getValue())";
    let written = desk.see(code).await;
    assert!(
        written.as_str().expect("text").contains("  echo typed"),
        "{written}"
    );
    // Tab leaves the editor after Escape.
    desk.act("await press('Escape'); await press('Tab')").await;
    assert_eq!(desk.see("await focused()").await, "run");
    desk.act("await press('Enter'); await outcomeIs(/^exit/)")
        .await;
    assert_eq!(
        desk.see("await focused()").await,
        "run",
        "the focus stays on the button"
    );
    desk.act("await tabTo('#tab-output'); await press('ArrowRight')")
        .await;
    assert_eq!(desk.see("await focused()").await, "tab-history");
    desk.act("await desk.locator('#past-executions > li').waitFor(); await press('End'); await press('Home')")
        .await;
    assert_eq!(desk.see("await focused()").await, "tab-output");
    desk.act("await desk.locator('#back').focus(); await press('Enter'); await desk.locator('#heading').waitFor()")
        .await;
    assert_eq!(desk.see("await focused()").await, "heading");
    desk.act("await tabTo('#sessions a'); await press('Enter'); await desk.waitForURL(/#\\/sessions\\//)")
        .await;
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn all_controls_have_names() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    let nameless = "(await desk.locator('button:visible, input:visible, select:visible, textarea, iframe, a:visible').evaluateAll((all) => all.filter((one) => {
        const text = one.innerText || one.getAttribute('aria-label') || one.title || one.labels?.[0]?.innerText || one.value;
        return !text?.trim();
    }).map((one) => one.outerHTML)))";
    assert_eq!(desk.see(nameless).await, json!([]));
    desk.leave(&server).await;
    server.stop().await;
}

//! Lost connections, and sessions that end.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::live_view::scenario::Scenario;
use crate::live_view::wire::Wire;

/// Asserts that the view has ended, shows why and when, and still shows the last frame.
async fn assert_ended(scenario: &Scenario, why: &str) {
    scenario
        .act(&format!(
            "await viewer.state('ended'); await viewer.says('what', {})",
            json!(why)
        ))
        .await;
    scenario
        .act("await viewer.says('state', 'Ended'); await viewer.says('when', /2\\d\\d\\d/)")
        .await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    assert_eq!(
        scenario
            .see("await page.locator('button:visible').count()")
            .await,
        0
    );
}

#[tokio::test]
async fn a_session_that_is_deleted_says_so_over_its_last_frame() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    scenario.session.delete().await;
    assert_ended(&scenario, "The session was deleted.").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn an_idle_session_says_so() {
    let scenario = Scenario::setup_with(&json!({"activityTtl": 10})).await;
    scenario.open(&scenario.link()).await;
    assert_ended(&scenario, "The session was idle for its activityTtl.").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_session_whose_browser_is_killed_says_so() {
    let scenario = Scenario::with_control().await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    let work = scenario.session.bash("pwd").await.ok().result;
    let dir = work.strip_suffix("/work").unwrap();
    let processes = scenario.server.processes();
    let mut browsers = processes
        .iter()
        .filter(|process| process.is_browser() && process.command.contains(dir));
    browsers.next().unwrap().signal(Signal::SIGKILL);
    assert_ended(&scenario, "The session's browser ended unexpectedly.").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_link_of_an_ended_session_says_why() {
    let scenario = Scenario::setup().await;
    scenario.session.delete().await;
    for link in [scenario.link(), scenario.interactive_link()] {
        scenario
            .act(&format!(
                "await viewer.openInVain('{link}'); await viewer.state('ended')"
            ))
            .await;
        scenario
            .act("await viewer.says('what', 'The session was deleted')")
            .await;
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn an_invalid_link_says_so_and_is_not_retried() {
    let scenario = Scenario::setup().await;
    let (link, id) = (scenario.link(), scenario.session.id());
    let unknown = link.replace(id, "01a1fd13-eaf8-74d7-b771-4adfdda39df0");
    let (without_token, _) = link.split_once('?').unwrap();
    for bad in [format!("{link}x"), unknown, without_token.to_owned()] {
        scenario
            .act(&format!(
                "await viewer.openInVain('{bad}'); await viewer.state('rejected')"
            ))
            .await;
        assert_ne!(
            scenario
                .see("await page.locator('#what').textContent()")
                .await,
            "",
            "{bad}"
        );
        let attempts =
            "await viewer.view.evaluate(() => performance.getEntriesByType('resource').filter(
            (entry) => entry.initiatorType === 'fetch').length)";
        assert_eq!(scenario.see(attempts).await, 1, "{bad}");
    }
    scenario.teardown().await;
}

#[tokio::test]
async fn a_lost_connection_reconnects_and_shows_what_happened_meanwhile() {
    let scenario = Scenario::setup().await;
    let wire = Wire::to(scenario.server.address()).await;
    scenario
        .open(&wire.through(&scenario.interactive_link(), scenario.server.address()))
        .await;
    for (background, colour) in [
        ("rgb(200, 30, 30)", "[200, 30, 30]"),
        ("rgb(30, 30, 200)", "[30, 30, 200]"),
    ] {
        wire.cut();
        scenario
            .act("await viewer.state('reconnecting'); await viewer.says('state', 'Reconnecting')")
            .await;
        scenario
            .page(&format!(
                "void (document.body.style.background = '{background}')"
            ))
            .await;
        wire.restore();
        scenario
            .act(&format!(
                "await viewer.isLive(); await viewer.shows(500, 500, {colour})"
            ))
            .await;
    }
    // The viewer can control the page as before.
    scenario.act("await viewer.click(700, 500)").await;
    scenario.page_until("seen.includes('down 0 1')").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_session_that_ends_during_a_lost_connection_says_so_after_reconnecting() {
    let scenario = Scenario::setup().await;
    let wire = Wire::to(scenario.server.address()).await;
    scenario
        .open(&wire.through(&scenario.link(), scenario.server.address()))
        .await;
    wire.cut();
    scenario.act("await viewer.state('reconnecting')").await;
    scenario.session.delete().await;
    wire.restore();
    scenario
        .act("await viewer.state('ended'); await viewer.says('what', 'The session was deleted')")
        .await;
    scenario.teardown().await;
}

//! The view-only link: what a viewer sees, and that it accepts no input.

use hearth_test_support::TestServer;
use serde_json::json;

use crate::live_view::scenario::Scenario;

#[tokio::test]
async fn changes_made_by_code_are_visible() {
    let scenario = Scenario::watched().await;
    scenario
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    scenario
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(200, 30, 30)' })")
        .await;
    scenario
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scenario
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(30, 30, 200)' })")
        .await;
    scenario
        .act("await viewer.shows(500, 500, [30, 30, 200])")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn a_late_viewer_sees_a_static_page() {
    let scenario = Scenario::watched().await;
    scenario
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(200, 30, 30)' })")
        .await;
    scenario
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scenario
        .act("await page.close(); page = await context.newPage()")
        .await;
    scenario.open(&scenario.link()).await;
    scenario
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn all_viewers_see_the_same_and_a_hidden_window_blocks_no_other() {
    let scenario = Scenario::watched().await;
    let hide = |hidden: bool| {
        format!(
            "await first.evaluate(() => {{
                Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
                document.dispatchEvent(new Event('visibilitychange'));
            }})"
        )
    };
    scenario.act("globalThis.first = page.mainFrame()").await;
    scenario
        .open_as(
            &scenario.interactive_link(),
            "{ viewport: { width: 700, height: 500 } }",
        )
        .await;
    scenario.act(&hide(true)).await;
    // More frames than may be in flight to a viewer that does not acknowledge them.
    for colour in [
        "200, 30, 30",
        "30, 30, 200",
        "200, 30, 30",
        "30, 30, 200",
        "200, 30, 30",
    ] {
        scenario
            .page(&format!(
                "void (document.body.style.background = 'rgb({colour})')"
            ))
            .await;
        scenario
            .act(&format!("await viewer.shows(500, 500, [{colour}])"))
            .await;
    }
    scenario.act(&hide(false)).await;
    scenario.act("viewer.view = first; await viewer.shows(500, 500, [200, 30, 30]); await viewer.state('live')").await;
    scenario.teardown().await;
}

#[tokio::test]
async fn the_bar_shows_title_address_and_view_only_mode() {
    let scenario = Scenario::watched().await;
    scenario.act("await viewer.says('title', 'Desk')").await;
    scenario
        .act("await viewer.says('watching', 'View only')")
        .await;
    scenario.act("await viewer.says('state', 'Live')").await;
    scenario
        .act(&format!(
            "await viewer.says('url', '{}')",
            scenario.site.url("/desk")
        ))
        .await;
    assert_eq!(scenario.see("await page.title()").await, "Desk · Hearth");
    scenario
        .code("await page.evaluate(() => { document.title = 'Another' })")
        .await;
    scenario.act("await viewer.says('title', 'Another')").await;
    scenario
        .act(&format!(
            "await viewer.says('url', '{}')",
            scenario.site.url("/desk")
        ))
        .await;
    assert_eq!(
        scenario
            .see("await page.locator('button:visible, input:visible').count()")
            .await,
        0
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn a_title_with_markup_is_shown_as_text() {
    let scenario = Scenario::setup().await;
    let title = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>";
    scenario
        .code(&format!(
            "await page.evaluate((title) => {{ document.title = title }}, {})",
            json!(title)
        ))
        .await;
    scenario
        .code(&format!(
            "const other = await context.newPage(); await other.goto('{}')",
            scenario.site.url("/desk")
        ))
        .await;
    for link in [scenario.link(), scenario.interactive_link()] {
        scenario.open(&link).await;
        scenario.code("await page.bringToFront()").await;
        scenario
            .act(&format!("await viewer.says('title', {})", json!(title)))
            .await;
        scenario
            .act(&format!(
                "await page.getByRole('tab', {{ name: {} }}).waitFor()",
                json!(title)
            ))
            .await;
        assert_eq!(
            scenario
                .see("await page.evaluate(() => [window.hurt ?? null, document.images.length])")
                .await,
            json!([null, 0])
        );
        scenario.code("await other.bringToFront()").await;
    }
    // Dialogs of a page are shown too.
    scenario.code("await page.bringToFront()").await;
    scenario
        .act(&format!("await viewer.says('title', {})", json!(title)))
        .await;
    scenario
        .page("void (button.onclick = () => alert('<b>bold</b>'))")
        .await;
    scenario.act("await viewer.click(120, 70)").await;
    scenario
        .act("await viewer.says('message', '<b>bold</b>')")
        .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn the_view_only_link_passes_no_clicks_and_no_keys() {
    let scenario = Scenario::watched().await;
    scenario.act("await viewer.click(120, 70); await viewer.click(100, 160); await page.keyboard.type('abc')").await;
    scenario
        .act("await viewer.move(700, 100); await page.mouse.wheel(0, 300)")
        .await;
    // The only later change is made by another viewer.
    scenario.open(&scenario.interactive_link()).await;
    scenario.act("await viewer.click(700, 500)").await;
    scenario.page_until("seen.length > 0").await;
    assert_eq!(
        scenario.page("[seen, text.value, long.scrollTop]").await,
        json!([["down 0 1"], "", 0])
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn an_input_message_closes_a_view_only_connection() {
    let scenario = Scenario::watched().await;
    let messages = [
        json!({"type": "mouse", "kind": "down", "x": 120, "y": 70, "button": "left", "buttons": 1, "clicks": 1, "modifiers": 0}),
        json!({"type": "text", "text": "abc"}),
        json!({"type": "open", "url": "about:blank"}),
        json!({"type": "close_tab", "id": "x"}),
        json!({"type": "new_tab"}),
        json!({"type": "no such thing"}),
    ];
    for message in messages {
        let code = format!(
            "await viewer.view.evaluate((message) => new Promise((resolve) => {{
                const socket = new WebSocket(location.href.replace(/^http/, 'ws').replace('?', '/socket?'));
                socket.onopen = () => socket.send(message);
                socket.onclose = ({{ code, reason }}) => resolve([code, reason !== '']);
            }}), {})",
            json!(message.to_string())
        );
        assert_eq!(scenario.see(&code).await, json!([1008, true]), "{message}");
    }
    let tabs = scenario
        .session
        .node("JSON.stringify(context.pages().map((page) => page.url()))")
        .await
        .ok()
        .json();
    assert_eq!(tabs, json!([scenario.site.url("/desk")]));
    assert_eq!(scenario.page("[seen, text.value]").await, json!([[], ""]));
    // A well-behaved viewer stays connected.
    assert_eq!(
        scenario
            .see("await viewer.view.evaluate(() => document.body.dataset.state)")
            .await,
        "live"
    );
    scenario.teardown().await;
}

#[tokio::test]
async fn a_session_without_a_live_view_has_no_links() {
    let server = TestServer::start().await;
    let session = server.session_with(&json!({"streamWebView": false})).await;
    assert_eq!(
        (
            &session.created["liveViewUrl"],
            &session.created["interactiveLiveViewUrl"]
        ),
        (&json!(""), &json!(""))
    );
    server.stop().await;
}

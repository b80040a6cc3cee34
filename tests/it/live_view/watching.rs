//! What a viewer sees, and that the link for watching is for nothing else.

use hearth_test_support::TestServer;
use serde_json::json;

use crate::live_view::scene::Scene;

#[tokio::test]
async fn what_code_changes_is_seen() {
    let scene = Scene::watched().await;
    scene
        .act("await viewer.shows(500, 500, [240, 240, 240])")
        .await;
    scene
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(200, 30, 30)' })")
        .await;
    scene
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scene
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(30, 30, 200)' })")
        .await;
    scene
        .act("await viewer.shows(500, 500, [30, 30, 200])")
        .await;
    scene.strike().await;
}

#[tokio::test]
async fn who_comes_late_sees_a_page_that_stands_still() {
    let scene = Scene::watched().await;
    scene
        .code("await page.evaluate(() => { document.body.style.background = 'rgb(200, 30, 30)' })")
        .await;
    scene
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scene
        .act("await page.close(); page = await context.newPage()")
        .await;
    scene.open(&scene.link()).await;
    scene
        .act("await viewer.shows(500, 500, [200, 30, 30])")
        .await;
    scene.strike().await;
}

#[tokio::test]
async fn everybody_who_looks_sees_the_same_and_a_hidden_window_holds_nobody_up() {
    let scene = Scene::watched().await;
    let hide = |hidden: bool| {
        format!(
            "await first.evaluate(() => {{
                Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }});
                document.dispatchEvent(new Event('visibilitychange'));
            }})"
        )
    };
    scene.act("globalThis.first = page.mainFrame()").await;
    scene
        .open_as(
            &scene.interactive_link(),
            "{ viewport: { width: 700, height: 500 } }",
        )
        .await;
    scene.act(&hide(true)).await;
    // More than may be on their way to a viewer that does not answer.
    for colour in [
        "200, 30, 30",
        "30, 30, 200",
        "200, 30, 30",
        "30, 30, 200",
        "200, 30, 30",
    ] {
        scene
            .page(&format!(
                "void (document.body.style.background = 'rgb({colour})')"
            ))
            .await;
        scene
            .act(&format!("await viewer.shows(500, 500, [{colour}])"))
            .await;
    }
    scene.act(&hide(false)).await;
    scene.act("viewer.view = first; await viewer.shows(500, 500, [200, 30, 30]); await viewer.state('live')").await;
    scene.strike().await;
}

#[tokio::test]
async fn the_bar_shows_title_address_and_that_one_only_watches() {
    let scene = Scene::watched().await;
    scene.act("await viewer.says('title', 'Desk')").await;
    scene
        .act("await viewer.says('watching', 'View only')")
        .await;
    scene.act("await viewer.says('state', 'Live')").await;
    scene
        .act(&format!(
            "await viewer.says('url', '{}')",
            scene.site.url("/desk")
        ))
        .await;
    assert_eq!(scene.see("await page.title()").await, "Desk · Hearth");
    scene
        .code("await page.evaluate(() => { document.title = 'Another' })")
        .await;
    scene.act("await viewer.says('title', 'Another')").await;
    scene
        .act(&format!(
            "await viewer.says('url', '{}')",
            scene.site.url("/desk")
        ))
        .await;
    assert_eq!(
        scene
            .see("await page.locator('button:visible, input:visible').count()")
            .await,
        0
    );
    scene.strike().await;
}

#[tokio::test]
async fn a_title_that_is_markup_is_shown_as_text() {
    let scene = Scene::set().await;
    let title = "<img src=x onerror=window.hurt=1><script>window.hurt=1</script>";
    scene
        .code(&format!(
            "await page.evaluate((title) => {{ document.title = title }}, {})",
            json!(title)
        ))
        .await;
    scene
        .code(&format!(
            "const other = await context.newPage(); await other.goto('{}')",
            scene.site.url("/desk")
        ))
        .await;
    for link in [scene.link(), scene.interactive_link()] {
        scene.open(&link).await;
        scene.code("await page.bringToFront()").await;
        scene
            .act(&format!("await viewer.says('title', {})", json!(title)))
            .await;
        scene
            .act(&format!(
                "await page.getByRole('tab', {{ name: {} }}).waitFor()",
                json!(title)
            ))
            .await;
        assert_eq!(
            scene
                .see("await page.evaluate(() => [window.hurt ?? null, document.images.length])")
                .await,
            json!([null, 0])
        );
        scene.code("await other.bringToFront()").await;
    }
    // So is what a page asks.
    scene.code("await page.bringToFront()").await;
    scene
        .act(&format!("await viewer.says('title', {})", json!(title)))
        .await;
    scene
        .page("void (button.onclick = () => alert('<b>bold</b>'))")
        .await;
    scene.act("await viewer.click(120, 70)").await;
    scene
        .act("await viewer.says('message', '<b>bold</b>')")
        .await;
    scene.strike().await;
}

#[tokio::test]
async fn the_link_for_watching_passes_no_clicks_and_no_keys() {
    let scene = Scene::watched().await;
    scene.act("await viewer.click(120, 70); await viewer.click(100, 160); await page.keyboard.type('abc')").await;
    scene
        .act("await viewer.move(700, 100); await page.mouse.wheel(0, 300)")
        .await;
    // What somebody else does afterwards is all that happens.
    scene.open(&scene.interactive_link()).await;
    scene.act("await viewer.click(700, 500)").await;
    scene.page_until("seen.length > 0").await;
    assert_eq!(
        scene.page("[seen, text.value, long.scrollTop]").await,
        json!([["down 0 1"], "", 0])
    );
    scene.strike().await;
}

#[tokio::test]
async fn a_message_made_by_hand_ends_the_connection_of_who_only_watches() {
    let scene = Scene::watched().await;
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
        assert_eq!(scene.see(&code).await, json!([1008, true]), "{message}");
    }
    let tabs = scene
        .session
        .node("JSON.stringify(context.pages().map((page) => page.url()))")
        .await
        .ok()
        .json();
    assert_eq!(tabs, json!([scene.site.url("/desk")]));
    assert_eq!(scene.page("[seen, text.value]").await, json!([[], ""]));
    // Whoever behaves stays.
    assert_eq!(
        scene
            .see("await viewer.view.evaluate(() => document.body.dataset.state)")
            .await,
        "live"
    );
    scene.strike().await;
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

//! The live view within the workbench.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::desk::{DESK, Desk};

#[tokio::test]
async fn one_press_takes_the_page_over_and_another_gives_it_back() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let goto = format!("await page.goto('{}')", site.url("/button"));
    session.node(&goto).await.ok();
    let place = session
        .node("const { x, y, width, height } = await page.getByRole('button').boundingBox(); [x + width / 2, y + height / 2]")
        .await
        .ok()
        .json();
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act(
        "var live = desk.frameLocator('#sight iframe');
        var isLive = async () => {
            await live.locator('body[data-state=live]').waitFor();
            await desk.frames().at(-1).waitForFunction(() => document.getElementById('frame').width > 1);
        };
        await isLive()",
    )
    .await;
    assert_eq!(
        desk.see("await live.locator('body.interactive').count()")
            .await,
        json!(0)
    );
    desk.act(&format!(
        "await desk.getByRole('button', {{ name: 'Take over' }}).click(); await live.locator('body.interactive').waitFor(); await isLive();
        var box = await live.locator('#frame').boundingBox();
        await desk.mouse.click(box.x + {} / 1280 * box.width, box.y + {} / 720 * box.height)",
        place[0], place[1]
    ))
    .await;
    session
        .node("await page.waitForFunction(() => document.title === 'pressed'); 0")
        .await
        .ok();
    desk.act("await desk.getByRole('button', { name: 'Only watch' }).click(); await isLive()")
        .await;
    assert_eq!(
        desk.see("await live.locator('body.interactive').count()")
            .await,
        json!(0)
    );
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_without_a_live_view_says_so() {
    let server = TestServer::start().await;
    let session = server.session_with(&json!({"streamWebView": false})).await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act("await desk.getByText('created without a live view').waitFor()")
        .await;
    let buttons = "await desk.getByRole('button', { name: 'Take over' }).count()";
    assert_eq!(desk.see(buttons).await, json!(0));
    desk.leave(&server).await;
    server.stop().await;
}

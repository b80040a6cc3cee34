//! The list of sessions.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::desk::{DESK, Desk};

#[tokio::test]
async fn sessions_are_found_by_search_and_team() {
    let builder = TestServer::builder()
        .setting("HEARTH_API_KEYS", "shop:key-of-shop,lab:key-of-lab")
        .setting("HEARTH_OPERATOR_KEY", "key-of-boss");
    let (server, site) = (builder.start().await, Site::start().await);
    for (key, title) in [
        ("key-of-shop", "Shelf"),
        ("key-of-shop", "Lantern"),
        ("key-of-lab", "Lamp"),
    ] {
        let session = server.with_key(key).session().await;
        let url = site.url(&format!("/title/{title}"));
        session
            .node(&format!("await page.goto('{url}')"))
            .await
            .ok();
    }
    let desk = Desk::before(&server, "", DESK).await;
    desk.act("await enterKey('key-of-nobody'); await desk.getByText('does not accept').waitFor()")
        .await;
    desk.act(
        "await enterKey('key-of-boss');
        var titles = () => desk.locator('#sessions .title').allTextContents();
        var until = (count) => desk.waitForFunction((count) => document.querySelectorAll('#sessions .title').length === count, count);
        await until(3); await desk.getByText('Lantern', { exact: true }).waitFor(); await desk.getByText('Lamp', { exact: true }).waitFor()",
    )
    .await;
    desk.act("await desk.getByLabel('Team').selectOption('shop'); await until(2)")
        .await;
    desk.act("await desk.getByRole('searchbox').fill('lan SHOP'); await until(1)")
        .await;
    assert_eq!(desk.see("await titles()").await, json!(["Lantern"]));
    desk.act("await desk.getByRole('searchbox').fill('nothing like this'); await desk.getByText('No session matches.').waitFor()")
        .await;
    // The operator key does not open the API.
    let buttons = "[await desk.getByRole('button', { name: 'New session' }).count(), await desk.getByRole('button', { name: 'Copy cdpUrl' }).count()]";
    assert_eq!(desk.see(buttons).await, json!([0, 0]));
    desk.act("await desk.getByRole('button', { name: 'Forget the key' }).click(); await enterKey('key-of-lab'); await until(1)")
        .await;
    assert_eq!(desk.see("await titles()").await, json!(["Lamp"]));
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn badges_show_running_code_an_open_dialog_and_a_crash() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node("page.on('dialog', () => {}); page.evaluate(() => { setTimeout(() => alert('Ready?'), 0) }); 0")
        .await
        .ok();
    let (crashed, busy) = (server.session().await, server.session().await);
    crashed
        .node(
            "const crash = new Promise((resolve) => page.once('crash', resolve));
            (await context.newCDPSession(page)).send('Page.crash').catch(() => {}); await crash; 0",
        )
        .await
        .ok();
    let desk = Desk::before(&server, "", DESK).await;
    desk.act("await desk.locator('.badge', { hasText: 'dialog' }).waitFor(); await desk.locator('.badge', { hasText: 'crashed' }).waitFor()")
        .await;
    let code = format!(
        "{}; curl -s -o /dev/null {}",
        site.bash_signal("begun"),
        site.url("/held/go-on")
    );
    let watched = async {
        site.signalled("begun").await;
        desk.act("await desk.locator('.badge', { hasText: /^running [0-9]+ s$/ }).waitFor()")
            .await;
        let over = site.url("/signal/go-on");
        reqwest::get(over).await.expect("the site is running");
    };
    let (ran, ()) = tokio::join!(busy.bash(&code), watched);
    ran.ok();
    desk.act("await desk.waitForFunction(() => !document.querySelector('.badge.going'))")
        .await;
    crashed.delete().await;
    desk.act("await desk.locator('#ended', { hasText: 'deleted' }).waitFor()")
        .await;
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_created_with_its_options_and_ended() {
    let server = TestServer::start().await;
    let desk = Desk::before(&server, "", DESK).await;
    desk.act(
        "await desk.getByText('No session is open.').waitFor();
        await desk.getByRole('button', { name: 'New session' }).click();
        await desk.getByLabel('Profile', { exact: true }).fill('my-shop');
        await desk.getByLabel(/^Ends after/).fill('29'); await desk.getByRole('button', { name: 'Create' }).click()",
    )
    .await;
    // The browser rejects the value, so nothing is sent.
    desk.act("await desk.getByLabel(/^Ends after/).fill('120'); await desk.getByRole('button', { name: 'Create' }).click(); await desk.waitForURL(/#\\/sessions\\//)")
        .await;
    // Chromium reports the URL of a page without a title as its title.
    desk.act("await desk.locator('#page-url').getByText('about:blank', { exact: true }).waitFor(); await desk.locator('#page-title').getByText('Untitled', { exact: true }).waitFor()")
        .await;
    let listed = server.list("").await.ok();
    let sessions = listed["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 1, "{listed}");
    let id = sessions[0]["id"].as_str().expect("an id").to_owned();
    let status = server.status(&id).await.ok();
    let times = ["createdAt", "expiresAt"].map(|name| {
        let text = status[name].as_str().expect("a time");
        text.parse::<jiff::Timestamp>().expect("a time")
    });
    assert_eq!(times[1].duration_since(times[0]).as_secs(), 120);
    desk.act(
        "await desk.getByRole('button', { name: 'Copy id' }).click(); await desk.getByText('The id was copied.').waitFor();
        var copied = await desk.evaluate(() => navigator.clipboard.readText());
        await desk.getByRole('button', { name: 'Copy cdpUrl' }).click(); await desk.getByText('cdpUrl was copied.').waitFor();
        var cdpUrl = await desk.evaluate(() => navigator.clipboard.readText())",
    )
    .await;
    assert_eq!(
        desk.see("[copied, cdpUrl]").await,
        json!([id, sessions[0]["cdpUrl"]])
    );
    desk.act("var end = desk.getByRole('button', { name: /^End/ }); await end.click()")
        .await;
    assert_eq!(server.status(&id).await.ok()["status"], "active");
    // A double click counts as one press.
    desk.act("while (!(await desk.getByText('This session has ended: deleted.').isVisible())) await end.click({ timeout: 1000 }).catch(() => {})")
        .await;
    assert_eq!(server.status(&id).await.ok()["destroyedReason"], "deleted");
    desk.act("await desk.getByRole('link', { name: 'All sessions' }).click(); await desk.locator('#ended', { hasText: 'deleted' }).waitFor()")
        .await;
    desk.leave(&server).await;
    server.stop().await;
}

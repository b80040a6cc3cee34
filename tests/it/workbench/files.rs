//! The files panel, and sessions that change while a request is under way.

use hearth_test_support::TestServer;
use serde_json::json;

use super::desk::{DESK, Desk};

/// Opens the files panel.
const FILES: &str = "await desk.getByRole('tab', { name: 'Files' }).click();
    var file = (name) => desk.locator('#file-rows li').filter({ hasText: name })";

/// Withholds the responses to requests with this path, until `release` is called.
const HOLD: &str = "var hold = async (path) => {
        const { promise, resolve } = Promise.withResolvers();
        await desk.route(path, async (route) => { await promise; await route.continue(); });
        return resolve;
    };
    var show = (id) => desk.evaluate((id) => { location.hash = `#/sessions/${id}`; }, id)";

#[tokio::test]
async fn files_are_uploaded_downloaded_and_deleted() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .node("const fs = require('fs'); fs.mkdirSync('data'); fs.writeFileSync('data/may.csv', 'a,b')")
        .await
        .ok();
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act(&format!(
        "{FILES}; await desk.getByRole('button', {{ name: 'Open data', exact: true }}).click();
        await file('may.csv').waitFor();
        await desk.locator('#upload').setInputFiles({{ name: 'june.csv', mimeType: 'text/csv', buffer: Buffer.from('c,d') }});
        await file('june.csv').waitFor();
        var [saved] = await Promise.all([desk.waitForEvent('download'), desk.getByRole('button', {{ name: 'Download data/may.csv' }}).click()])"
    ))
    .await;
    let saved =
        "[saved.suggestedFilename(), require('fs').readFileSync(await saved.path(), 'utf8')]";
    assert_eq!(desk.see(saved).await, json!(["may.csv", "a,b"]));
    let written = session.node("fs.readFileSync('data/june.csv', 'utf8')");
    assert_eq!(written.await.ok().result, "c,d");
    desk.act(
        "await desk.getByRole('button', { name: 'Delete data/may.csv' }).click(); await file('may.csv').waitFor({ state: 'detached' });
        await desk.getByRole('button', { name: 'Parent directory' }).click();
        await desk.getByRole('button', { name: 'Open data', exact: true }).waitFor()",
    )
    .await;
    let left = session.node("fs.readdirSync('data').join()").await.ok();
    assert_eq!(left.result, "june.csv");
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_of_a_session_do_not_change_the_page_of_another() {
    let server = TestServer::start().await;
    let (one, two) = (server.session().await, server.session().await);
    let desk = Desk::at(&server, &one, DESK).await;
    desk.act(&format!(
        "{HOLD}; {FILES}; var release = await hold(/one[.]txt/);
        var [sent] = await Promise.all([
            desk.waitForRequest(/one[.]txt/),
            desk.locator('#upload').setInputFiles(['one.txt', 'two.txt'].map((name) => ({{ name, mimeType: 'text/plain', buffer: Buffer.from(name) }}))),
        ]);
        await show('{other}'); await desk.locator('#session-title[title=\"{other}\"]').waitFor();
        var [, uploaded] = await Promise.all([release(), desk.waitForResponse(/two[.]txt/)])",
        other = two.id()
    ))
    .await;
    let owner = desk.see("uploaded.url()").await;
    assert!(
        owner.as_str().is_some_and(|url| url.contains(one.id())),
        "{owner}"
    );

    desk.act(&format!(
        "await show('{first}'); await desk.locator('#session-title[title=\"{first}\"]').waitFor();
        release = await hold(/interact[/][^/]+$/);
        var end = desk.locator('#end'); await end.click();
        await desk.getByText('End? Press again').waitFor();
        var [ending] = await Promise.all([
            desk.waitForRequest((request) => request.method() === 'DELETE'),
            (async () => {{ while (await desk.getByText('End? Press again').isVisible()) await end.click(); }})(),
        ]);
        await show('{other}'); await desk.locator('#session-title[title=\"{other}\"]').waitFor();
        await Promise.all([release(), desk.waitForResponse((response) => response.request().method() === 'DELETE')]);
        await desk.locator('.CodeMirror').waitFor()",
        first = one.id(),
        other = two.id()
    ))
    .await;
    one.assert_destroyed("deleted").await;
    assert_eq!(
        desk.see("await desk.locator('#ended-note').isHidden()")
            .await,
        json!(true)
    );
    assert_eq!(two.node("1 + 1").await.ok().result, "2");
    desk.leave(&server).await;
    server.stop().await;
}

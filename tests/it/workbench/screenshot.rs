//! The screenshot of the workbench in the documents.

use hearth_test_support::{TestServer, repository};

use super::desk::Desk;

const WINDOW: &str = "{ viewport: { width: 1280, height: 860 }, colorScheme: 'light' }";

/// The maximum size of a picture in a document.
const MAX_BYTES: u64 = 250_000;

/// Takes the screenshot. After a change of the page, run
/// `scripts/test --run-ignored only -E 'test(the_screenshot_shows_a_session)'`.
#[tokio::test]
#[ignore = "writes docs/workbench.png"]
async fn the_screenshot_shows_a_session() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let shelf = serde_json::json!(include_str!("../../fixtures/shelf.html"));
    // The address is readable and the same in every run.
    session.node(&format!("await context.route('https://books.example/**', (route) => route.fulfill({{ contentType: 'text/html; charset=utf-8', body: {shelf} }})); await page.goto('https://books.example/evening-shelf')")).await.ok();
    let desk = Desk::at(&server, &session, WINDOW).await;
    desk.write("// Search the shelf, and read what is there.\nawait page.getByRole('textbox').first().fill('tides');\nconst books = await page.locator('li b').allTextContents();\nfor (const book of books) console.log(book);\nawait page.title();\n")
        .await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^exit/); await desk.frameLocator('#sight iframe').locator('body[data-state=live]').waitFor(); await desk.frames().at(-1).waitForFunction(() => document.getElementById('frame').width > 1)")
        .await;
    desk.act("await desk.screenshot({ path: 'workbench.png' })")
        .await;
    let taken = desk.file("workbench.png");
    let bytes = std::fs::metadata(&taken)
        .expect("the screenshot exists")
        .len();
    assert!(bytes <= MAX_BYTES, "{bytes} bytes");
    std::fs::copy(taken, repository().join("docs/workbench.png")).expect("it can be copied");
    desk.leave(&server).await;
    server.stop().await;
}

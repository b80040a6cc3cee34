//! Code that runs from the workbench.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

use super::desk::{DESK, Desk};

#[tokio::test]
async fn output_appears_while_the_code_runs_and_its_value_at_the_end() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    let wait = format!("await fetch('{}')", site.url("/held/go-on"));
    desk.write(&format!(
        "console.log('first'); console.error('second'); {wait}; console.log('third'); 6 * 7"
    ))
    .await;
    desk.act(
        "await desk.locator('.CodeMirror').click(); await desk.keyboard.press('Control+Enter');
        await output.getByText('first').waitFor(); await output.getByText('second').waitFor();
        var while_running = [await output.textContent(), await outcome.textContent(), await desk.locator('#stream .stderr').textContent()]",
    )
    .await;
    let seen = desk.see("while_running").await;
    assert!(
        seen[0].as_str().expect("text").contains("first\n"),
        "{seen}"
    );
    assert!(
        seen[1].as_str().expect("text").starts_with("Running Node"),
        "{seen}"
    );
    assert_eq!(seen[2], "second\n");
    let over = site.url("/signal/go-on");
    reqwest::get(over).await.expect("the site is running");
    desk.act("await outcomeIs(/^exit 0/)").await;
    assert_eq!(
        desk.see("[await desk.locator('#result-text').textContent(), (await output.textContent()).includes('third')]")
            .await,
        json!(["42", true])
    );
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn failures_timeouts_and_a_stop_are_shown() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act("await desk.locator('#languages').getByText('Python').click()")
        .await;
    desk.write("import sys; sys.exit(3)").await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^exit 3/)")
        .await;
    desk.act("await desk.locator('#languages').getByText('Bash').click(); await desk.getByLabel(/^Timeout/).fill('1')")
        .await;
    desk.write("echo begun; sleep 100").await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^killed .* timeout of 1 second/)")
        .await;
    desk.act("await desk.getByLabel(/^Timeout/).fill('100'); await desk.getByRole('button', { name: 'Run' }).click(); await output.getByText('begun').waitFor()")
        .await;
    desk.act(
        "await desk.getByRole('button', { name: 'Stop' }).click(); await outcomeIs('Stopped.')",
    )
    .await;
    // The server has ended the code, because the next one gets its turn.
    desk.write("echo next").await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^exit 0/); await output.getByText('next').waitFor()")
        .await;
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn the_request_is_copied_as_a_program_that_works() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.write("'it\\'s \"quoted\" $HOME \\\\ €'").await;
    desk.act(
        "var copied = async (form) => {
            await desk.evaluate(() => { document.getElementById('toast').textContent = '' });
            await desk.getByLabel('Copy the request as').selectOption(form);
            await desk.getByText('The program was copied.').waitFor();
            return desk.evaluate(() => navigator.clipboard.readText());
        };",
    )
    .await;
    let curl = desk.see("await copied('curl')").await;
    let curl = curl.as_str().expect("text");
    let output = std::process::Command::new("bash")
        .args(["-c", curl])
        .env("FIRECRAWL_API_KEY", server.key().unwrap_or("any"))
        .output()
        .expect("bash is installed");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["result"], "it's \"quoted\" $HOME \\ €", "{curl}");
    let javascript = desk.see("await copied('javascript')").await;
    let python = desk.see("await copied('python')").await;
    for (program, call) in [
        (javascript, "browserExecute("),
        (python, "browser_execute("),
    ] {
        let text = program.as_str().expect("text");
        assert!(text.contains(call) && text.contains(session.id()), "{text}");
        assert!(text.contains(server.origin()), "{text}");
    }
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn the_page_stays_usable_while_code_writes_much() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.write("for (let i = 0; i < 60_000; i++) console.log(`line ${i} ${' '.repeat(50)}x`)")
        .await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^exit 0/)")
        .await;
    let shown = "[(await output.textContent()).length <= 200_000, (await output.textContent()).endsWith('x\\n'), await output.evaluate((shown) => shown.childElementCount < 100)]";
    assert_eq!(desk.see(shown).await, json!([true, true, true]));
    desk.leave(&server).await;
    server.stop().await;
}

#[tokio::test]
async fn downloads_of_the_code_are_offered() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act("await desk.getByText('Bash', { exact: true }).click()")
        .await;
    let page = "data:text/html,<a download='prices.csv' href='data:text/csv,a,b'>get</a>";
    desk.write(&format!(
        "agent-browser open \"{page}\"\nagent-browser click a\nsleep 1"
    ))
    .await;
    desk.act("await desk.getByRole('button', { name: 'Run' }).click(); await outcomeIs(/^exit 0/);
        var [saved] = await Promise.all([desk.waitForEvent('download'), desk.getByRole('button', { name: 'Download prices.csv' }).click()])")
        .await;
    let saved =
        "[saved.suggestedFilename(), require('fs').readFileSync(await saved.path(), 'utf8')]";
    assert_eq!(desk.see(saved).await, json!(["prices.csv", "a,b"]));
    desk.leave(&server).await;
    server.stop().await;
}

//! The history of executions on the page.

use hearth_test_support::TestServer;
use serde_json::json;

use super::desk::{DESK, Desk};

#[tokio::test]
async fn past_executions_are_shown_with_code_and_output_and_can_be_used_again() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.python("print('from the API')").await.ok();
    let desk = Desk::at(&server, &session, DESK).await;
    desk.act(
        "await desk.getByRole('tab', { name: 'History' }).click();
        var past = desk.locator('#past-executions > li'); await past.first().locator('summary').click();
        await past.first().getByText('from the API', { exact: true }).waitFor()",
    )
    .await;
    // The page learns of code that other clients run.
    session.bash("echo elsewhere; exit 4").await;
    desk.act("await past.first().getByText('exit 4', { exact: true }).waitFor(); await past.first().locator('summary').click()")
        .await;
    let text = desk.see("await past.first().innerText()").await;
    for word in ["Bash", "exit 4", "echo elsewhere; exit 4", "elsewhere"] {
        assert!(
            text.as_str().expect("text").contains(word),
            "{word}: {text}"
        );
    }
    desk.act("await past.first().getByRole('button', { name: 'Put into the editor' }).click()")
        .await;
    let editor = "[await desk.evaluate(() => document.querySelector('.CodeMirror').CodeMirror.getValue()), await desk.getByLabel('Bash').isChecked()]";
    assert_eq!(
        desk.see(editor).await,
        json!(["echo elsewhere; exit 4", true])
    );
    desk.leave(&server).await;
    server.stop().await;
}

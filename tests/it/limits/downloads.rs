//! Downloads that are too large.

use hearth_test_support::{Site, attachment};

use crate::limits::stage::Stage;

const SETTING: &str = "HEARTH_MAX_DOWNLOAD_MB";

/// What of a page's download a client is told, with what is left of it in the session's folder.
const FETCH: &str = "async (page, address) => {
    const coming = page.waitForEvent('download');
    await page.goto(address).catch(() => {});
    const download = await coming;
    return [download.suggestedFilename(), await download.failure()];
}";

async fn stage() -> (Stage, Site) {
    (Stage::with(&[(SETTING, "8")]).await, Site::start().await)
}

#[tokio::test]
async fn a_download_without_an_end_is_cancelled_and_its_client_is_told() {
    let (stage, site) = stage().await;
    let code = format!("await ({FETCH})(page, '{}')", site.url("/endless"));
    let execution = stage.run("node", &code).await.ok();
    assert_eq!(
        execution.json(),
        serde_json::json!(["endless.bin", "canceled"])
    );
    let said = stage.server.output();
    assert!(
        said.contains("a download is too large and is cancelled"),
        "{said}"
    );
    assert_eq!(
        stage
            .guilty
            .bash("du -sm .. | cut -f1")
            .await
            .ok()
            .json()
            .as_u64()
            .map(|mb| mb < 30),
        Some(true)
    );
    stage.stop().await;
}

#[tokio::test]
async fn so_is_one_in_another_context() {
    let (stage, site) = stage().await;
    let address = site.url("/endless");
    let code = format!(
        "const other = await browser.newContext(); const told = await ({FETCH})(await other.newPage(), '{address}'); told"
    );
    let execution = stage.run("node", &code).await.ok();
    assert_eq!(
        execution.json(),
        serde_json::json!(["endless.bin", "canceled"])
    );
    stage.stop().await;
}

#[tokio::test]
async fn one_that_a_frame_or_nobody_waits_for_is_cancelled_too() {
    let (stage, site) = stage().await;
    let address = site.url("/endless");
    let code = format!("await page.setContent('<iframe src=\"{address}\"></iframe>'); 1");
    stage.run("node", &code).await.ok();
    hearth_test_support::eventually(
        std::time::Duration::from_secs(10),
        "it is cancelled",
        || async {
            let said = stage.server.output();
            if said.contains("a download is too large and is cancelled") {
                Ok(())
            } else {
                Err(said)
            }
        },
    )
    .await;
    stage.stop().await;
}

#[tokio::test]
async fn a_smaller_one_arrives_whole() {
    let (stage, site) = stage().await;
    let address = site.url("/download/small");
    let code = format!(
        "const coming = page.waitForEvent('download'); await page.goto('{address}').catch(() => {{}}); \
         const download = await coming; (await require('fs').promises.readFile(await download.path())).length"
    );
    let execution = stage.run("node", &code).await.ok();
    assert_eq!(execution.result, attachment("small").len().to_string());
    stage.stop().await;
}

//! Download size limits.

use hearth_test_support::{Site, attachment};

use crate::limits::scenario::Scenario;

const SETTING: &str = "HEARTH_MAX_DOWNLOAD_MB";

/// A Node function that starts a download and returns its file name and its failure, if any.
const FETCH: &str = "async (page, address) => {
    const coming = page.waitForEvent('download');
    await page.goto(address).catch(() => {});
    const download = await coming;
    return [download.suggestedFilename(), await download.failure()];
}";

async fn scenario() -> (Scenario, Site) {
    (Scenario::with(&[(SETTING, "8")]).await, Site::start().await)
}

#[tokio::test]
async fn an_endless_download_is_cancelled_and_its_client_is_notified() {
    let (scenario, site) = scenario().await;
    let code = format!("await ({FETCH})(page, '{}')", site.url("/endless"));
    let execution = scenario.run("node", &code).await.ok();
    assert_eq!(
        execution.json(),
        serde_json::json!(["endless.bin", "canceled"])
    );
    let log = scenario.server.output();
    assert!(log.contains("oversized download cancelled"), "{log}");
    assert_eq!(
        scenario
            .guilty
            .bash("du -sm .. | cut -f1")
            .await
            .ok()
            .json()
            .as_u64()
            .map(|mb| mb < 30),
        Some(true)
    );
    scenario.stop().await;
}

#[tokio::test]
async fn a_download_in_another_context_is_cancelled_too() {
    let (scenario, site) = scenario().await;
    let address = site.url("/endless");
    let code = format!(
        "const other = await browser.newContext(); const told = await ({FETCH})(await other.newPage(), '{address}'); told"
    );
    let execution = scenario.run("node", &code).await.ok();
    assert_eq!(
        execution.json(),
        serde_json::json!(["endless.bin", "canceled"])
    );
    scenario.stop().await;
}

#[tokio::test]
async fn a_download_of_a_frame_or_without_a_waiting_client_is_cancelled_too() {
    let (scenario, site) = scenario().await;
    let address = site.url("/endless");
    let code = format!("await page.setContent('<iframe src=\"{address}\"></iframe>'); 1");
    scenario.run("node", &code).await.ok();
    hearth_test_support::eventually(
        std::time::Duration::from_secs(10),
        "it is cancelled",
        || async {
            let log = scenario.server.output();
            if log.contains("oversized download cancelled") {
                Ok(())
            } else {
                Err(log)
            }
        },
    )
    .await;
    scenario.stop().await;
}

#[tokio::test]
async fn a_download_below_the_limit_is_complete() {
    let (scenario, site) = scenario().await;
    let address = site.url("/download/small");
    let code = format!(
        "const coming = page.waitForEvent('download'); await page.goto('{address}').catch(() => {{}}); \
         const download = await coming; (await require('fs').promises.readFile(await download.path())).length"
    );
    let execution = scenario.run("node", &code).await.ok();
    assert_eq!(execution.result, attachment("small").len().to_string());
    scenario.stop().await;
}

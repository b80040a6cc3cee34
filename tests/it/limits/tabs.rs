//! Tab limits.

use hearth_test_support::Site;

use crate::limits::scenario::Scenario;

async fn scenario() -> Scenario {
    Scenario::with(&[("HEARTH_MAX_TABS", "4")]).await
}

#[tokio::test]
async fn a_client_is_refused_a_tab_above_the_limit_and_continues() {
    let scenario = scenario().await;
    let code = "for (let tab = 2; tab <= 4; tab++) await context.newPage();
        let error = ''; await context.newPage().catch(it => { error = it.message; });
        const together = await Promise.allSettled([1, 2, 3].map(() => context.newPage()));
        await context.pages()[3].close();
        await context.newPage();
        [context.pages().length, error, together.map(it => it.status)]";
    let seen = scenario.run("node", code).await.ok().json();
    assert_eq!(
        (&seen[0], &seen[2]),
        (
            &serde_json::json!(4),
            &serde_json::json!(["rejected", "rejected", "rejected"])
        )
    );
    let error = seen[1].as_str().unwrap_or_default();
    assert!(
        error.contains("a session is limited to 4 tabs (HEARTH_MAX_TABS): close some"),
        "{error}"
    );
    scenario.stop().await;
}

#[tokio::test]
async fn tabs_that_a_page_opens_above_the_limit_are_closed() {
    let (scenario, site) = (scenario().await, Site::start().await);
    let code = format!(
        "await page.goto('{}');
        await page.evaluate(() => {{ for (let tab = 0; tab < 20; tab++) window.open('/title/popup' + tab); }});
        while (context.pages().length > 4) await new Promise(next => setTimeout(next, 20));
        [context.pages().length, await page.title()]",
        site.url("/title/opener")
    );
    let seen = scenario.run("node", &code).await.ok().json();
    assert_eq!(seen, serde_json::json!([4, "opener"]));
    // The tabs are not hidden either.
    let seen = scenario.guilty.python("len(context.pages)").await.ok();
    assert_eq!(seen.result, "4");
    scenario.stop().await;
}

#[tokio::test]
async fn tabs_of_other_contexts_count_but_the_first_context_may_always_have_one() {
    let scenario = scenario().await;
    let code = "const other = await browser.newContext();
        for (let tab = 2; tab <= 4; tab++) await other.newPage();
        await page.close(); 1";
    scenario.run("node", code).await.ok();
    // Three are open, and a fourth is opened for each new client.
    assert_eq!(
        scenario
            .guilty
            .python("await page.evaluate('1 + 1')")
            .await
            .ok()
            .result,
        "2"
    );
    let error = scenario
        .guilty
        .node("await context.newPage()")
        .await
        .failed(1);
    assert!(error.error().contains("HEARTH_MAX_TABS"), "{error:?}");
    scenario.stop().await;
}

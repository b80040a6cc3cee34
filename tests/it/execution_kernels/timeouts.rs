//! Playwright's default timeouts, which end before the execution does, and reports about kills.

use hearth_test_support::{Execution, Site};

use super::start;

/// Returns the milliseconds of each `Timeout …ms exceeded` in a result, which is a list of
/// messages.
fn timeouts_of(execution: &Execution) -> Vec<u64> {
    let messages = execution.json();
    let timeout = |message: &serde_json::Value| {
        let message = message.as_str().expect("a message");
        let number = message
            .split_once("imeout ")
            .and_then(|(_, rest)| rest.split_once("ms")?.0.parse().ok());
        number.unwrap_or_else(|| panic!("no timeout in {message}"))
    };
    let messages = messages.as_array().expect("a list of messages");
    messages.iter().map(timeout).collect()
}

#[tokio::test]
async fn a_missing_element_is_named_in_time_and_variables_survive() {
    let (server, sessions) = start().await;
    let cases = [
        [
            ("page.click", "await page.click('#missing')"),
            (
                "locator.waitFor",
                "await page.locator('#missing').waitFor()",
            ),
        ],
        [
            ("Page.click", "await page.click('#missing')"),
            (
                "Locator.click",
                "from playwright.sync_api import sync_playwright\n\
                 with sync_playwright() as p:\n\
                 \x20   p.chromium.launch().contexts[0].pages[0].locator('#missing').click()",
            ),
        ],
    ];
    for ((language, session), cases) in sessions.iter().zip(cases) {
        session.run(language, "kept = 1").await.ok();
        for (call, code) in cases {
            let execution = session.run_for(language, code, 3).await.failed(1);
            let (error, stderr) = (execution.error(), &execution.stderr);
            let start = format!("TimeoutError: {call}: Timeout ");
            assert!(error.starts_with(&start), "{error}");
            assert!(stderr.contains("#missing"), "{stderr}");
            let kept = session.run(language, "kept").await.ok();
            assert_eq!(kept.result, "1", "{code}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn default_timeouts_of_all_pages_and_kinds_end_before_the_execution() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let hang = site.url("/hang");
    for (language, session) in &sessions {
        session.run(language, "0").await.ok();
        let code = if *language == "node" {
            format!(
                "const fresh = async () => (await browser.newContext()).newPage();
                 const [other, third] = [await fresh(), await fresh()];
                 page.setDefaultTimeout(90000);
                 third.setDefaultTimeout(0);
                 const ended = await Promise.allSettled([
                   page.click('#missing'), page.locator('#missing').waitFor(), page.waitForEvent('popup'),
                   page.waitForURL('**/never'), context.waitForEvent('page'), other.goto('{hang}'),
                   third.waitForSelector('#missing'), third.waitForFunction(() => false)]);
                 ended.map((each) => each.reason?.message ?? 'it ended')"
            )
        } else {
            format!(
                "import asyncio\nfrom playwright.async_api import expect\n\
                 expect.set_options(timeout=90000)\n\
                 other = await (await browser.new_context()).new_page()\n\
                 third = await (await browser.new_context()).new_page()\n\
                 page.set_default_timeout(90000)\n\
                 third.set_default_timeout(0)\n\
                 async def popup():\n\
                 \x20   async with page.expect_popup():\n\
                 \x20       pass\n\
                 ended = await asyncio.gather(\n\
                 \x20   page.click('#missing'), page.locator('#missing').wait_for(), popup(),\n\
                 \x20   page.wait_for_url('**/never'), other.goto('{hang}'), third.wait_for_selector('#missing'),\n\
                 \x20   third.wait_for_function('false'), expect(page.locator('#missing')).to_be_visible(),\n\
                 \x20   return_exceptions=True)\n\
                 [str(each) for each in ended]"
            )
        };
        let execution = session.run_for(language, &code, 5).await.ok();
        let timeouts = timeouts_of(&execution);
        assert_eq!(timeouts.len(), 8, "{}", execution.result);
        assert!(
            timeouts
                .iter()
                .all(|timeout| (100..=4000).contains(timeout)),
            "{language}: {timeouts:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn shorter_settings_and_explicit_timeouts_are_unchanged() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let hang = site.url("/hang");
    for (language, session) in &sessions {
        let (set, code) = if *language == "node" {
            (
                "page.setDefaultTimeout(111); context.setDefaultNavigationTimeout(222)",
                format!(
                    "const other = await context.newPage();
                     const ended = await Promise.allSettled([page.click('#a'), other.goto('{hang}'),
                       page.click('#b', {{timeout: 333}}), page.waitForEvent('popup', {{timeout: 444}})]);
                     await other.close();
                     ended.map((each) => each.reason.message)"
                ),
            )
        } else {
            (
                "page.set_default_timeout(111)\ncontext.set_default_navigation_timeout(222)",
                format!(
                    "import asyncio\nother = await context.new_page()\n\
                     ended = await asyncio.gather(page.click('#a'), other.goto('{hang}'),\n\
                     \x20   page.click('#b', timeout=333), page.wait_for_event('popup', timeout=444),\n\
                     \x20   return_exceptions=True)\n\
                     await other.close()\n\
                     [str(each) for each in ended]"
                ),
            )
        };
        session.run(language, set).await.ok();
        // The settings belong to the page and the context, so they last.
        for _ in 0..2 {
            let execution = session.run_for(language, &code, 20).await.ok();
            assert_eq!(timeouts_of(&execution), [111, 222, 333, 444], "{language}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_in_the_last_second_still_has_some_time() {
    let (server, sessions) = start().await;
    for (language, session) in &sessions {
        let code = if *language == "node" {
            "await page.waitForTimeout(3100);
             await page.waitForSelector('#missing').catch(error => [error.message])"
        } else {
            "await page.wait_for_timeout(3100)\n\
             try:\n    await page.wait_for_selector('#missing')\n\
             except Exception as error:\n    ended = [str(error)]\n\
             ended"
        };
        session.run(language, "await page.title()").await.ok();
        let execution = session.run_for(language, code, 4).await.ok();
        // At most 900 ms are left, and the code may use half of them.
        let timeouts = timeouts_of(&execution);
        assert!(
            matches!(timeouts[..], [1..=450]),
            "{language}: {timeouts:?}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_kill_names_the_calls_that_had_not_ended() {
    let (server, sessions) = start().await;
    let cases = [
        [
            (
                "await page.getByRole('button', {name: 'Go'}).click({timeout: 60000})",
                "locator.click of getByRole('button', { name: 'Go' }) (execute-2.js:1)",
            ),
            (
                "const popup = page.waitForEvent('popup', {timeout: 60000});\n\
                 await page.evaluate(() => new Promise(() => {}))",
                "page.waitForEvent of \"popup\" (execute-2.js:1), page.evaluate (execute-2.js:2)",
            ),
        ],
        [
            (
                "await page.get_by_role('button', name='Go').click(timeout=60000)",
                "Locator.click of get_by_role(\"button\", name=\"Go\") (execute-2.py:1)",
            ),
            (
                "from playwright.sync_api import sync_playwright\n\
                 p = sync_playwright().start()\n\
                 p.chromium.launch().contexts[0].pages[0].click('#missing', timeout=60000)",
                "Page.click of locator(\"#missing\") (execute-2.py:3)",
            ),
        ],
    ];
    for ((language, session), cases) in sessions.iter().zip(cases) {
        let (lost, endless) = if *language == "node" {
            ("Node", "while (true) {}")
        } else {
            ("Python", "while True: pass")
        };
        let reason = |timeout| {
            format!(
                "Execution was killed: it reached its timeout of {timeout}. \
                 The variables of {lost} are lost; the browser is unchanged"
            )
        };
        for (code, calls) in cases {
            session.run(language, "0").await.ok();
            let execution = session.run_for(language, code, 3).await.killed_at(3);
            let expected = format!(
                "{}. Playwright was waiting for: {calls}",
                reason("3 seconds")
            );
            assert_eq!(execution.error(), expected, "{language}");
            assert_eq!(execution.stderr, "", "{language}");
        }
        // A kernel that does not respond cannot report its calls.
        session.run(language, "0").await.ok();
        let execution = session.run_for(language, endless, 1).await.killed_at(1);
        assert_eq!(execution.error(), reason("1 second"), "{language}");
    }
    let execution = sessions[0].1.run_for("bash", "sleep 60", 1).await;
    assert_eq!(
        execution.killed_at(1).error(),
        "Execution was killed: it reached its timeout of 1 second. The browser is unchanged"
    );
    server.stop().await;
}

#[tokio::test]
async fn an_open_dialog_is_quoted_when_code_times_out() {
    let (server, sessions) = start().await;
    let site = Site::start().await;
    let url = site.url("/dialog");
    for (language, session) in &sessions {
        let open = if *language == "node" {
            format!(
                "page.on('dialog', () => {{}}); await page.goto('{url}'); await page.click('button')"
            )
        } else {
            format!(
                "page.on('dialog', lambda dialog: None)\nawait page.goto('{url}')\nawait page.click('button')"
            )
        };
        session.run(language, "0").await.ok();
        let execution = session.run_for(language, &open, 4).await.failed(1);
        let (error, stderr) = (execution.error(), &execution.stderr);
        assert!(error.starts_with("TimeoutError"), "{error}");
        let expected = "A confirm dialog (\"Shall we?\") is open";
        assert!(stderr.contains(expected), "{stderr}");

        let code = "await page.evaluate('1')";
        let execution = session.run_for(language, code, 2).await.killed_at(2);
        let error = execution.error();
        let expected = "A confirm dialog (\"Shall we?\") was open";
        assert!(error.ends_with(expected), "{error}");
    }
    server.stop().await;
}

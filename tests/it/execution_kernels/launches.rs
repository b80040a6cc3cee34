//! Code that launches a browser, or connects to one, as scripts on a developer's machine do.

use hearth_test_support::{Site, TestServer};
use serde_json::json;

#[tokio::test]
async fn a_browser_that_code_launches_is_the_sessions_browser() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    session
        .node(&format!(
            "await page.goto('{}'); 0",
            site.url("/title/kept")
        ))
        .await
        .ok();
    let url = site.url("/title/launched");
    let cases = [
        (
            "node",
            "const { chromium } = require('playwright');\nconst browser = await chromium.launch({ headless: false, args: ['--x'] });\n\
             const page = await browser.newPage();\nawait page.goto('URL');\nconsole.log(await page.title());\nawait browser.close();",
        ),
        (
            "node",
            "import { chromium } from 'playwright-core';\n(async () => {\n  const context = await chromium.launchPersistentContext('/tmp/data');\n  \
             const tab = await context.newPage();\n  await tab.goto('URL');\n  console.log(await tab.title());\n  await tab.close();\n  \
             await context.close();\n})();",
        ),
        (
            "node",
            "const other = await chromium.connectOverCDP('http://localhost:9222');\nconst tab = await other.newPage();\n\
             await tab.goto('URL');\nconsole.log(await tab.title());\nawait other.close();",
        ),
        (
            "python",
            "import asyncio\nfrom playwright.async_api import async_playwright\nasync def main():\n    async with async_playwright() as p:\n        \
             browser = await p.chromium.launch(headless=False)\n        tab = await browser.new_page()\n        await tab.goto('URL')\n        \
             print(await tab.title())\n        await browser.close()\nasyncio.run(main())",
        ),
        (
            "python",
            "from playwright.sync_api import sync_playwright\nwith sync_playwright() as p:\n    browser = p.chromium.launch()\n    \
             context = browser.new_context()\n    page = context.new_page()\n    page.goto('URL')\n    print(page.title())\n    browser.close()",
        ),
        (
            "python",
            "from playwright.sync_api import sync_playwright, expect\ndef run(p):\n    context = p.chromium.launch_persistent_context('/tmp/data')\n    \
             tab = context.new_page()\n    tab.goto('URL')\n    expect(tab).to_have_title('launched')\n    print(tab.title())\n    tab.close()\n    \
             context.close()\nwith sync_playwright() as p:\n    run(p)",
        ),
        (
            "python",
            "p = sync_playwright().start()\nother = p.chromium.connect_over_cdp('ws://127.0.0.1:9222/devtools/browser/x')\n\
             with other.contexts[0].expect_page() as opened:\n    tab = other.contexts[0].new_page()\ntab.goto('URL')\nprint(opened.value.title())\n\
             tab.close()\nother.close()\np.stop()",
        ),
    ];
    for (language, code) in cases {
        let code = code.replace("URL", &url);
        let execution = session.run(language, &code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("launched\n", ""),
            "{language}: {code}"
        );
        // The session goes on, and the names are those of the session again.
        let look = match language {
            "node" => "[browser.isConnected(), await page.title()]",
            _ => "[browser.is_connected(), await page.title()]",
        };
        assert_eq!(
            session.run(language, look).await.ok().json(),
            json!([true, "kept"]),
            "{language}: {code}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn objects_of_the_synchronous_api_live_as_long_as_the_kernel() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let url = site.url("/title/kept");
    session
        .python(&format!(
            "from playwright.sync_api import sync_playwright\np = sync_playwright().start()\ntab = p.chromium.launch().new_page()\ntab.goto('{url}')\nNone"
        ))
        .await
        .ok();
    assert_eq!(session.python("tab.title()").await.ok().result, "kept");
    let listen = "seen = []\ntab.on('console', lambda message: seen.append([message.text, tab.title()]))\n\
                  with tab.expect_console_message():\n    tab.evaluate('console.log(5)')\ntab.wait_for_timeout(50)\nseen";
    assert_eq!(
        session.python(listen).await.ok().json(),
        json!([["5", "kept"]])
    );
    // Both interfaces work in one call.
    let both = "[tab.title(), await page.evaluate('1 + 1')]";
    assert_eq!(session.python(both).await.ok().json(), json!(["kept", 2]));
    server.stop().await;
}

#[tokio::test]
async fn another_browser_fails_with_a_way_to_continue() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let cases = [
        ("node", "await require('playwright').firefox.launch()"),
        (
            "node",
            "await require('playwright').webkit.launchPersistentContext('/tmp/x')",
        ),
        (
            "node",
            "await require('playwright').chromium.launchServer()",
        ),
        (
            "python",
            "from playwright.async_api import async_playwright\nasync with async_playwright() as p:\n    await p.firefox.launch()",
        ),
        (
            "python",
            "from playwright.sync_api import sync_playwright\nwith sync_playwright() as p:\n    p.webkit.launch()",
        ),
    ];
    for (language, code) in cases {
        let execution = session.run(language, code).await.failed(1);
        let error = execution.error();
        assert!(error.contains("use chromium.launch()"), "{code}: {error}");
        assert!(!execution.stderr.contains("playwright install"), "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn options_that_the_running_browser_cannot_take_are_named() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let code = "await require('playwright').chromium.launch({ headless: true, proxy: { server: 'http://x' } }); 0";
    let execution = session.node(code).await.ok();
    assert!(
        execution.stderr.contains("without the options proxy"),
        "{}",
        execution.stderr
    );
    server.stop().await;
}

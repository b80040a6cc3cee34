//! Scripts that Bash starts launch a browser, as on a developer's machine. They get the session's.

use hearth_test_support::{Session, Site, TestServer};
use serde_json::json;

/// Returns Bash code that runs `program` with a file of this text.
fn script(program: &str, file: &str, text: &str) -> String {
    format!("cat >{file} <<'EOF'\n{text}\nEOF\n{program} {file} && rm {file}")
}

/// Asserts that the session continues with its browser and its page.
async fn assert_continues(session: &Session, after: &str) {
    let look = "[browser.isConnected(), await page.title()]";
    let shown = session.node(look).await.ok().json();
    assert_eq!(shown, json!([true, "kept"]), "{after}");
}

const NODE: &str = "
(async () => {
  const browser = await chromium.launch({ headless: false, args: ['--x'] });
  const page = await browser.newPage();
  await page.goto('URL');
  console.log(await page.title());
  await browser.close();
})();";

const NODE_PERSISTENT: &str = "
import { chromium } from 'playwright';
const context = await chromium.launchPersistentContext('/tmp/data', { headless: true });
const tab = await context.newPage();
await tab.goto('URL');
console.log(await tab.title());
await tab.close();
await context.close();";

const PYTHON_SYNC: &str = "
from playwright.sync_api import sync_playwright, expect
with sync_playwright() as p:
    browser = p.chromium.launch(headless=False)
    page = browser.new_page()
    page.goto('URL')
    expect(page).to_have_title('launched')
    print(page.title())
    browser.close()";

const PYTHON_PERSISTENT: &str = "
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    context = p.chromium.launch_persistent_context('/tmp/data')
    tab = context.new_page()
    tab.goto('URL')
    print(tab.title())
    tab.close()
    context.close()";

const PYTHON_ASYNC: &str = "
import asyncio
from playwright.async_api import async_playwright
async def main():
    async with async_playwright() as p:
        browser = await p.chromium.launch()
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto('URL')
        print(await page.title())
asyncio.run(main())";

const PYTHON_CONNECT: &str = "
from playwright.sync_api import sync_playwright
p = sync_playwright().start()
browser = p.chromium.connect_over_cdp('http://localhost:9222')
tab = browser.contexts[0].new_page()
tab.goto('URL')
print(tab.title())
tab.close()
browser.close()
p.stop()";

#[tokio::test]
async fn a_browser_that_a_script_launches_is_the_sessions_browser() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await.with_long_timeout();
    let kept = format!("await page.goto('{}'); 0", site.url("/title/kept"));
    session.node(&kept).await.ok();
    let required = format!("const {{ chromium }} = require('playwright');{NODE}");
    let imported = format!("import {{ chromium }} from 'playwright-core';{NODE}");
    for (program, file, text) in [
        ("node", "a.js", &*required),
        ("node", "/tmp/$$.mjs", &imported),
        ("node", "b.mjs", NODE_PERSISTENT),
        ("python3", "c.py", PYTHON_SYNC),
        ("python3", "/tmp/$$.py", PYTHON_PERSISTENT),
        ("python3 -I", "d.py", PYTHON_ASYNC),
        ("python3", "e.py", PYTHON_CONNECT),
    ] {
        let code = script(
            program,
            file,
            &text.replace("URL", &site.url("/title/launched")),
        );
        let execution = session.bash(&code).await.ok();
        assert_eq!(
            (execution.stdout.as_str(), execution.stderr.as_str()),
            ("launched\n", ""),
            "{code}"
        );
        assert_continues(&session, &code).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn programs_that_a_kernel_starts_share_the_browser_too() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await.with_long_timeout();
    let url = site.url("/title/launched");
    let node = format!("const {{ chromium }} = require('playwright');{NODE}").replace("URL", &url);
    let python = PYTHON_SYNC.replace("URL", &url);
    let code = format!(
        "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', {}], text=True), end='')",
        json!(python)
    );
    assert_eq!(session.python(&code).await.ok().stdout, "launched\n");
    // Asynchronously, because a new page waits for all its clients.
    let code = format!(
        "const run = require('util').promisify(require('child_process').execFile);\n(await run(process.execPath, ['-e', {}])).stdout",
        json!(node)
    );
    assert_eq!(session.node(&code).await.ok().result, "launched\n");
    server.stop().await;
}

#[tokio::test]
async fn a_command_of_playwright_uses_the_sessions_browser() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await.with_long_timeout();
    let code = format!(
        "python3 -m playwright screenshot {} shot.png && head -c 4 shot.png | tail -c 3",
        site.url("/title/shot")
    );
    let execution = session.bash(&code).await.ok();
    assert!(execution.stdout.ends_with("PNG"), "{execution:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_script_that_launches_another_browser_fails_with_a_way_to_continue() {
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let node = "require('playwright').firefox.launch().catch((error) => { console.error(error.message); process.exit(1) })";
    let python = "from playwright.sync_api import sync_playwright\nwith sync_playwright() as p:\n    p.webkit.launch()";
    for (code, expected) in [
        (script("node", "a.js", node), "use chromium.launch()"),
        (script("python3", "b.py", python), "use chromium.launch()"),
        (
            format!(
                "unset CDP_URL\n{}",
                script("node", "c.js", &node.replace("firefox", "chromium"))
            ),
            "CDP_URL is not set",
        ),
        (
            format!(
                "unset CDP_URL\n{}",
                script("python3", "d.py", &python.replace("webkit", "chromium"))
            ),
            "CDP_URL is not set",
        ),
    ] {
        let execution = session.bash(&code).await.failed(1);
        let stderr = &execution.stderr;
        assert!(stderr.contains(expected), "{code}: {stderr}");
        assert!(!stderr.contains("playwright install"), "{code}: {stderr}");
    }
    let options = "require('playwright').chromium.launch({ proxy: { server: 'http://x' } }).then((browser) => browser.close())";
    let execution = session.bash(&script("node", "e.js", options)).await.ok();
    assert_eq!(
        execution.stderr,
        "chromium.launch() connected to the session's browser, without the options proxy\n"
    );
    server.stop().await;
}

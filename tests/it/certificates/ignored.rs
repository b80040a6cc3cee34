//! Certificates that are not checked: by the setting, by Playwright's option, and by the flag of
//! agent-browser.

use std::process::Command;

use hearth_test_support::{Session, TestServer, repository};
use serde_json::json;

use super::https_site::Authority;
use super::{assert_gets, assert_rejects};

/// Code that opens a page in the default context.
const PAGES: [(&str, &str); 3] = [
    ("node", "await page.goto('URL'); await page.title()"),
    ("python", "await page.goto('URL'); await page.title()"),
    ("bash", "agent-browser open URL && agent-browser get title"),
];

/// Code that ignores certificates in a new context, for the page and for requests of code.
const CONTEXTS: [(&str, &str); 4] = [
    (
        "node",
        "{ const own = await browser.newContext({ ignoreHTTPSErrors: true });
           try { const page = await own.newPage(); await page.goto('URL'); return await page.title(); }
           finally { await own.close(); } }",
    ),
    (
        "node",
        "{ const own = await browser.newContext({ ignoreHTTPSErrors: true });
           try { return await (await own.request.get('URL')).text(); } finally { await own.close(); } }",
    ),
    (
        "python",
        "
own = await browser.new_context(ignore_https_errors=True)
try:
    own_page = await own.new_page()
    await own_page.goto('URL')
    shown = await own_page.title()
finally:
    await own.close()
shown",
    ),
    (
        "python",
        "
own = await browser.new_context(ignore_https_errors=True)
try:
    shown = await (await own.request.get('URL')).text()
finally:
    await own.close()
shown",
    ),
];

async fn assert_context_ignores(session: &Session, url: &str) {
    for (language, code) in CONTEXTS {
        assert_gets(session, language, code, url).await;
    }
}

/// Rule M19.
#[tokio::test]
async fn the_setting_applies_to_one_host_and_port_in_every_client_and_context() {
    let authority = Authority::new();
    let (listed, other) = (authority.self_signed_site(), authority.site());
    let server = TestServer::builder()
        .setting("HEARTH_IGNORE_CERTIFICATE_ERRORS", &listed.address())
        .start()
        .await;
    let session = server.session().await;
    for (language, code) in PAGES {
        assert_gets(&session, language, code, &listed.url()).await;
        assert_rejects(&session, language, code, &other.url()).await;
        assert_rejects(&session, language, code, &listed.url_of("localhost")).await;
    }
    let in_context = "const own = await browser.newContext(), tab = await own.newPage();
        await tab.goto('URL');
        const shown = await tab.evaluate(async (other) => {
            const text = (url) => fetch(url, { mode: 'no-cors' }).then(() => 'fetched', () => 'rejected');
            return [document.title, await text(location.href), await text(other)];
        }, 'OTHER');
        await own.close();
        shown";
    let code = in_context
        .replace("URL", &listed.url())
        .replace("OTHER", &other.url());
    let shown = session.node(&code).await.ok().json();
    assert_eq!(shown, json!(["secure", "fetched", "rejected"]));
    // Playwright's option also works with the setting, and code is not affected by the setting.
    assert_context_ignores(&session, &other.url()).await;
    assert_rejects(&session, "bash", "curl -sSf URL", &listed.url()).await;
    server.stop().await;
}

#[tokio::test]
async fn the_option_of_playwright_applies_to_its_context() {
    let authority = Authority::new();
    let site = authority.self_signed_site();
    let server = TestServer::start().await;
    let session = server.session().await;
    assert_context_ignores(&session, &site.url()).await;
    for (language, code) in PAGES {
        assert_rejects(&session, language, code, &site.url()).await;
    }
    let request = "await (await page.request.get('URL', { ignoreHTTPSErrors: true })).text()";
    assert_gets(&session, "node", request, &site.url()).await;
    server.stop().await;
}

#[tokio::test]
async fn the_flag_of_agent_browser_works() {
    let authority = Authority::new();
    let site = authority.self_signed_site();
    let in_program = "import subprocess
subprocess.run(['agent-browser', '--ignore-https-errors', 'open', 'URL'], capture_output=True, text=True).stdout";
    // With the setting, Chromium asks the server about each error.
    for setting in ["", "dev.internal:443"] {
        let server = TestServer::builder()
            .setting("HEARTH_IGNORE_CERTIFICATE_ERRORS", setting)
            .start()
            .await;
        for (language, code) in [
            ("bash", "agent-browser --ignore-https-errors open URL"),
            ("bash", "agent-browser open URL --ignore-https-errors"),
            (
                "bash",
                "AGENT_BROWSER_IGNORE_HTTPS_ERRORS=1 agent-browser open URL",
            ),
            ("python", in_program),
        ] {
            let session = server.session().await;
            let without = "agent-browser --ignore-https-errors false open URL";
            assert_rejects(&session, "bash", without, &site.url()).await;
            assert_gets(&session, language, code, &site.url()).await;
            // It applies until the session ends.
            assert_gets(&session, "bash", PAGES[2].1, &site.url()).await;
            session.delete().await;
        }
        server.stop().await;
    }
}

/// Scripts that launch a browser without the check of certificates. Those of the first kind also
/// print the body of a request.
const NODE_PERSISTENT: &str = "import { chromium } from 'playwright';
const own = await chromium.launchPersistentContext('/tmp/data', { ignoreHTTPSErrors: true });
const tab = await own.newPage();
await tab.goto('URL');
console.log(await tab.title(), await (await own.request.get('URL')).text());
await own.close();";

const NODE_ARGUMENT: &str = "import { chromium } from 'playwright';
const own = await chromium.launch({ args: ['--ignore-certificate-errors'] });
const tab = await own.newPage();
await tab.goto('URL');
console.log(await tab.title());
await own.close();";

const PYTHON_ASYNC: &str = "import asyncio
from playwright.async_api import async_playwright
async def main():
    async with async_playwright() as p:
        own = await p.chromium.launch_persistent_context('/tmp/data', ignore_https_errors=True)
        tab = await own.new_page()
        await tab.goto('URL')
        print(await tab.title(), await (await tab.request.get('URL')).text())
        await own.close()
asyncio.run(main())";

const PYTHON_SYNC: &str = "from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    own = p.chromium.launch_persistent_context('/tmp/data', ignore_https_errors=True)
    tab = own.new_page()
    tab.goto('URL')
    print(tab.title(), own.request.get('URL').text())
    own.close()";

const PYTHON_ARGUMENT: &str = "from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    own = p.chromium.launch(args=['--ignore-certificate-errors'])
    tab = own.new_page()
    tab.goto('URL')
    print(tab.title())
    own.close()";

#[tokio::test]
async fn the_options_of_a_launch_apply_to_the_sessions_browser() {
    let authority = Authority::new();
    let site = authority.self_signed_site();
    let server = TestServer::start().await;
    for (language, text) in [
        ("node", NODE_PERSISTENT),
        ("node", NODE_ARGUMENT),
        ("python", PYTHON_ASYNC),
        ("python", PYTHON_SYNC),
        ("python", PYTHON_ARGUMENT),
    ] {
        let session = server.session().await.with_long_timeout();
        let without = text
            .replace("true });", "false });")
            .replace("errors=True", "errors=False")
            .replace("--ignore", "--x");
        assert_rejects(&session, language, &without, &site.url()).await;
        assert_gets(&session, language, text, &site.url()).await;
        session.delete().await;
        let session = server.session().await.with_long_timeout();
        let (program, file) = match language {
            "node" => ("node", "script.mjs"),
            _ => ("python3", "script.py"),
        };
        let script = format!("cat >{file} <<'EOF'\n{text}\nEOF\n{program} {file}");
        let told = session.bash(&script.replace("URL", &site.url())).await.ok();
        assert!(told.stdout.starts_with("secure"), "{told:?}");
        assert_eq!(told.stderr, "", "{script}");
        session.delete().await;
    }
    server.stop().await;
}

const PUPPETEER: &str = "const puppeteer = require('puppeteer-core');
const own = await puppeteer.launch({ acceptInsecureCerts: true });
const tab = await own.newPage();
await tab.goto('URL');
console.log(await tab.title());
await own.close();";

#[tokio::test]
async fn the_option_of_puppeteer_applies_to_the_sessions_browser() {
    let authority = Authority::new();
    let site = authority.self_signed_site();
    let server = TestServer::start().await;
    let session = server.session().await.with_long_timeout();
    let dir = session.bash("pwd").await.ok().result;
    let copied = Command::new("cp")
        .args(["-r", "--no-preserve=mode"])
        .arg(repository().join("tests/clients/node_modules"))
        .arg(&dir)
        .status();
    assert!(copied.expect("cp").success(), "run: make setup-tests");
    // The server can only remove what belongs to the user of the session.
    let owned = Command::new("chown")
        .args(["-R", "--reference", &dir, &format!("{dir}/node_modules")])
        .status();
    assert!(owned.expect("chown").success());
    let without = PUPPETEER.replace("true", "false");
    let without = format!("{{ {without} }}");
    assert_rejects(&session, "node", &without, &site.url()).await;
    let with = format!("{{ {PUPPETEER} }}");
    assert_gets(&session, "node", &with, &site.url()).await;
    server.stop().await;
}

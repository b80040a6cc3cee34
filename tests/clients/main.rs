//! Third-party clients on a session's `cdpUrl`: each on a separate session, six at once on one
//! browser, and a thousand that connect and disconnect. The results are the first table of
//! docs/conformance.md.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test may read its environment, because it ends with its process"
)]

mod chromiumoxide_client;
mod churn;
mod client;
mod dead_addresses;
mod program;
mod scenario;
mod shared_pages;
mod visitor;

use std::time::Duration;

use chromiumoxide::Browser;
use client::{Client, STEPS};
use futures_util::StreamExt;
use futures_util::future::join_all;
use hearth_test_support::document::assert_section;
use hearth_test_support::report::{assert_all_good, table};
use hearth_test_support::{Site, TestServer, eventually, process, repository};
use scenario::Scenario;
use tokio::task::JoinSet;

/// Runs one client on a new session.
async fn alone(client: Client) {
    let scenario = Scenario::setup().await;
    assert_all_good(&[scenario.run(client).await], &STEPS);
    scenario.assert_saved(client);
    scenario.assert_left_as_it_was().await;
    scenario.teardown().await;
}

#[tokio::test]
async fn every_step_of_playwright_for_node_works() {
    alone(Client::PlaywrightNode).await;
}

#[tokio::test]
async fn every_step_of_playwright_for_python_works() {
    alone(Client::PlaywrightPython).await;
}

#[tokio::test]
async fn every_step_of_puppeteer_works() {
    alone(Client::Puppeteer).await;
}

/// Sandboxed code cannot read the clients of the tests, so the sandbox is off.
#[tokio::test]
async fn puppeteer_that_code_launches_uses_the_sessions_browser() {
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .start()
        .await;
    let session = server.session().await;
    let package = repository().join("tests/clients/node_modules/puppeteer-core");
    let imports = [
        format!("const puppeteer = require('{}')", package.display()),
        format!(
            "import puppeteer from '{}/lib/esm/puppeteer/puppeteer-core.js'",
            package.display()
        ),
    ];
    let opens = [
        "puppeteer.launch({ headless: 'new', args: ['--no-sandbox'] })",
        "puppeteer.connect({ browserURL: 'http://localhost:9222' })",
    ];
    for (import, open) in imports.iter().zip(opens) {
        let code = format!(
            "{import};\nconst own = await {open};\nconst tab = await own.newPage();\nawait tab.goto('{}');\n\
             console.log(await tab.title());\nawait tab.close();\nawait own.close();",
            site.url("/title/puppeteer")
        );
        let execution = session.node(&code).await.ok();
        assert_eq!(execution.stdout, "puppeteer\n", "{code}");
        let url = session.node("page.url()").await.ok().result;
        assert_eq!(url, "about:blank", "{code}");
        // A module may have a top-level await.
        let code = if import.starts_with("import") {
            code
        } else {
            format!("(async () => {{\n{code}\n}})();")
        };
        let script = format!("cat >script.js <<'EOF'\n{code}\nEOF\nnode script.js");
        let execution = session.bash(&script).await.ok();
        assert_eq!(execution.stdout, "puppeteer\n", "{code}");
        assert_eq!(session.node("page.url()").await.ok().result, url, "{code}");
    }
    server.stop().await;
}

#[tokio::test]
async fn names_that_puppeteer_has_taken_are_the_sessions_again_when_it_has_closed() {
    let site = Site::start().await;
    let server = TestServer::builder()
        .setting("HEARTH_ISOLATION", "none")
        .start()
        .await;
    let session = server.session().await;
    let package = repository().join("tests/clients/node_modules/puppeteer-core");
    let open = format!(
        "const puppeteer = require('{}');\nconst browser = await puppeteer.launch();\n\
         const context = browser.defaultBrowserContext();\nconst page = await browser.newPage();\n\
         await page.goto('{}');",
        package.display(),
        site.url("/title/puppeteer")
    );
    // An open page stays the page of the next call, as one of Playwright does.
    session.node(&open).await.ok();
    let kept = session.node("await page.title()").await.ok();
    assert_eq!(kept.result, "puppeteer");
    for close in ["page.close()", "browser.close()", "browser.disconnect()"] {
        session.node(&format!("{open}\nawait {close}")).await.ok();
        let look = format!(
            "await page.goto('{}'); await page.locator('html').count()",
            site.url("/title/playwright")
        );
        let count = session.node(&look).await.ok();
        assert_eq!(count.result, "1", "{close}");
        if close != "page.close()" {
            let look = "browser.contexts().includes(context) && context.pages().includes(page)";
            let all = session.node(look).await.ok();
            assert_eq!(all.result, "true", "{close}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn every_step_of_agent_browser_works() {
    alone(Client::AgentBrowser).await;
}

#[tokio::test]
async fn every_step_of_chromiumoxide_works() {
    alone(Client::Chromiumoxide).await;
}

#[tokio::test]
async fn every_step_of_chrome_remote_interface_works() {
    alone(Client::ChromeRemoteInterface).await;
}

#[tokio::test]
async fn chromiumoxide_works_as_a_third_party_client() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let (mut browser, mut handler) = Browser::connect(session.cdp_url()).await.unwrap();
    let mut driving = JoinSet::new();
    driving.spawn(async move { while handler.next().await.is_some() {} });
    let page = browser
        .new_page(site.url("/title/oxide").as_str())
        .await
        .unwrap();
    assert_eq!(page.get_title().await.unwrap().as_deref(), Some("oxide"));
    assert_eq!(
        session.node("context.pages().length").await.ok().result,
        "2"
    );
    browser.close().await.unwrap();
    drop(browser);
    assert_eq!(session.node("1 + 1").await.ok().result, "2");
    server.stop().await;
}

/// A failing test drops its clients while they run.
#[tokio::test]
async fn a_client_that_is_dropped_half_way_leaves_no_daemon() {
    let scenario = Scenario::setup().await;
    let daemons = || {
        let mut of_client = process::belonging(-1, scenario.session.cdp_url());
        of_client.retain(|process| {
            process
                .environment()
                .is_some_and(|all| all.contains(&"AGENT_BROWSER_DAEMON=1".into()))
        });
        of_client
    };
    let started = eventually(
        Duration::from_secs(20),
        "the client's daemon runs",
        || async {
            if daemons().is_empty() {
                Err("none yet".to_owned())
            } else {
                Ok(())
            }
        },
    );
    tokio::select! {
        report = scenario.run(Client::AgentBrowser) => assert_all_good(&[report], &STEPS),
        () = started => {}
    }
    eventually(Duration::from_secs(5), "the daemon has ended", || async {
        if daemons().is_empty() {
            Ok(())
        } else {
            Err(process::describe(&daemons()))
        }
    })
    .await;
    scenario.teardown().await;
}

#[tokio::test]
async fn six_clients_at_once_work_and_every_step_is_documented() {
    let scenario = Scenario::setup().await;
    let reports = join_all(Client::ALL.map(|client| scenario.run(client))).await;
    assert_all_good(&reports, &STEPS);
    for client in Client::ALL {
        scenario.assert_saved(client);
    }
    scenario.assert_left_as_it_was().await;
    scenario.teardown().await;
    assert_section("docs/conformance.md", "clients", &table(&reports));
}

//! Third-party clients that open a list of addresses of which three do not load.
//! `egress::navigations` tests the same inside of a session.

use hearth_test_support::{ClientHome, Session, Site, TestServer, repository};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Opens each of `URLS` with `page`, and prints the titles and the errors. It follows the code that
/// connects to `CDP_URL`.
const NODE_LOOP: &str = "
    const titles = [], errors = [];
    for (const url of 'URLS'.split(' ')) {
      try { await page.goto(url); titles.push(await page.title()); }
      catch (error) { errors.push(error.message); }
    }
    console.log(JSON.stringify({ titles, errors }));
    process.exit(0);";

const PLAYWRIGHT_NODE: &str = "
    import { createRequire } from 'node:module';
    const { chromium } = createRequire('INSTALLED/')('./playwright-core');
    const browser = await chromium.connectOverCDP('CDP_URL');
    const page = browser.contexts()[0].pages()[0];";

const PUPPETEER: &str = "
    import puppeteer from 'CLIENTS/node_modules/puppeteer-core/lib/esm/puppeteer/puppeteer-core.js';
    const browser = await puppeteer.connect({ browserWSEndpoint: 'CDP_URL' });
    const page = (await browser.pages())[0];";

const PLAYWRIGHT_PYTHON: &str = "
import json
from playwright.sync_api import sync_playwright
titles, errors = [], []
with sync_playwright() as playwright:
    browser = playwright.chromium.connect_over_cdp('CDP_URL')
    page = browser.contexts[0].pages[0]
    for url in 'URLS'.split():
        try:
            page.goto(url)
            titles.append(page.title())
        except Exception as error:
            errors.append(str(error))
    browser.close()
print(json.dumps({'titles': titles, 'errors': errors}))";

/// Runs a program of a client until it exits, and returns what it prints.
async fn run(program: &str, code: &str, session: &Session, urls: &str) -> Value {
    let installed = repository().join("runtime/.installed");
    let clients = repository().join("tests/clients");
    let code = code
        .replace("CDP_URL", session.cdp_url())
        .replace("URLS", urls)
        .replace("INSTALLED", &installed.display().to_string())
        .replace("CLIENTS", &clients.display().to_string());
    let home = ClientHome::default();
    let mut command = home.command(installed.join(program));
    if program == "bin/node" {
        command.args(["--input-type=module", "--eval"]);
    } else {
        command.arg("-c");
    }
    let output = command.arg(code).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    home.assert_nothing_runs().await;
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns an address that refuses connections.
async fn refusing() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// Rule F1.
#[tokio::test]
async fn three_dead_addresses_of_ten_leave_seven_titles_in_external_clients() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let session = server.session().await;
    let page = |title: u8| site.url(&format!("/title/{title}"));
    let urls = [
        page(1),
        refusing().await,
        page(2),
        "https://nowhere.invalid/".to_owned(),
        "http://169.254.169.254/".to_owned(),
        page(3),
        page(4),
        page(5),
        page(6),
        page(7),
    ];
    let reasons = ["the connection failed", "does not resolve", "was denied"];
    let node = |connects: &str| format!("{connects}{NODE_LOOP}");
    for (program, code) in [
        ("bin/node", node(PLAYWRIGHT_NODE)),
        ("venv/bin/python", PLAYWRIGHT_PYTHON.to_owned()),
        ("bin/node", node(PUPPETEER)),
    ] {
        let shown = run(program, &code, &session, &urls.join(" ")).await;
        assert_eq!(
            shown["titles"],
            json!(["1", "2", "3", "4", "5", "6", "7"]),
            "{code}: {shown}"
        );
        let errors = shown["errors"].as_array().unwrap();
        assert_eq!(errors.len(), reasons.len(), "{code}: {shown}");
        for (error, reason) in errors.iter().zip(reasons) {
            let error = error.as_str().unwrap();
            assert!(
                error.contains("net::ERR_TUNNEL_CONNECTION_FAILED") && error.contains(reason),
                "{code}: {shown}"
            );
        }
    }
    server.stop().await;
}

//! Programs that Node and Python code starts find the browser.

use hearth_test_support::{Session, TestServer};

const PAGE: &str = "data:text/html,<title>Shared</title><button>Press</button>";

/// Runs agent-browser in a program that the kernel of `language` starts. Returns its output.
async fn command(session: &Session, language: &str, arguments: &[&str]) -> String {
    let arguments = serde_json::to_string(arguments).expect("strings");
    let code = match language {
        "node" => format!(
            "require('child_process').execFileSync('agent-browser', {arguments}).toString().trim()"
        ),
        _ => format!(
            "import subprocess\ndone = subprocess.run(['agent-browser', *{arguments}], capture_output=True, text=True)\n\
             (done.stdout + done.stderr).strip()"
        ),
    };
    session.run(language, &code).await.ok().result
}

#[tokio::test]
async fn agent_browser_works_in_programs_of_node_and_python() {
    let server = TestServer::start().await;
    for (first, second) in [("node", "python"), ("python", "node")] {
        // No shell has started the daemon.
        let session = server.session().await;
        command(&session, first, &["open", PAGE]).await;
        assert_eq!(command(&session, first, &["get", "title"]).await, "Shared");
        // Both languages and bash use one daemon, so they share its references.
        let snapshot = command(&session, first, &["snapshot", "-i"]).await;
        assert!(snapshot.contains("ref=e1"), "{snapshot}");
        let text = command(&session, second, &["get", "text", "@e1"]).await;
        assert_eq!(text, "Press");
        let in_bash = session.bash("agent-browser get text @e1").await.ok();
        assert_eq!(in_bash.result, "Press");
        assert_eq!(
            session.node("await page.title()").await.ok().result,
            "Shared"
        );
        // Unlike in a shell, commands work after `close` in the same call.
        command(&session, second, &["close"]).await;
        assert_eq!(command(&session, first, &["get", "title"]).await, "Shared");
        session.delete().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_command_of_a_killed_kernel_does_not_block_the_next_one() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let waiting = "import subprocess\nsubprocess.run(['agent-browser', 'wait', '20000'])";
    let killed = session.run_for("python", waiting, 2).await;
    assert!(killed.killed, "{killed:?}");
    let after = command(&session, "node", &["get", "url"]).await;
    assert_eq!(after, "about:blank");
    server.stop().await;
}

#[tokio::test]
async fn at_most_the_command_itself_gets_a_unix_socket() {
    let server = TestServer::start().await;
    let session = server.session().await;
    command(&session, "python", &["get", "url"]).await;
    let connect = "
import os, socket
try:
    socket.socket(socket.AF_UNIX)
except OSError as error:
    print(error.strerror)";
    let denied = session.python(connect).await.ok();
    assert_eq!(denied.result, "Permission denied");
    server.stop().await;
}

#[tokio::test]
async fn every_language_has_the_address_of_the_browser() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let node = session.node("process.env.CDP_URL").await.ok().result;
    assert!(node.starts_with("ws://127.0.0.1:"), "{node}");
    let python = "import os\nos.environ['CDP_URL']";
    assert_eq!(session.python(python).await.ok().result, node);
    assert_eq!(session.bash("echo $CDP_URL").await.ok().result, node);
    server.stop().await;
}

#[tokio::test]
async fn scripts_connect_to_the_browser_with_playwright() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session
        .node(&format!("await page.goto('{PAGE}'); 0"))
        .await
        .ok();
    let script = |import: &str| {
        format!(
            "{import}
(async () => {{
  const browser = await chromium.connectOverCDP(process.env.CDP_URL);
  console.log(await browser.contexts()[0].pages()[0].title());
  await browser.close();
}})();"
        )
    };
    for (name, import) in [
        ("a.mjs", "import { chromium } from 'playwright-core';"),
        ("b.mjs", "import { chromium } from 'playwright';"),
        ("c.cjs", "const { chromium } = require('playwright-core');"),
        ("d.js", "const { chromium } = require('playwright');"),
        // The directory is not below the session's.
        ("/tmp/$$.mjs", "import { chromium } from 'playwright-core';"),
    ] {
        let code = format!(
            "cat >{name} <<'EOF'\n{}\nEOF\nnode {name}; rm {name}",
            script(import)
        );
        assert_eq!(session.bash(&code).await.ok().result, "Shared", "{name}");
    }
    let python = "
import os
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.connect_over_cdp(os.environ['CDP_URL'])
    print(browser.contexts[0].pages[0].title())";
    let code = format!("cat >f.py <<'EOF'\n{python}\nEOF\npython3 f.py");
    assert_eq!(session.bash(&code).await.ok().result, "Shared");
    server.stop().await;
}

#[tokio::test]
async fn scripts_have_the_playwright_of_the_kernel() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let path = "require.resolve('playwright-core/package.json')";
    let version = "require('playwright-core/package.json').version";
    let kernel = session.node(version).await.ok().result;
    let script = format!("node -p \"{version}\"; node -p \"{path}\"");
    let lines = session.bash(&script).await.ok().result;
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], kernel);
    assert!(
        lines[1].contains("/playwright/driver/package/"),
        "{lines:?}"
    );
    server.stop().await;
}

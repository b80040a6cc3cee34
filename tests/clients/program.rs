//! Clients that are programs in tests/clients, each run in a separate process with a private dir.

use std::path::PathBuf;
use std::time::Duration;

use hearth_test_support::report::Report;
use hearth_test_support::{ClientHome, repository};
use tokio::process::Command;

use super::client::{self, Client};

/// Time limit for a program that hangs between steps. Each step has a separate limit.
const DEADLINE: Duration = Duration::from_secs(150);

/// Runs a client's program with these arguments until it exits.
pub async fn run(client: Client, arguments: [&str; 3]) -> Report {
    let own = ClientHome::default();
    let running = command(client, &own)
        .args(arguments)
        .args([client.name()])
        .output();
    let output = tokio::time::timeout(DEADLINE, running).await;
    // agent-browser's daemon outlives its commands by design.
    own.end_programs();
    own.assert_nothing_runs().await;
    let output = output
        .unwrap_or_else(|_| panic!("{} did not end", client.title()))
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {}\n{errors}",
        client.title(),
        output.status
    );
    let output = String::from_utf8(output.stdout).unwrap();
    // The output, with the duration of each step, is visible only if the test fails.
    eprintln!("--- {}\n{output}", client.title());
    client::parse_report(client, &output)
}

fn command(client: Client, own: &ClientHome) -> Command {
    let installed = repository().join("runtime/.installed");
    let (interpreter, file) = match client {
        Client::PlaywrightNode => ("bin/node", "playwright.mjs"),
        Client::PlaywrightPython => ("venv/bin/python", "playwright.py"),
        Client::Puppeteer => ("bin/node", "puppeteer.mjs"),
        Client::AgentBrowser => ("bin/node", "agent_browser.mjs"),
        Client::ChromeRemoteInterface => ("bin/node", "chrome_remote_interface.mjs"),
        Client::Chromiumoxide => unreachable!("it is a library of this process"),
    };
    let programs: PathBuf = repository().join("tests/clients");
    assert!(
        programs.join("node_modules").exists(),
        "the clients are not installed: run scripts/setup-tests"
    );
    let mut command = own.command(installed.join(interpreter));
    command
        .arg(programs.join(file))
        .env("AGENT_BROWSER_SOCKET_DIR", own.path());
    command
}

//! The steps of a client, in the order of the table's rows.

use hearth_test_support::report::{Outcome, Report};
use serde_json::Value;

/// The rows of the table.
pub const STEPS: [&str; 16] = [
    "connect",
    "navigate",
    "click",
    "fill",
    "screenshot",
    "route",
    "popup",
    "cross-site iframe",
    "download",
    "upload of 40 MB",
    "dialog",
    "file chooser",
    "new context",
    "tracing",
    "close",
    "disconnect",
];

/// The columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    PlaywrightNode,
    PlaywrightPython,
    Puppeteer,
    AgentBrowser,
    Chromiumoxide,
    ChromeRemoteInterface,
}

impl Client {
    pub const ALL: [Client; 6] = [
        Client::PlaywrightNode,
        Client::PlaywrightPython,
        Client::Puppeteer,
        Client::AgentBrowser,
        Client::Chromiumoxide,
        Client::ChromeRemoteInterface,
    ];

    /// Returns the title in the table's header.
    pub fn title(self) -> &'static str {
        match self {
            Client::PlaywrightNode => "Playwright, node",
            Client::PlaywrightPython => "Playwright, python",
            Client::Puppeteer => "puppeteer-core",
            Client::AgentBrowser => "agent-browser",
            Client::Chromiumoxide => "chromiumoxide",
            Client::ChromeRemoteInterface => "chrome-remote-interface",
        }
    }

    /// Returns a one-word name, used for what the client writes to pages and files.
    pub fn name(self) -> &'static str {
        match self {
            Client::PlaywrightNode => "playwright-node",
            Client::PlaywrightPython => "playwright-python",
            other => other.title(),
        }
    }
}

/// Parses the output of a program in tests/clients.
pub fn parse_report(client: Client, output: &str) -> Report {
    let mut report = Report::new(client.title(), "");
    for line in output.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        if line.get("step").is_none() {
            report.version = text("version");
            continue;
        }
        let outcome = match (line["ok"].as_bool(), line["offered"].as_bool()) {
            (Some(true), None) => Outcome::Good(text("note")),
            (None, Some(false)) => Outcome::NotOffered(text("note")),
            _ => Outcome::Failed(text("note")),
        };
        report.steps.push((text("step"), outcome));
    }
    report
}

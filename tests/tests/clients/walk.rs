//! What a client did: its steps, in the order of the table's rows.

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

    /// As the table's header has it.
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

    /// The name that it gives to what it leaves on pages and in files: one word.
    pub fn name(self) -> &'static str {
        match self {
            Client::PlaywrightNode => "playwright-node",
            Client::PlaywrightPython => "playwright-python",
            other => other.title(),
        }
    }
}

/// What came of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it should. With a remark on how, or an empty one.
    Good(String),
    /// The client has no notion of it, and why.
    NotOffered(String),
    /// It did not, and what was seen in its place.
    Failed(String),
}

/// Everything that one client did.
#[derive(Debug)]
pub struct Walk {
    pub client: Client,
    pub version: String,
    pub steps: Vec<(String, Outcome)>,
}

impl Walk {
    /// Reads what a program of tests/clients has printed.
    pub fn read(client: Client, output: &str) -> Self {
        let mut walk = Self { client, version: String::new(), steps: Vec::new() };
        for line in output.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            if line.get("step").is_none() {
                walk.version = text("version");
                continue;
            }
            let outcome = match (line["ok"].as_bool(), line["offered"].as_bool()) {
                (Some(true), None) => Outcome::Good(text("note")),
                (None, Some(false)) => Outcome::NotOffered(text("note")),
                _ => Outcome::Failed(text("note")),
            };
            walk.steps.push((text("step"), outcome));
        }
        walk
    }

    /// Asserts that every step was taken and none failed.
    #[track_caller]
    pub fn assert_good(&self) {
        assert_all_good(std::slice::from_ref(self));
    }

    fn failures(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|(step, outcome)| match outcome {
            Outcome::Failed(note) => Some(format!("--- {}: {step}\n{note}", self.client.title())),
            _ => None,
        })
    }
}

/// Asserts that every step of every client was taken and none failed; names all that did.
#[track_caller]
pub fn assert_all_good(walks: &[Walk]) {
    let failures: Vec<String> = walks.iter().flat_map(Walk::failures).collect();
    assert!(failures.is_empty(), "{} steps failed\n{}", failures.len(), failures.join("\n"));
    for walk in walks {
        let taken: Vec<&str> = walk.steps.iter().map(|(step, _)| step.as_str()).collect();
        assert_eq!(taken, STEPS, "{}", walk.client.title());
    }
}

//! Baselines without Hearth: scripts, a plain bash, and the plain agent-browser CLI with its own
//! daemon.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hearth_test_support::{Session, eventually, process, repository};
use nix::sys::signal::Signal;
use tempfile::TempDir;

const NODE_LAUNCH: &str = "\
const { chromium } = require(process.argv[1]);
(async () => {
  const browser = await chromium.launch({ executablePath: process.argv[2] });
  const page = await browser.newPage();
  console.log('title', await page.title());
  await browser.close();
})();";

const NODE_CONNECT: &str = "\
const { chromium } = require(process.argv[1]);
(async () => {
  const browser = await chromium.connectOverCDP(process.argv[2]);
  console.log('title', await browser.contexts()[0].pages()[0].title());
  await browser.close();
})();";

/// Starts the browser without Playwright. The browser and its child processes are in a process
/// group.
const NODE_RAW: &str = "\
const { chromium } = require(process.argv[1]);
const { spawn } = require('node:child_process');
const { mkdtempSync } = require('node:fs');
(async () => {
  const data = mkdtempSync(process.env.TMPDIR + '/raw-');
  const flags = ['--no-sandbox', '--remote-debugging-port=0', '--user-data-dir=' + data, 'about:blank'];
  const child = spawn(process.argv[2], flags, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  const ended = new Promise((done) => child.once('exit', done));
  let text = '';
  const url = await Promise.race([ended, new Promise((done) => child.stderr.on('data', (chunk) => {
    const found = /listening on (ws:\\S+)\\s/.exec(text += chunk);
    if (found) done(found[1]);
  }))]);
  if (typeof url !== 'string') throw new Error('the browser ended: ' + text);
  const browser = await chromium.connectOverCDP(url);
  console.log('title', await browser.contexts()[0].pages()[0].title());
  process.kill(-child.pid, 'SIGKILL');
  await ended;
  process.exit();
})();";

const PYTHON_LAUNCH: &str = "\
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=sys.argv[1])
    page = browser.new_page()
    print('title', page.title())
    browser.close()";

const PYTHON_CONNECT: &str = "\
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    browser = playwright.chromium.connect_over_cdp(sys.argv[1])
    print('title', browser.contexts[0].pages[0].title())
    browser.close()";

/// Runs programs as a user would, with the pinned runtime and a private home dir.
#[derive(Debug)]
pub struct Baseline {
    home: TempDir,
}

/// A language that Playwright scripts are written in.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    /// Runs with the runtime's node.
    Node,
    /// Runs with the runtime's python.
    Python,
}

impl Baseline {
    /// Creates the home dir.
    pub fn new() -> Self {
        Self {
            home: tempfile::tempdir().expect("a dir can be created"),
        }
    }

    /// Runs `bash -c :` and captures its output.
    pub fn bash(&self) -> Duration {
        self.run("/bin/bash", &["-c", ":"], &[]).1
    }

    /// Runs a script that launches its own browser.
    pub fn launch(&self, script: Script, executable: &str) -> Duration {
        match script {
            Script::Node => self.script(
                &installed("bin/node"),
                &["-e", NODE_LAUNCH, &playwright(), executable],
            ),
            Script::Python => self.script(
                &installed("venv/bin/python"),
                &["-c", PYTHON_LAUNCH, executable],
            ),
        }
    }

    /// Runs a node script that starts a browser itself and connects to its port.
    pub fn raw_launch(&self, executable: &str) -> Duration {
        self.script(
            &installed("bin/node"),
            &["-e", NODE_RAW, &playwright(), executable],
        )
    }

    /// Runs a script that connects to a session's browser.
    pub fn connect(&self, script: Script, session: &Session) -> Duration {
        let url = session.cdp_url();
        match script {
            Script::Node => self.script(
                &installed("bin/node"),
                &["-e", NODE_CONNECT, &playwright(), url],
            ),
            Script::Python => {
                self.script(&installed("venv/bin/python"), &["-c", PYTHON_CONNECT, url])
            }
        }
    }

    /// Runs a node program that fetches this many bytes, and returns its output.
    pub fn fetch(&self, program: &str, words: &[String], bytes: usize) -> String {
        let bytes = bytes.to_string();
        let mut arguments = vec!["--input-type=module", "-e", program];
        arguments.extend(words.iter().map(String::as_str));
        arguments.push(&bytes);
        self.run(installed("bin/node"), &arguments, &[]).0
    }

    fn script(&self, program: &Path, arguments: &[&str]) -> Duration {
        let (output, took) = self.run(program, arguments, &[]);
        assert!(output.starts_with("title"), "a script printed {output:?}");
        took
    }

    fn run(
        &self,
        program: impl AsRef<OsStr>,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> (String, Duration) {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8");
        command
            .env("HOME", self.home.path())
            .env("TMPDIR", self.home.path());
        // Ctrl-C must reach only the bench, which ends after the program has ended.
        command.envs(environment.iter().copied()).process_group(0);
        let start = Instant::now();
        let output = command.output().expect("the program can be started");
        let took = start.elapsed();
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        (String::from_utf8_lossy(&output.stdout).into_owned(), took)
    }
}

/// Runs `work` in this many threads, and returns the time until the last one has ended.
pub fn at_once(count: usize, work: impl Fn() + Sync) -> Duration {
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(&work);
        }
    });
    start.elapsed()
}

/// Returns the path of a file that the setup script installed.
fn installed(path: &str) -> PathBuf {
    repository().join("runtime/.installed").join(path)
}

fn playwright() -> String {
    installed("playwright-core").to_string_lossy().into_owned()
}

/// An agent-browser CLI that a user has connected to a session's browser.
#[derive(Debug)]
pub struct BareAgent {
    baseline: Baseline,
    url: String,
    dir: TempDir,
}

impl BareAgent {
    /// Runs the first command, which starts the daemon.
    pub fn connect(session: &Session) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("ab-")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let agent = Self {
            baseline: Baseline::new(),
            url: session.cdp_url().to_owned(),
            dir,
        };
        agent.title();
        agent
    }

    /// Runs `agent-browser get title`.
    pub fn title(&self) -> Duration {
        let dir = self.dir.path().to_string_lossy();
        let environment = [
            ("AGENT_BROWSER_CDP", self.url.as_str()),
            ("AGENT_BROWSER_SESSION", "bench"),
            ("AGENT_BROWSER_SOCKET_DIR", &dir),
        ];
        self.baseline
            .run(
                installed("bin/agent-browser"),
                &["get", "title"],
                &environment,
            )
            .1
    }

    /// Kills the daemon, which would otherwise keep running.
    pub async fn end(self) {
        let dir = self.dir.path().to_string_lossy().into_owned();
        eventually(
            Duration::from_secs(10),
            "the bench's daemon ends",
            || async {
                let left = process::belonging(-1, &dir);
                for process in &left {
                    process.signal(Signal::SIGKILL);
                }
                if left.is_empty() {
                    Ok(())
                } else {
                    Err(process::describe(&left))
                }
            },
        )
        .await;
    }
}

impl Drop for BareAgent {
    fn drop(&mut self) {
        for process in process::belonging(-1, &self.dir.path().to_string_lossy()) {
            process.signal(Signal::SIGKILL);
        }
    }
}

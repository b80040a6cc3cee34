//! The clients that are programs: those of tests/clients, each in a process and a folder of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use hearth_tests::{eventually, process, repository};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::process::Command;

use super::walk::{Client, Walk};

/// Every step has a limit of its own; this one is for a program that hangs between them.
const DEADLINE: Duration = Duration::from_secs(150);

/// Runs a client's program with these arguments, to its end.
pub async fn walk(client: Client, arguments: [&str; 3]) -> Walk {
    let own = Place(tempfile::tempdir().unwrap());
    let running = command(client, &own.0).args(arguments).args([client.name()]).output();
    let output = tokio::time::timeout(DEADLINE, running).await;
    own.end_programs();
    eventually(Duration::from_secs(5), "the client leaves no process", || async {
        let left = own.programs();
        if left.is_empty() { Ok(()) } else { Err(process::describe(&left)) }
    })
    .await;
    let output = output.unwrap_or_else(|_| panic!("{} did not end", client.title())).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{errors}", client.title(), output.status);
    let output = String::from_utf8(output.stdout).unwrap();
    // Seen only when the test fails: how long each step took.
    eprintln!("--- {}\n{output}", client.title());
    Walk::read(client, &output)
}

/// A client's own folder. What runs in it ends with it, also when a test fails and drops its clients half-way.
struct Place(TempDir);

impl Place {
    fn programs(&self) -> Vec<process::Process> {
        process::belonging(-1, &self.0.path().to_string_lossy())
    }

    /// agent-browser's daemon is meant to outlive its commands.
    fn end_programs(&self) {
        for program in self.programs() {
            program.signal(Signal::SIGKILL);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end_programs();
    }
}

fn command(client: Client, own: &TempDir) -> Command {
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
    assert!(programs.join("node_modules").exists(), "the clients are not installed: run scripts/setup-tests");
    let mut command = Command::new(installed.join(interpreter));
    command
        .arg(programs.join(file))
        .current_dir(own)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .envs(["HOME", "TMPDIR", "AGENT_BROWSER_SOCKET_DIR"].map(|name| (name, own.path())))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

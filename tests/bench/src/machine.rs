//! The machine and the versions that the results depend on.

use std::fs;
use std::path::Path;
use std::process::Command;

use hearth_test_support::process::{self, Process};
use hearth_test_support::repository;

/// Facts gathered before the measurements.
#[derive(Debug)]
pub struct Machine {
    /// Pairs of a name and a value.
    pub facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Reads facts about the machine and the version of every program.
    pub fn read() -> Self {
        let installed = repository().join("runtime/.installed");
        let program = |path: &str| installed.join(path);
        let facts = vec![
            ("machine", hardware()),
            (
                "load before the run",
                format!(
                    "{} (averages of 1, 5 and 15 minutes)",
                    first_words("/proc/loadavg", 3)
                ),
            ),
            ("other browsers", other_browsers()),
            (
                "system",
                format!(
                    "{}, Linux {}",
                    system(),
                    first_words("/proc/sys/kernel/osrelease", 1)
                ),
            ),
            ("Hearth", hearth()),
            (
                "Chromium",
                output(
                    Path::new("/usr/lib/chromium/chromium-headless-shell"),
                    &["--version"],
                ),
            ),
            ("Playwright", playwright(&installed)),
            ("Node", output(&program("bin/node"), &["--version"])),
            (
                "Python",
                output(&program("venv/bin/python"), &["--version"]),
            ),
            (
                "agent-browser",
                output(&program("bin/agent-browser"), &["--version"]),
            ),
            ("Rust", output(Path::new("rustc"), &["--version"])),
            (
                "measured",
                jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            ),
        ];
        Self { facts }
    }
}

fn hardware() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unnamed", |(_, name)| name.trim());
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"));
    let gib = total
        .and_then(|kib| kib.trim().parse::<u64>().ok())
        .unwrap_or_default()
        .div_ceil(1024 * 1024);
    format!("{cores} CPUs ({model}), {gib} GiB of memory")
}

/// Counts other Chromium processes, which share pages with the bench's browsers and so reduce their
/// PSS.
fn other_browsers() -> String {
    process::all()
        .iter()
        .filter(|process| Process::is_browser(process))
        .count()
        .to_string()
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("unnamed", |name| name.trim_matches('"'))
        .to_owned()
}

fn hearth() -> String {
    let git = |arguments: &[&str]| output_in(&repository(), Path::new("git"), arguments);
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"]).is_empty() {
        ""
    } else {
        " with changes"
    };
    format!(
        "{} ({}{changed})",
        env!("CARGO_PKG_VERSION"),
        git(&["rev-parse", "--short=10", "HEAD"])
    )
}

fn playwright(installed: &Path) -> String {
    let manifest =
        fs::read_to_string(installed.join("playwright-core/package.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    manifest["version"].as_str().unwrap_or("unknown").to_owned()
}

fn output(program: &Path, arguments: &[&str]) -> String {
    output_in(Path::new("/"), program, arguments)
}

/// Returns a program's output on one line; empty if it cannot be started.
fn output_in(dir: &Path, program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout)
            .trim()
            .replace('\n', ", ")
    })
}

fn first_words(path: &str, count: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .take(count)
        .collect::<Vec<_>>()
        .join(" ")
}

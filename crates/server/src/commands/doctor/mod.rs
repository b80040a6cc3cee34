//! `hearth doctor`: checks everything that `hearth serve` uses, with the same settings, and
//! suggests fixes.
//!
//! Unlike the server it does not stop at the first failure. It changes nothing, leaves nothing
//! behind, and does not touch the sessions of a running server.
//!
//! `finding` is a line of the report, `fixture` is the sandbox that checks use, and `probe` runs a
//! program in it. Each other module checks one part and evaluates the facts in a pure function
//! (`evaluate_…`).

mod address;
mod chromium;
mod data_dir;
mod egress;
mod finding;
mod firecrawl;
mod fixture;
mod fonts;
mod limits;
mod pins;
mod probe;
mod profile_store;
mod programs;
mod settings;
mod store;
mod subject;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use nix::unistd::geteuid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use self::finding::{Finding, is_healthy, summarise};
use self::fixture::Fixture;
use self::subject::Subject;
use super::exit::EXIT_CONFIG;
use crate::backup::is_interrupted;
use crate::capacity::{memory_bytes, plan_max_sessions};
use crate::config::IsolationLevel;
use crate::config::{Config, ConfigError, wants_no_color};
use crate::lifecycle::interrupted_restore;
use crate::sandbox;
use crate::toolchain::Runtime;

/// The time limit of one check. The longest check, a browser on a cold disk, times out after 25 s.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit of file operations, which hang if a network disk is unavailable.
const FILES_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,

    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: Options, errors: Vec<ConfigError>) -> ExitCode {
    match diagnose(options, errors) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "hearth: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn diagnose(options: Options, errors: Vec<ConfigError>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let code = runtime.block_on(examine(options, errors));
    // A disk that does not respond must not delay the exit.
    runtime.shutdown_background();
    code
}

async fn examine(options: Options, errors: Vec<ConfigError>) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let Options { config, json } = options;
    let subject = bounded(move || Subject::new(config, errors))
        .await
        .context("cannot read the files that the settings name")?;
    let subject = Arc::new(subject);
    let beginning = Arc::clone(&subject);
    let fixture = bounded(move || Fixture::create(&beginning))
        .await
        .context("the data directory does not respond")?;
    let fixture = fixture.context("cannot create a directory in the data directory or in /tmp")?;
    let mut report = DoctorReport::new(json);
    let stopped = tokio::select! {
        () = check_all(&subject, &fixture, &mut report) => None,
        _ = interrupt.recv() => Some(130),
        _ = terminate.recv() => Some(143),
    };
    fixture.remove().await;
    if let Some(code) = stopped {
        return Ok(ExitCode::from(code));
    }
    report.close();
    Ok(ExitCode::from(if is_healthy(&report.findings) {
        0
    } else {
        EXIT_CONFIG
    }))
}

/// Runs a blocking function with a time limit.
async fn bounded<T: Send + 'static>(
    blocking: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let bounded_check = timeout(FILES_TIMEOUT, spawn_blocking(blocking));
    Ok(bounded_check.await.context("no response within 10 s")??)
}

/// Runs all checks in the order of the report: requirements first, optional parts last.
async fn check_all(subject: &Arc<Subject>, fixture: &Fixture, report: &mut DoctorReport) {
    let is_root = geteuid().is_root();
    let started = probe::run_probe(
        &fixture.sandbox.code,
        &fixture.sandbox.dir.work(),
        Path::new("/bin/bash"),
        &["-c", ":"],
    )
    .await;
    report.add(limits::system(is_root, started.is_ok()));
    for finding in settings::settings(subject) {
        report.add(finding);
    }
    let is_served = check_data_dir(subject, fixture, report).await;
    let own_sandbox = check_isolation(subject, fixture, is_root, report).await;

    let executable = chromium::executable(subject, fixture, is_root).await;
    let browser = match &executable {
        Ok(executable) => {
            let sandbox = own_sandbox.unwrap_or(!is_root);
            let start = chromium::browser(subject, fixture, executable, is_root, sandbox);
            let too_slow =
                || Finding::failure("browser", "it neither started nor failed within 30 s");
            timeout(CHECK_TIMEOUT, start)
                .await
                .unwrap_or_else(|_| too_slow())
        }
        Err(finding) => finding.clone(),
    };
    let sandbox = chromium::evaluate_sandbox(&browser, chromium::Namespaces::read(), is_root);
    report.add(browser);
    if let Ok(executable) = &executable {
        report.add(chromium::evaluate_version(executable));
    }
    // Otherwise, the check of the isolation level reports the browser's sandbox.
    if own_sandbox.is_none() {
        report.add(sandbox);
    }
    report.add(limits::evaluate_shared_memory(
        hearth_browser::shared_memory_bytes(),
    ));
    report.add(fonts::fonts(fixture, is_root).await);

    match subject.config.runtime_dir() {
        Ok(dir) => {
            for finding in programs::programs(&Runtime::at(&dir), fixture).await {
                report.add(finding);
            }
        }
        Err(error) => report
            .add(Finding::failure("runtime", error.to_string()).fixed_by(
                "set: HEARTH_RUNTIME_DIR to the runtime directory of a checkout in which `make setup` ran",
            )),
    }

    if subject.error("HEARTH_MAX_SESSIONS").is_none() {
        let chosen = subject.config.max_sessions;
        report.add(limits::memory(chosen));
        let sessions = chosen.unwrap_or_else(|| plan_max_sessions(memory_bytes()));
        report.add(limits::open_files(sessions, chosen.is_some()));
    }
    if let Some(finding) = egress::egress(subject).await {
        report.add(finding);
    }
    if let Some(finding) = firecrawl::firecrawl(subject).await {
        report.add(finding);
    }
    if let Some(finding) = profile_store::profile_store(subject).await {
        report.add(finding);
    }
    if subject.error("HEARTH_LISTEN").is_none() {
        let listen = subject.config.listen;
        let finding = bounded(move || address::address(listen, is_served)).await;
        report.add(
            finding.unwrap_or_else(|error| {
                Finding::failure("address", format!("{listen}: {error:#}"))
            }),
        );
    }
}

/// Runs the self-test of the sandbox. Returns whether Chromium can create its own sandbox, if that
/// was tested.
async fn check_isolation(
    subject: &Subject,
    fixture: &Fixture,
    is_root: bool,
    report: &mut DoctorReport,
) -> Option<bool> {
    if fixture.isolation.level == IsolationLevel::None {
        if let Some(error) = subject.error("HEARTH_ISOLATION") {
            report.add(Finding::of_error("isolation", error));
        } else {
            report.add(Finding::note(
                "isolation",
                "none: session code has every right of the server's user",
            ));
        }
        report.add(check_private_tmp(fixture, is_root).await);
        return None;
    }
    let runtime = Runtime::at(&subject.config.runtime_dir().ok()?);
    if !runtime.missing().is_empty() {
        // The self-test needs the runtime's python. Missing parts have separate findings.
        return None;
    }
    match sandbox::probe(&fixture.isolation, &runtime, &fixture.sandbox).await {
        Ok(findings) => {
            findings
                .rows
                .iter()
                .map(Finding::of_layer)
                .for_each(|finding| report.add(finding));
            Some(findings.browser_sandbox)
        }
        Err(error) => {
            report.add(Finding::failure(
                "isolation",
                format!("cannot run the self-test: {error}"),
            ));
            None
        }
    }
}

/// Checks the data directory and the store. Returns true if a server uses them.
async fn check_data_dir(
    subject: &Arc<Subject>,
    fixture: &Fixture,
    report: &mut DoctorReport,
) -> bool {
    let data_dir = match subject.error("HEARTH_DATA_DIR") {
        None => subject.config.data_dir.clone(),
        Some(error) => {
            report.add(
                Finding::failure("data directory", error.to_string()).fixed_by(
                    "set: HEARTH_DATA_DIR=$HOME/.hearth, or another path of at most 45 bytes",
                ),
            );
            return false;
        }
    };
    let unusable = fixture
        .unusable
        .as_ref()
        .map(|error| (error.kind(), error.to_string()));
    let kept_free_mb = subject.config.limits.min_free_disk_mb;
    let bounded_check = bounded(move || {
        let unusable = unusable.map(|(kind, text)| std::io::Error::new(kind, text));
        (
            data_dir::data_dir(&data_dir, unusable.as_ref(), kept_free_mb),
            data_dir::is_served(&data_dir),
        )
    });
    let (finding, is_served) = bounded_check.await.unwrap_or_else(|error| {
        (
            Finding::failure("data directory", format!("{error:#}"))
                .fixed_by("run: df   (shows which disk hangs)"),
            false,
        )
    });
    report.add(finding);
    if is_interrupted(&subject.config.data_dir) {
        let error = interrupted_restore(&subject.config.data_dir);
        report.add(Finding::of_error("data directory", &error));
    }
    if let Some(cluster) = &subject.config.cluster {
        for finding in store::database(cluster).await {
            report.add(finding);
        }
    } else if !is_served {
        store::store(&subject.config.data_dir)
            .await
            .into_iter()
            .for_each(|finding| report.add(finding));
    }
    is_served
}

/// Runs a program in the sandbox to check whether `/tmp` is private.
async fn check_private_tmp(fixture: &Fixture, is_root: bool) -> Finding {
    const MARK: &str = ".hearth-doctor";
    let marked = std::fs::write(fixture.sandbox.dir.tmp().join(MARK), "").is_ok();
    let test = format!("test -e /tmp/{MARK}");
    let asked = probe::run_probe(
        &fixture.sandbox.code,
        &fixture.sandbox.dir.work(),
        Path::new("/bin/bash"),
        &["-c", &test],
    )
    .await;
    let is_private = marked && asked.is_ok_and(|answer| answer.exit.shell_code() == 0);
    data_dir::evaluate_private_tmp(is_private, is_root)
}

/// The findings so far. In text format, each finding is printed when it is known; in JSON, all are
/// printed at the end.
struct DoctorReport {
    findings: Vec<Finding>,
    is_json: bool,
    is_colored: bool,
}

impl DoctorReport {
    fn new(is_json: bool) -> DoctorReport {
        let is_colored = std::io::stdout().is_terminal() && !wants_no_color();
        DoctorReport {
            findings: Vec::new(),
            is_json,
            is_colored,
        }
    }

    fn add(&mut self, finding: Finding) {
        if !self.is_json {
            print(&finding.render(self.is_colored));
        }
        self.findings.push(finding);
    }

    fn close(&self) {
        if self.is_json {
            let findings: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
            print(&format!(
                "{:#}\n",
                serde_json::json!({ "ok": is_healthy(&self.findings), "findings": findings })
            ));
        } else {
            print(&format!("\n{}\n", summarise(&self.findings)));
        }
    }
}

/// Prints text. A closed pipe is not an error.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

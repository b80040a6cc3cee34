//! `hearth doctor`: looks at everything that `hearth serve` would use, with the same settings, and
//! says of each thing that it is fine or what mends it.
//!
//! Unlike the server it does not stop at the first thing that is wrong. It leaves nothing behind,
//! changes nothing, and keeps away from the sessions of a server that runs.
//!
//! A tour: `finding` is a line of the report. `trial` is the folder and the launcher with which
//! things are tried, `ask` runs a small program there. The other modules look at one part each, and
//! judge what they have seen with pure functions (`judge_…`), which is what their tests are about.

mod address;
mod ask;
mod chromium;
mod egress;
mod finding;
mod folders;
mod fonts;
mod limits;
mod pins;
mod programs;
mod settings;
mod store;
mod trial;

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
use self::trial::Trial;
use super::EXIT_CONFIG;
use crate::capacity::{memory_bytes, plan_max_sessions};
use crate::config::{Config, ConfigError, wants_no_color};
use crate::sandbox::{self, Level};
use crate::toolchain::Runtime;

/// How long one check may take. The longest, a browser on a cold disk, gives up by itself after 25
/// s.
const CHECK_BOUND: Duration = Duration::from_secs(30);

/// How long looking at a folder may take, which hangs when its disk is a network that is gone.
const FILES_BOUND: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    config: Config,

    /// Print one JSON object instead of lines
    #[arg(long)]
    json: bool,
}

/// A configuration to check, and the settings that are wrong. Those have their default in it.
#[derive(Debug)]
struct Subject {
    config: Config,
    errors: Vec<ConfigError>,
}

impl Subject {
    /// Adds the errors that parsing alone does not find. Blocks.
    fn new(config: Config, mut errors: Vec<ConfigError>) -> Subject {
        let is_bad = |name: &str| errors.iter().any(|error| error.variable == name);
        let mut more = Vec::new();
        match config.keys() {
            Ok(keys) if !is_bad("HEARTH_LISTEN") => more.extend(config.check_listen(&keys).err()),
            keys => more.extend(keys.err()),
        }
        if !is_bad("HEARTH_LISTEN") && !is_bad("HEARTH_ISOLATION") {
            more.extend(config.isolation.check_listen(config.listen).err());
        }
        more.extend(config.isolation.uids().err());
        errors.extend(more);
        Subject { config, errors }
    }

    /// Returns the error about a setting, if it cannot be used.
    fn error(&self, variable: &str) -> Option<&ConfigError> {
        self.errors.iter().find(|error| error.variable == variable)
    }

    /// Returns the isolation level, which is none if the setting cannot be used.
    fn level(&self) -> Level {
        match self.error("HEARTH_ISOLATION") {
            Some(_) => Level::None,
            None => self.config.isolation.level,
        }
    }
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
    // A look at a disk that does not answer must not keep us.
    runtime.shutdown_background();
    code
}

async fn examine(options: Options, errors: Vec<ConfigError>) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let Options { config, json } = options;
    let subject = look(move || Subject::new(config, errors))
        .await
        .context("cannot read the files that the settings name")?;
    let subject = Arc::new(subject);
    let beginning = Arc::clone(&subject);
    let trial = look(move || Trial::begin(&beginning))
        .await
        .context("the data folder does not answer")?;
    let trial = trial.context("neither in the data folder nor in /tmp a folder can be made")?;
    let mut report = Report::new(json);
    let stopped = tokio::select! {
        () = check_all(&subject, &trial, &mut report) => None,
        _ = interrupt.recv() => Some(130),
        _ = terminate.recv() => Some(143),
    };
    trial.end().await;
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

/// Runs what blocks, for a bounded time.
async fn look<T: Send + 'static>(
    blocking: impl FnOnce() -> T + Send + 'static,
) -> anyhow::Result<T> {
    let looking = timeout(FILES_BOUND, spawn_blocking(blocking));
    Ok(looking.await.context("no answer within 10 s")??)
}

/// All checks, in the order of the report: from what everything rests on to what is only nice.
async fn check_all(subject: &Arc<Subject>, trial: &Trial, report: &mut Report) {
    let is_root = geteuid().is_root();
    let started = ask::ask(
        &trial.enclosure.code,
        &trial.enclosure.folder.work(),
        Path::new("/bin/bash"),
        &["-c", ":"],
    )
    .await;
    report.add(limits::system(is_root, started.is_ok()));
    for finding in settings::settings(subject) {
        report.add(finding);
    }
    let is_served = check_data_folder(subject, trial, report).await;
    let own_sandbox = check_isolation(subject, trial, is_root, report).await;

    let browser = chromium::browser(subject, trial, is_root, own_sandbox.unwrap_or(!is_root));
    let too_slow = || Finding::failure("browser", "it was neither there nor refused within 30 s");
    let browser = timeout(CHECK_BOUND, browser)
        .await
        .unwrap_or_else(|_| too_slow());
    let sandbox = chromium::judge_sandbox(&browser, chromium::Namespaces::read(), is_root);
    report.add(browser);
    // Where it was tried out, it has been told.
    if own_sandbox.is_none() {
        report.add(sandbox);
    }
    report.add(limits::judge_shared_memory(
        hearth_browser::shared_memory_bytes(),
    ));
    report.add(fonts::fonts(trial, is_root).await);

    match subject.config.runtime_dir() {
        Ok(dir) => {
            for finding in programs::programs(&Runtime::at(&dir), trial).await {
                report.add(finding);
            }
        }
        Err(error) => report
            .add(Finding::failure("runtime", error.to_string()).mended_by(
                "set: HEARTH_RUNTIME_DIR to the folder runtime of a checkout in which `make setup` was run",
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
    if subject.error("HEARTH_LISTEN").is_none() {
        let listen = subject.config.listen;
        let finding = look(move || address::address(listen, is_served)).await;
        report.add(
            finding.unwrap_or_else(|error| {
                Finding::failure("address", format!("{listen}: {error:#}"))
            }),
        );
    }
}

/// Whether the layers hold between a session's code and the machine, tried out as the server does
/// at its start. Tells whether Chromium can make its own sandbox, if that was tried.
async fn check_isolation(
    subject: &Subject,
    trial: &Trial,
    is_root: bool,
    report: &mut Report,
) -> Option<bool> {
    if trial.isolation.level == Level::None {
        if let Some(error) = subject.error("HEARTH_ISOLATION") {
            report.add(
                Finding::failure("isolation", error.to_string())
                    .mended_by("set: HEARTH_ISOLATION=auto"),
            );
        } else {
            report.add(Finding::note(
                "isolation",
                "none: code may do whatever the server's user may",
            ));
        }
        report.add(check_private_tmp(trial, is_root).await);
        return None;
    }
    let runtime = Runtime::at(&subject.config.runtime_dir().ok()?);
    if !runtime.missing().is_empty() {
        // It is tried out with the runtime's python; what is missing has a finding of its own.
        return None;
    }
    match sandbox::probe(&trial.isolation, &runtime, &trial.enclosure).await {
        Ok(findings) => {
            findings
                .rows
                .iter()
                .map(Finding::of_layer)
                .for_each(|finding| report.add(finding));
            Some(findings.sandbox)
        }
        Err(error) => {
            report.add(Finding::failure(
                "isolation",
                format!("it cannot be tried out: {error}"),
            ));
            None
        }
    }
}

/// Whether a server uses the data folder.
async fn check_data_folder(subject: &Arc<Subject>, trial: &Trial, report: &mut Report) -> bool {
    let data_dir = match subject.error("HEARTH_DATA_DIR") {
        None => subject.config.data_dir.clone(),
        Some(error) => {
            report.add(
                Finding::failure("data folder", error.to_string()).mended_by(
                    "set: HEARTH_DATA_DIR=$HOME/.hearth, or another path of at most 45 bytes",
                ),
            );
            return false;
        }
    };
    let refused = trial
        .refused
        .as_ref()
        .map(|error| (error.kind(), error.to_string()));
    let kept_free_mb = subject.config.limits.min_free_disk_mb;
    let looking = look(move || {
        let refused = refused.map(|(kind, text)| std::io::Error::new(kind, text));
        (
            folders::data_folder(&data_dir, refused.as_ref(), kept_free_mb),
            folders::is_served(&data_dir),
        )
    });
    let (finding, is_served) = looking.await.unwrap_or_else(|error| {
        (
            Finding::failure("data folder", format!("{error:#}"))
                .mended_by("run: df   (and see which disk hangs)"),
            false,
        )
    });
    report.add(finding);
    if !is_served {
        store::store(&subject.config.data_dir)
            .await
            .into_iter()
            .for_each(|finding| report.add(finding));
    }
    is_served
}

/// Asks a program of a session whether `/tmp` is the session's.
async fn check_private_tmp(trial: &Trial, is_root: bool) -> Finding {
    const MARK: &str = ".hearth-doctor";
    let marked = std::fs::write(trial.enclosure.folder.tmp().join(MARK), "").is_ok();
    let test = format!("test -e /tmp/{MARK}");
    let asked = ask::ask(
        &trial.enclosure.code,
        &trial.enclosure.folder.work(),
        Path::new("/bin/bash"),
        &["-c", &test],
    )
    .await;
    let is_private = marked && asked.is_ok_and(|answer| answer.exit.shell_code() == 0);
    folders::judge_private_tmp(is_private, is_root)
}

/// What was found so far, and told: a line as soon as it is known, or all of it at the end.
struct Report {
    findings: Vec<Finding>,
    is_json: bool,
    is_coloured: bool,
}

impl Report {
    fn new(is_json: bool) -> Report {
        let is_coloured = std::io::stdout().is_terminal() && !wants_no_color();
        Report {
            findings: Vec::new(),
            is_json,
            is_coloured,
        }
    }

    fn add(&mut self, finding: Finding) {
        if !self.is_json {
            tell(&finding.render(self.is_coloured));
        }
        self.findings.push(finding);
    }

    fn close(&self) {
        if self.is_json {
            let findings: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
            tell(&format!(
                "{:#}\n",
                serde_json::json!({ "ok": is_healthy(&self.findings), "findings": findings })
            ));
        } else {
            tell(&format!("\n{}\n", summarise(&self.findings)));
        }
    }
}

/// Nobody may be there to read it.
fn tell(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

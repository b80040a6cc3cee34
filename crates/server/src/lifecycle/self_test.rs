//! The self-test, which starts programs as in a session and attacks the sandbox.

use std::io::ErrorKind;

use hearth_browser::VERIFIED_MAJORS;
use tokio_util::task::TaskTracker;

use super::banner::print;
use super::prepare::bad_data_dir;
use crate::config::{Config, ConfigError, IsolationLevel};
use crate::sandbox::{self, SandboxSpec, SessionSandbox, UidPool, sessions_dir};

/// The name of the self-test's directory, which is beside the directories of sessions.
const DIR: &str = "self-test";

/// The results of a self-test that passed.
#[derive(Debug)]
pub(super) struct SelfTest {
    /// The user agent of browsers.
    pub user_agent: String,
    /// True if Chromium can use its own sandbox.
    pub browser_sandbox: bool,
}

/// Reads the browser's version and checks the sandbox. Prints which protections hold. Returns an
/// error with the fix if a required protection does not hold.
pub(super) async fn run_self_test(
    config: &Config,
    spec: SandboxSpec<'_>,
    uid_pool: &UidPool,
) -> anyhow::Result<SelfTest> {
    let tasks = TaskTracker::new();
    let (isolation, runtime) = (spec.isolation, spec.runtime);
    let uid_lease = isolation.user_ids().and_then(|_| uid_pool.lease(|_| true));
    let sessions = sessions_dir(&config.data_dir);
    let sandbox =
        SessionSandbox::create(&sessions, DIR, spec, uid_lease, &tasks).map_err(|error| {
            let dir = sessions.display();
            bad_data_dir(format!("cannot create a directory in {dir}: {error}"))
        })?;
    let (version, findings) = tokio::join!(
        hearth_browser::probe(&sandbox.browser, &config.browser.path),
        sandbox::probe(isolation, runtime, &sandbox),
    );
    tasks.close();
    tasks.wait().await;
    sandbox.remove().await;
    let findings = findings.map_err(|error| match error.kind() {
        ErrorKind::StorageFull => bad_data_dir(format!(
            "the disk of {} is full: free some space, or choose another directory",
            config.data_dir.display()
        )),
        _ => bad_isolation(format!("cannot run the self-test: {error}")),
    })?;
    let level = isolation.level;
    if level == IsolationLevel::Default {
        print(&sandbox::render(&sandbox::headline(level), &findings.rows));
    }
    if !findings.passed() {
        return Err(bad_isolation(format!(
            "level {level} does not hold on this machine"
        ))
        .fixed_by("apply the fixes in the table, or set HEARTH_ISOLATION=none if you trust all code that you run")
        .into());
    }
    let version = version.map_err(|error| {
        let path = config.browser.path.display();
        ConfigError::new("HEARTH_BROWSER", format!("cannot use {path}: {error}"))
            .fixed_by("run `hearth doctor`, which names the cause")
    })?;
    if !version.is_verified() {
        tracing::warn!(
            browser = version.number(),
            verified = %format_args!("{} to {}", VERIFIED_MAJORS.start(), VERIFIED_MAJORS.end()),
            fix = version.verified_by(),
            "Chromium version not verified: CDP clients may behave differently"
        );
    }
    tracing::info!(browser = version.number(), isolation = %level, "self-test passed");
    let user_agent = config
        .user_agent
        .clone()
        .unwrap_or_else(|| version.default_user_agent());
    Ok(SelfTest {
        user_agent,
        browser_sandbox: findings.browser_sandbox,
    })
}

fn bad_isolation(reason: String) -> ConfigError {
    ConfigError::new("HEARTH_ISOLATION", reason)
}

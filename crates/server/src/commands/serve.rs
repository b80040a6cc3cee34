//! `hearth serve`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::exit::report;
use crate::config::{Config, deprecated_variables, unknown_variables};
use crate::lifecycle::{self, Role};
use crate::telemetry;

/// The time limit for threads to end after everything else has ended.
const THREADS_BOUND: Duration = Duration::from_secs(1);

pub(super) fn run(config: Config) -> ExitCode {
    match serve(config) {
        Ok(code) => ExitCode::from(code),
        Err(error) => report(&error),
    }
}

fn serve(config: Config) -> anyhow::Result<u8> {
    config.check()?;
    telemetry::init(&config.log)?;
    for (name, meant) in unknown_variables() {
        if let Some(setting) = meant {
            tracing::warn!(name, "unknown setting ignored; did you mean {setting}?");
        } else {
            tracing::warn!(
                name,
                "unknown setting ignored; `hearth serve --help` lists all settings"
            );
        }
    }
    for (new, old) in deprecated_variables() {
        tracing::warn!(name = old, "deprecated setting used; its new name is {new}");
    }
    let ready = match lifecycle::prepare(config)? {
        Role::Server(ready) => ready,
        Role::Finished(code) => return Ok(u8::try_from(code).unwrap_or(1)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let outcome = runtime.block_on(lifecycle::serve(*ready));
    // A thread can be blocked in a system call, on a disk that does not respond. It delays the exit
    // by at most this time.
    runtime.shutdown_timeout(THREADS_BOUND);
    outcome.map(|()| 0)
}

//! `hearth serve`.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use super::EXIT_CONFIG;
use crate::config::{Config, ConfigError, Settings};
use crate::lifecycle::{self, Role};
use crate::telemetry;

/// How long threads may take to end when everything else has.
const THREADS_BOUND: Duration = Duration::from_secs(1);

pub(super) fn run(settings: &Settings) -> ExitCode {
    match serve(settings) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "hearth: {error:#}");
            let config = error.downcast_ref::<ConfigError>().is_some();
            ExitCode::from(if config { EXIT_CONFIG } else { 1 })
        }
    }
}

fn serve(settings: &Settings) -> anyhow::Result<u8> {
    let config = Config::from_settings(settings)?;
    telemetry::init(&config.log)?;
    for name in &config.unknown_variables {
        tracing::warn!(
            name,
            "a variable is set that is no setting of Hearth; `hearth serve --help` lists them"
        );
    }
    let ready = match lifecycle::prepare(config)? {
        Role::Server(ready) => ready,
        Role::Over(code) => return Ok(u8::try_from(code).unwrap_or(1)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let outcome = runtime.block_on(lifecycle::serve(*ready));
    // A thread that is stuck in a call to the system, on a disk that does not answer, keeps the
    // process no longer than this.
    runtime.shutdown_timeout(THREADS_BOUND);
    outcome.map(|()| 0)
}

//! The log, on stderr. User code, page content, cookies and tokens appear only at level `trace`.

use std::io::IsTerminal;
use std::sync::OnceLock;

use anyhow::{Context, anyhow};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Error;

use crate::config::LogSettings;

/// A function that replaces the filter.
type ReplaceFilter = Box<dyn Fn(EnvFilter) -> Result<(), Error> + Send + Sync>;

/// Replaces the filter of the log. The process has one log, so it has one of these.
static REPLACE_FILTER: OnceLock<ReplaceFilter> = OnceLock::new();

pub(crate) fn init(config: &LogSettings) -> anyhow::Result<()> {
    let filter = parse_filter(config)?;
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    // A closed pipe or a full disk must not end the server.
    let builder = builder.log_internal_errors(false);
    let replace: ReplaceFilter;
    let started = if config.is_json() {
        // Every line is in one span, so a list of spans would repeat it.
        let builder = builder.json().with_span_list(false).with_filter_reloading();
        let handle = builder.reload_handle();
        replace = Box::new(move |filter| handle.reload(filter));
        builder.try_init()
    } else {
        let builder = builder.with_filter_reloading();
        let handle = builder.reload_handle();
        replace = Box::new(move |filter| handle.reload(filter));
        builder.try_init()
    };
    started.map_err(|error| anyhow!("cannot start logging: {error}"))?;
    // This function succeeds once.
    let _ = REPLACE_FILTER.set(replace);
    Ok(())
}

/// Replaces the filter of the running log.
pub(crate) fn set_filter(config: &LogSettings) -> anyhow::Result<()> {
    let filter = parse_filter(config)?;
    let replace = REPLACE_FILTER.get().context("logging has not started")?;
    replace(filter).context("cannot replace the filter of the log")
}

fn parse_filter(config: &LogSettings) -> anyhow::Result<EnvFilter> {
    EnvFilter::builder()
        .parse(&config.filter)
        .context("HEARTH_LOG")
}

//! What is logged, and how: the settings about it.

use clap::Args;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{ConfigError, or_default};

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(super) struct LogSettings {
    /// What is logged: error, warn, info, debug, trace, or a filter such as hearth_browser=debug.
    /// trace shows what pages and clients send, cookies too
    #[arg(
        long,
        env = "HEARTH_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    log: String,

    /// How logs are written: text or json
    #[arg(
        long,
        env = "HEARTH_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    log_format: String,
}

/// How to log.
#[derive(Debug)]
pub(crate) struct LogConfig {
    /// A filter in the language of `tracing-subscriber`.
    pub filter: String,
    pub json: bool,
}

pub(super) fn parse_log(settings: &LogSettings) -> Result<LogConfig, ConfigError> {
    let filter = or_default(&settings.log, "info").to_owned();
    if !is_log_filter(&filter) {
        return Err(ConfigError(format!(
            "HEARTH_LOG: {filter:?} is neither error, warn, info, debug, trace or off nor a filter such as info,hearth_browser=debug"
        )));
    }
    let json = match or_default(&settings.log_format, "text") {
        "text" => false,
        "json" => true,
        other => {
            return Err(ConfigError(format!(
                "HEARTH_LOG_FORMAT: {other:?} is neither text nor json"
            )));
        }
    };
    Ok(LogConfig { filter, json })
}

/// Stricter than the library, which takes every word for the name of a module, a misspelt level
/// too.
fn is_log_filter(filter: &str) -> bool {
    let is_level = |text: &str| text.parse::<LevelFilter>().is_ok() && !text.is_empty();
    let is_directive = |text: &str| match text.rsplit_once('=') {
        Some((target, level)) => !target.trim().is_empty() && is_level(level.trim()),
        None => is_level(text.trim()),
    };
    filter.split(',').all(is_directive) && EnvFilter::builder().parse(filter).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_filter_that_means_nothing_is_refused() {
        for filter in [
            "info",
            "OFF",
            "warn,hearth_browser=debug",
            "hearth_server::router=trace",
        ] {
            assert!(is_log_filter(filter), "{filter}");
        }
        for filter in [
            "inof",
            "",
            "hearth=",
            "=debug",
            "info,",
            "hearth_browser=loud",
        ] {
            assert!(!is_log_filter(filter), "{filter}");
        }
    }
}

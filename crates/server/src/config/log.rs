//! Settings of the log.

use clap::Args;
use clap::builder::PossibleValuesParser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Log")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct LogSettings {
    /// Level of the log (error, warn, info, debug, trace, off), or a filter such as
    /// info,hearth_browser=debug. trace shows the data that pages and clients send, including
    /// cookies
    #[arg(long = "log", env = "HEARTH_LOG", value_name = "FILTER", default_value = "info",
          value_parser = parse_filter)]
    pub filter: String,

    /// Format of log lines
    #[arg(long = "log-format", env = "HEARTH_LOG_FORMAT", value_name = "FORMAT",
          default_value = "text", value_parser = PossibleValuesParser::new(["text", "json"]))]
    format: String,
}

impl LogSettings {
    /// Returns true if each log line is a JSON object.
    pub fn is_json(&self) -> bool {
        self.format == "json"
    }
}

fn parse_filter(text: &str) -> Result<String, String> {
    let filter = text.trim();
    if is_log_filter(filter) {
        return Ok(filter.to_owned());
    }
    Err(format!(
        "{filter:?} is neither a level (error, warn, info, debug, trace, off) nor a filter such as info,hearth_browser=debug"
    ))
}

/// Returns true if every part of a filter names a level. `EnvFilter` is more lenient: it accepts
/// any word as a module name, including a misspelt level.
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
    fn a_log_filter_without_a_meaning_is_rejected() {
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

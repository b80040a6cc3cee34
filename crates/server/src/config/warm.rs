//! Settings of warm sessions.

use clap::Args;
use hearth_contract::Language;

use super::number::size;
use crate::capacity::memory_bytes;

/// The memory below which no session is prepared by default.
const MIN_BYTES: u64 = 2 << 30;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Warm sessions")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct WarmArgs {
    /// Sessions to prepare in advance, so that a client gets one in milliseconds. They do not count
    /// towards HEARTH_MAX_SESSIONS [default: 1, or 0 with less than 2 GiB of memory]
    #[arg(long, env = "HEARTH_WARM_SESSIONS", value_name = "NUMBER",
          value_parser = size(0..=100))]
    warm_sessions: Option<usize>,

    /// Languages whose kernels are ready in a warm session, separated by commas: `node`, `python`,
    /// both, or `none`. A cold session loads the first one while its browser starts
    #[arg(long, env = "HEARTH_WARM_LANGUAGES", value_name = "LANGUAGES",
          default_value = "node,python", value_parser = parse_languages)]
    warm_languages: Languages,
}

/// A list of languages that have kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Languages(Vec<Language>);

/// The warm sessions of a server.
#[derive(Clone, Debug)]
pub(crate) struct WarmSettings {
    pub sessions: usize,
    pub languages: Vec<Language>,
}

impl WarmArgs {
    /// Returns the settings, with defaults that depend on the machine.
    pub fn settings(&self) -> WarmSettings {
        let default = || usize::from(memory_bytes() >= MIN_BYTES);
        WarmSettings {
            sessions: self.warm_sessions.unwrap_or_else(default),
            languages: self.warm_languages.0.clone(),
        }
    }
}

fn parse_languages(text: &str) -> Result<Languages, String> {
    let mut languages = Vec::new();
    if text.trim() == "none" {
        return Ok(Languages(languages));
    }
    for name in text.split(',').map(str::trim) {
        let language = match name {
            "node" => Language::Node,
            "python" => Language::Python,
            _ => return Err(format!("{name:?} is not `node`, `python` or `none`")),
        };
        if !languages.contains(&language) {
            languages.push(language);
        }
    }
    Ok(Languages(languages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_a_list_without_repetitions() {
        let parse = |text| parse_languages(text).map(|Languages(all)| all);
        let both = vec![Language::Python, Language::Node];
        assert_eq!(parse("python, node,python"), Ok(both));
        assert_eq!(parse("none"), Ok(Vec::new()));
        assert!(parse("bash").is_err() && parse("").is_err());
    }
}

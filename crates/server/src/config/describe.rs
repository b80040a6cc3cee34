//! Descriptions of the settings for documentation, derived from their clap arguments.

use clap::builder::Str;
use clap::{Arg, Args, Command};

use super::changes::is_reloadable;
use super::number::bounds_of;
use super::settings::Config;
use super::text::default_in_words;

/// One setting, as docs/CONFIGURATION.md shows it.
#[derive(Debug)]
pub(crate) struct Described {
    pub heading: String,
    pub variable: String,
    /// The flag without its dashes.
    pub flag: String,
    /// A placeholder for the value.
    pub value: String,
    /// The default in Markdown, or `None` if the setting has no default.
    pub default: Option<String>,
    /// The bounds of a number or the possible values, or `None` if the help text describes them.
    pub accepted: Option<String>,
    /// The help text, which is a sentence without its full stop.
    pub help: String,
    /// True if a running server can change the setting.
    pub is_reloadable: bool,
}

/// Returns all settings in the order of `hearth serve --help`.
pub(crate) fn describe() -> Vec<Described> {
    Config::augment_args(Command::new("serve"))
        .get_arguments()
        .filter_map(describe_one)
        .collect()
}

fn describe_one(setting: &Arg) -> Option<Described> {
    let words = setting.get_value_names().unwrap_or_default();
    let default = setting
        .get_default_values()
        .first()
        .map(|value| format!("`{}`", value.to_string_lossy()));
    let help = setting.get_help()?.to_string();
    let (help, in_words) = default_in_words(&help);
    let variable = setting.get_env()?.to_str()?;
    Some(Described {
        heading: setting.get_help_heading()?.to_owned(),
        is_reloadable: is_reloadable(variable),
        variable: variable.to_owned(),
        flag: setting.get_long()?.to_owned(),
        value: words.iter().map(Str::as_str).collect::<Vec<_>>().join(" "),
        default: in_words.or(default),
        accepted: accepted(setting),
        help,
    })
}

fn accepted(setting: &Arg) -> Option<String> {
    let values = setting.get_possible_values();
    let names: Vec<_> = values
        .iter()
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    bounds_of(setting).or_else(|| (!names.is_empty()).then(|| names.join(", ")))
}

/// Adds the bounds of a number to the text of `--help`.
pub(super) fn with_bounds(argument: Arg) -> Arg {
    let (Some(bounds), Some(help)) = (bounds_of(&argument), argument.get_help()) else {
        return argument;
    };
    let help = format!("{help} [{bounds}]");
    argument.help(help).hide_possible_values(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_described() {
        let all = Config::augment_args(Command::new("serve"))
            .get_arguments()
            .count();
        let described = describe();
        assert_eq!(described.len(), all);
        assert!(
            described
                .iter()
                .all(|setting| setting.help.len() > 10 && !setting.help.ends_with('.'))
        );
        let listen = &described[0];
        assert_eq!(
            (&*listen.variable, listen.default.as_deref()),
            ("HEARTH_LISTEN", Some("`127.0.0.1:3010`"))
        );
    }

    #[test]
    fn numbers_are_described_with_their_bounds() {
        let described = describe();
        let tabs = described
            .iter()
            .find(|setting| setting.variable == "HEARTH_MAX_TABS");
        assert_eq!(
            tabs.and_then(|setting| setting.accepted.as_deref()),
            Some("1 to 10000")
        );
        let isolation = described
            .iter()
            .find(|setting| setting.variable == "HEARTH_ISOLATION");
        assert_eq!(
            isolation.and_then(|setting| setting.accepted.as_deref()),
            Some("`auto`, `default`, `none`")
        );
    }
}

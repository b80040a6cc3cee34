//! The settings in words, from what clap knows of them: for documents.

use clap::builder::Str;
use clap::{Arg, Args, Command};

use super::Settings;

/// One setting, for people.
#[derive(Debug)]
pub(crate) struct Described {
    /// What it is about.
    pub heading: String,
    pub variable: String,
    /// Without its dashes.
    pub flag: String,
    /// A word for its value.
    pub value: String,
    /// In Markdown. None: nothing.
    pub default: Option<String>,
    /// A sentence without its full stop.
    pub help: String,
}

/// All of them, in the order of `hearth serve --help`.
pub(crate) fn describe() -> Vec<Described> {
    Settings::augment_args(Command::new("serve"))
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
    // One that is no value is told in words.
    let (help, in_words) = match help.split_once(" [default: ") {
        Some((help, words)) => (help.to_owned(), words.strip_suffix(']').map(str::to_owned)),
        None => (help, None),
    };
    Some(Described {
        heading: setting.get_help_heading()?.to_owned(),
        variable: setting.get_env()?.to_str()?.to_owned(),
        flag: setting.get_long()?.to_owned(),
        value: words.iter().map(Str::as_str).collect::<Vec<_>>().join(" "),
        default: default.or(in_words),
        help,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_is_described() {
        let all = Settings::augment_args(Command::new("serve"))
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
}

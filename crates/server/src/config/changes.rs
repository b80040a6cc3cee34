//! The settings that a running server can change, and the differences between two configurations.

use clap::{Arg, Args, Command};

use super::settings::Config;
use super::text::default_in_words;

/// The settings that apply to a running server when it reloads. `Config::adopt` takes them over,
/// and `lifecycle/reload` applies them.
///
/// The files that `HEARTH_API_KEYS_FILE`, `HEARTH_OPERATOR_KEY_FILE`, `HEARTH_CA_FILE` and
/// `HEARTH_BLOCK_HOSTS_FILE` name are read again, but other paths need a restart: only the files
/// that the server named before it gave up its privileges can be read later.
const RELOADABLE: [&str; 17] = [
    "HEARTH_MAX_SESSIONS",
    "HEARTH_TEAM_MAX_SESSIONS",
    "HEARTH_API_KEYS",
    "HEARTH_OPERATOR_KEY",
    "HEARTH_KEY_MAX_REQUESTS_PER_MINUTE",
    "HEARTH_EGRESS_ALLOW",
    "HEARTH_SESSION_MEMORY_MB",
    "HEARTH_SESSION_PROCESSES",
    "HEARTH_SESSION_OPEN_FILES",
    "HEARTH_SESSION_DISK_MB",
    "HEARTH_SESSION_FILES",
    "HEARTH_MIN_FREE_DISK_MB",
    "HEARTH_MIN_FREE_MEMORY_MB",
    "HEARTH_MAX_DOWNLOAD_MB",
    "HEARTH_SESSION_BUFFER_MB",
    "HEARTH_MAX_TABS",
    "HEARTH_LOG",
];

/// Returns true if a reload applies the setting with this variable.
pub(super) fn is_reloadable(variable: &str) -> bool {
    RELOADABLE.contains(&variable)
}

/// A setting with another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub variable: String,
    /// The earlier value as text, unless it is secret.
    pub from: String,
    pub to: String,
    /// False if the change needs a restart.
    pub is_reloadable: bool,
}

/// Returns the settings with other values in `next`, in the order of `hearth serve --help`.
pub(crate) fn changes(current: &Config, next: &Config) -> Vec<Change> {
    let settings = Config::augment_args(Command::new("serve"));
    let mut changes = Vec::new();
    for setting in settings.get_arguments() {
        let id = setting.get_id().as_str();
        let values = [current, next].map(|config| config.values.get(id));
        let Some(variable) = setting.get_env().filter(|_| values[0] != values[1]) else {
            continue;
        };
        let variable = variable.to_string_lossy().into_owned();
        let is_secret = setting.is_hide_env_values_set();
        let text = |config: &Config| match config.values.get(id) {
            None => unset(config, setting),
            Some(_) if is_secret => "hidden".to_owned(),
            Some(value) => value.to_owned(),
        };
        let [from, to] = [current, next].map(text);
        changes.push(Change {
            is_reloadable: is_reloadable(&variable),
            variable,
            from,
            to,
        });
    }
    changes
}

/// Describes a setting without a value: what applies instead.
fn unset(config: &Config, setting: &Arg) -> String {
    let help = setting.get_help().map(ToString::to_string);
    let default = match setting.get_long() {
        Some("max-sessions") => Some(config.max_sessions().to_string()),
        _ => help.and_then(|help| default_in_words(&help).1),
    };
    default.map_or_else(
        || "unset".to_owned(),
        |default| format!("unset ({default})"),
    )
}

/// Takes over the values of all reloadable settings from `next`.
pub(crate) fn adopt_reloadable(config: &mut Config, next: &Config) {
    let settings = Config::augment_args(Command::new("serve"));
    for setting in settings.get_arguments() {
        if let Some(variable) = setting.get_env().and_then(|name| name.to_str())
            && is_reloadable(variable)
        {
            config.values.adopt(setting.get_id().as_str(), &next.values);
        }
    }
    config.adopt(next);
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn config(flags: &[&str]) -> Config {
        // The variables of the test's environment have no effect.
        let command = Config::augment_args(Command::new("serve"))
            .mut_args(|setting| setting.env(None::<&str>));
        let matches = command
            .try_get_matches_from([&["serve"], flags].concat())
            .expect("valid");
        Config::from_arg_matches(&matches).expect("valid")
    }

    #[test]
    fn a_change_has_both_values_unless_they_are_secret() {
        let before = config(&["--log=info", "--api-keys=one", "--max-tabs=5"]);
        let after = config(&["--log=debug", "--api-keys=two", "--viewport=800x600"]);
        let text = |change: &Change| {
            let Change {
                variable, from, to, ..
            } = change;
            format!("{variable} {from} {to} {}", change.is_reloadable)
        };
        let found: Vec<String> = changes(&before, &after).iter().map(text).collect();
        assert_eq!(
            found,
            [
                "HEARTH_VIEWPORT 1280x720 800x600 false",
                "HEARTH_API_KEYS hidden hidden true",
                "HEARTH_MAX_TABS 5 100 true",
                "HEARTH_LOG info debug true",
            ]
        );
        assert_eq!(changes(&before, &before.clone()), []);
    }

    #[test]
    fn only_reloadable_settings_are_taken_over() {
        let mut current = config(&["--buffer-mb=100"]);
        let next = config(&[
            "--max-sessions=3",
            "--team-max-sessions=2",
            "--egress-allow=127.0.0.1:80",
            "--egress=open",
            "--log=debug",
            "--max-tabs=7",
            "--buffer-mb=200",
            "--stop-grace-seconds=9",
        ]);
        adopt_reloadable(&mut current, &next);
        assert_eq!(current.max_sessions, Some(3));
        assert_eq!(current.team_max_sessions, Some(2));
        assert_eq!(current.egress_policy().allow.len(), 1);
        assert_eq!(current.egress_policy().mode, hearth_egress::Mode::Filtered);
        assert_eq!(current.log.filter, "debug");
        assert_eq!(
            (current.limits.max_tabs, current.limits.buffer_mb),
            (7, 100)
        );
        let left: Vec<String> = changes(&current, &next)
            .into_iter()
            .map(|change| change.variable)
            .collect();
        // They are reported again at the next reload.
        let expected = [
            "HEARTH_STOP_GRACE_SECONDS",
            "HEARTH_EGRESS",
            "HEARTH_BUFFER_MB",
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn every_reloadable_setting_exists() {
        let settings = Config::augment_args(Command::new("serve"));
        let known: Vec<&str> = settings
            .get_arguments()
            .filter_map(|setting| setting.get_env()?.to_str())
            .collect();
        for variable in RELOADABLE {
            assert!(known.contains(&variable), "{variable}");
        }
    }
}

//! The values of all settings as they were given, to compare those of two moments.

use std::collections::BTreeMap;
use std::fmt;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// The values of all settings, by the name of their field.
#[derive(Clone, Default)]
pub(super) struct SettingValues(BTreeMap<String, String>);

impl SettingValues {
    /// Returns the value of a setting, or its default.
    pub fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// Takes over the value of a setting.
    pub fn adopt(&mut self, id: &str, from: &SettingValues) {
        match from.0.get(id) {
            Some(value) => self.0.insert(id.to_owned(), value.clone()),
            None => self.0.remove(id),
        };
    }
}

/// Some values are secret.
impl fmt::Debug for SettingValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SettingValues { .. }")
    }
}

/// Adds no arguments.
impl Args for SettingValues {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for SettingValues {
    fn from_arg_matches(matches: &ArgMatches) -> Result<SettingValues, Error> {
        let mut values = BTreeMap::new();
        for id in matches.ids().map(Id::as_str) {
            if let Ok(Some(words)) = matches.try_get_raw(id) {
                let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
                values.insert(id.to_owned(), words.join(" "));
            }
        }
        Ok(SettingValues(values))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = SettingValues::from_arg_matches(matches)?;
        Ok(())
    }
}

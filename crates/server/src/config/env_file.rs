//! The file with settings, `HEARTH_ENV_FILE`. Its settings become flags of the command line,
//! because clap cannot read them from anywhere else.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::{Arg, Command};

/// The flag of the setting that names the file.
pub(super) const FLAG: &str = "--env-file";

/// The variable of the setting that names the file.
pub(super) const VARIABLE: &str = "HEARTH_ENV_FILE";

/// The fix for a file that cannot be used.
pub(super) const FIX: &str = "write lines of the form NAME=value into a file that the server can read, and set HEARTH_ENV_FILE to its path";

/// The settings of the file, by variable.
#[derive(Clone, Default)]
pub(crate) struct EnvFile(BTreeMap<String, String>);

impl EnvFile {
    /// Parses `NAME=value` lines, as Docker's `--env-file` does. Empty lines and those that start
    /// with `#` have no effect. Quotes around a value are removed. Errors never show a value, which
    /// can be a secret.
    pub fn parse(text: &str) -> Result<EnvFile, String> {
        let mut settings = BTreeMap::new();
        let text = text.trim_start_matches('\u{feff}');
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let setting = line.split_once('=').filter(|(name, _)| is_name(name));
            let Some((name, value)) = setting else {
                return Err(format!("line {} is not NAME=value", index + 1));
            };
            settings.insert(name.to_owned(), unquoted(value.trim()).to_owned());
        }
        Ok(EnvFile(settings))
    }

    /// Returns the names of all settings.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns a setting, unless it is empty.
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    /// Returns the flags for the settings of the file that the command has. Settings for which
    /// `is_set` returns true and those with a flag in `arguments` have none, but are in the list of
    /// overridden variables.
    ///
    /// `names_of` returns the variables of a setting.
    pub(super) fn flags(
        &self,
        command: &Command,
        arguments: &[OsString],
        names_of: impl Fn(&Arg) -> Vec<String>,
        is_set: impl Fn(&str) -> bool,
    ) -> Flags {
        let mut flags = Flags::default();
        for setting in command.get_arguments() {
            let names = names_of(setting);
            let value = names.iter().find_map(|name| self.get(name));
            let flag = setting.get_long().map(|flag| format!("--{flag}"));
            let Some((flag, value)) = flag.zip(value) else {
                continue;
            };
            if find_flag(&flag, arguments).is_some() || names.iter().any(|name| is_set(name)) {
                flags.overridden.extend(names.into_iter().next());
            } else {
                flags.added.push(format!("{flag}={value}").into());
            }
        }
        flags
    }
}

/// The settings of a file as flags.
#[derive(Default)]
pub(super) struct Flags {
    pub added: Vec<OsString>,
    /// The variables of settings that a variable or another flag overrides.
    pub overridden: Vec<String>,
}

/// Returns the position of a flag in the arguments. They may contain its value.
fn find_flag(flag: &str, arguments: &[OsString]) -> Option<usize> {
    let with_value = format!("{flag}=");
    arguments.iter().position(|word| {
        word.to_str()
            .is_some_and(|word| word == flag || word.starts_with(&with_value))
    })
}

/// Returns the value of a flag in the arguments.
pub(super) fn value_of_flag(flag: &str, arguments: &[OsString]) -> Option<OsString> {
    let at = find_flag(flag, arguments)?;
    match arguments[at].to_str()?.split_once('=') {
        Some((_, value)) => Some(value.into()),
        None => arguments.get(at + 1).cloned(),
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Removes one pair of quotes.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let setting = |id: &'static str, name: &'static str| Arg::new(id).long(id).env(name);
        Command::new("serve").args([
            setting("log", "X_LOG"),
            setting("listen", "X_LISTEN"),
            setting("max-tabs", "X_MAX_TABS"),
        ])
    }

    fn names_of(setting: &Arg) -> Vec<String> {
        let name = setting.get_env().and_then(|name| name.to_str());
        name.map(str::to_owned).into_iter().collect()
    }

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn lines_are_settings_and_comments_are_not() {
        let file = EnvFile::parse("\u{feff}# A=1\r\nB=2\r\n").expect("valid");
        assert_eq!((file.get("A"), file.get("B")), (None, Some("2")));
        let file = EnvFile::parse("A=1\n\n  B= two words \nC=\"a=b\"\nD='x'\nE=\nA=2\nF=a # b\n");
        let file = file.expect("valid");
        assert_eq!(
            file.names().collect::<Vec<_>>(),
            ["A", "B", "C", "D", "E", "F"]
        );
        for (name, value) in [
            ("A", Some("2")),
            ("B", Some("two words")),
            ("C", Some("a=b")),
            ("D", Some("x")),
            ("E", None),
            ("F", Some("a # b")),
            ("G", None),
        ] {
            assert_eq!(file.get(name), value, "{name}");
        }
    }

    #[test]
    fn a_malformed_line_is_named_without_its_content() {
        for text in ["\nsecret", "\nexport A=secret", "\n=secret", "\nA B=secret"] {
            let error = EnvFile::parse(text).err();
            assert_eq!(error.as_deref(), Some("line 2 is not NAME=value"));
        }
    }

    #[test]
    fn variables_and_flags_take_precedence_over_the_file() {
        let file = EnvFile::parse("X_LOG=debug\nX_LISTEN=a\nX_MAX_TABS=5\nX_OTHER=1");
        let file = file.expect("valid");
        let arguments = words(&["hearth", "serve", "--max-tabs", "7"]);
        let flags = file.flags(&command(), &arguments, names_of, |name| name == "X_LISTEN");
        assert_eq!(flags.added, words(&["--log=debug"]));
        assert_eq!(flags.overridden, ["X_LISTEN", "X_MAX_TABS"]);
        assert_eq!(
            value_of_flag("--max-tabs", &arguments),
            Some(OsString::from("7"))
        );
        let joined = words(&["hearth", "serve", "--log=a=b"]);
        assert_eq!(value_of_flag("--log", &joined), Some(OsString::from("a=b")));
        assert_eq!(value_of_flag("--listen", &joined), None);
    }
}

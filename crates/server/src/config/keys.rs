//! Settings of API keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::error::ConfigError;
use super::number::number;
use super::text::parse_trimmed;
use crate::api_keys::ApiKeys;

/// A function that opens a key file.
pub(crate) type OpenFile<'a> = &'a dyn Fn(&Path) -> io::Result<File>;

/// The maximum size of a key file, which is enough for more than ten thousand keys.
const MAX_FILE_BYTES: u64 = 1 << 20;

const KEYS_FIX: &str =
    "list each key once, as `key` or `name:key`, separated by commas (in a file also by lines)";

const OPERATOR_FIX: &str = "set HEARTH_API_KEYS, and one other key as the operator's key";

#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Keys")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct KeySettings {
    /// API keys, as a comma-separated list of `key` or `name:key`. Keys with the same name are one
    /// team and share its sessions. Without keys every caller is allowed, so the server listens on
    /// loopback only and answers only requests with a loopback `Host` header
    #[arg(
        long,
        env = "HEARTH_API_KEYS",
        value_name = "KEYS",
        hide_env_values = true
    )]
    api_keys: Option<String>,

    /// File with the API keys, on one line or several, such as a secret that is mounted into a
    /// container. Excludes HEARTH_API_KEYS
    #[arg(long, env = "HEARTH_API_KEYS_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    api_keys_file: Option<PathBuf>,

    /// Key of the operator: it opens the page at `/operator` with the sessions of all teams, and
    /// `/metrics`; it does not open the API. Without it any API key opens `/metrics`, and the page
    /// shows each key the sessions of its team
    #[arg(
        long,
        env = "HEARTH_OPERATOR_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    operator_key: Option<String>,

    /// File with the operator's key. Excludes HEARTH_OPERATOR_KEY
    #[arg(long, env = "HEARTH_OPERATOR_KEY_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    operator_key_file: Option<PathBuf>,

    /// Requests to the API with one key in a minute. A burst may use all at once. More get a 429.
    /// Probes, metrics, the operator page, the lists of the workbench, CDP and the live view do not
    /// count [default: no limit]
    #[arg(long, env = "HEARTH_KEY_MAX_REQUESTS_PER_MINUTE", value_name = "NUMBER",
          value_parser = number(1..=1_000_000))]
    key_max_requests_per_minute: Option<u64>,
}

impl std::fmt::Debug for KeySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeySettings { .. }")
    }
}

impl KeySettings {
    /// Creates the settings that a client on the machine of the server has.
    pub(super) fn of_clients(api_keys: Option<String>, api_keys_file: Option<PathBuf>) -> Self {
        KeySettings {
            api_keys,
            api_keys_file,
            ..KeySettings::default()
        }
    }

    /// Reads and returns the first API key, for a client on the machine of the server.
    pub(super) fn first(&self, open: OpenFile<'_>) -> Result<Option<String>, ConfigError> {
        if let Some(keys) = trimmed(self.api_keys.as_ref()) {
            return Ok(ApiKeys::first_in(keys));
        }
        let Some(path) = &self.api_keys_file else {
            return Ok(None);
        };
        let bad = |error: String| ConfigError::new("HEARTH_API_KEYS_FILE", error);
        let text = read_file(open, path, bad)?;
        Ok(ApiKeys::first_in(
            &text.lines().collect::<Vec<_>>().join(","),
        ))
    }

    /// Returns the paths of the key files.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.api_keys_file.iter().chain(&self.operator_key_file)
    }

    /// Takes over all settings but the paths of files.
    pub fn adopt(&mut self, next: &KeySettings) {
        self.api_keys.clone_from(&next.api_keys);
        self.operator_key.clone_from(&next.operator_key);
        self.key_max_requests_per_minute = next.key_max_requests_per_minute;
    }

    /// Reads the files and returns all keys.
    pub fn read(&self, open: OpenFile<'_>) -> Result<ApiKeys, ConfigError> {
        let keys = self.read_all_keys(open)?;
        match self.key_max_requests_per_minute {
            None => Ok(keys),
            Some(max) => keys.with_max_rate(max).map_err(|error| {
                ConfigError::new("HEARTH_KEY_MAX_REQUESTS_PER_MINUTE", error)
                    .fixed_by("set HEARTH_API_KEYS as well")
            }),
        }
    }

    fn read_all_keys(&self, open: OpenFile<'_>) -> Result<ApiKeys, ConfigError> {
        let keys = self.read_api_keys(open)?;
        match (trimmed(self.operator_key.as_ref()), &self.operator_key_file) {
            (None, None) => Ok(keys),
            (Some(key), None) => keys.with_operator(key).map_err(|error| {
                ConfigError::new("HEARTH_OPERATOR_KEY", error).fixed_by(OPERATOR_FIX)
            }),
            (None, Some(path)) => {
                let bad = |error: String| {
                    ConfigError::new("HEARTH_OPERATOR_KEY_FILE", error).fixed_by(OPERATOR_FIX)
                };
                let text = read_file(open, path, bad)?;
                match text.trim() {
                    "" => Err(bad(format!("{} contains no key", path.display()))),
                    key => keys
                        .with_operator(key)
                        .map_err(|error| bad(format!("{}: {error}", path.display()))),
                }
            }
            (Some(_), Some(_)) => Err(ConfigError::new(
                "HEARTH_OPERATOR_KEY_FILE",
                "HEARTH_OPERATOR_KEY is set as well",
            )
            .fixed_by("keep HEARTH_OPERATOR_KEY_FILE, and remove HEARTH_OPERATOR_KEY")),
        }
    }

    fn read_api_keys(&self, open: OpenFile<'_>) -> Result<ApiKeys, ConfigError> {
        let keys = trimmed(self.api_keys.as_ref());
        let Some(path) = &self.api_keys_file else {
            return ApiKeys::parse(keys.unwrap_or_default())
                .map_err(|error| ConfigError::new("HEARTH_API_KEYS", error).fixed_by(KEYS_FIX));
        };
        let bad =
            |error: String| ConfigError::new("HEARTH_API_KEYS_FILE", error).fixed_by(KEYS_FIX);
        if keys.is_some() {
            return Err(bad("HEARTH_API_KEYS is set as well".to_owned())
                .fixed_by("keep HEARTH_API_KEYS_FILE, and remove HEARTH_API_KEYS"));
        }
        let text = read_file(open, path, bad)?;
        match ApiKeys::parse(&text.lines().collect::<Vec<_>>().join(",")) {
            // A file that is empty by mistake must not disable authentication.
            Ok(keys) if keys.is_empty() => Err(bad(format!("{} contains no key", path.display()))),
            parsed => parsed.map_err(|error| bad(format!("{}: {error}", path.display()))),
        }
    }
}

pub(super) fn trimmed(value: Option<&String>) -> Option<&str> {
    value
        .map(|text| text.trim())
        .filter(|text| !text.is_empty())
}

/// Reads a file with keys. Turns an error into that of its setting.
pub(super) fn read_file(
    open: OpenFile<'_>,
    path: &Path,
    bad: impl Fn(String) -> ConfigError,
) -> Result<String, ConfigError> {
    let mut text = String::new();
    let read = open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    let path = path.display();
    read.map(|_| text).map_err(|error| {
        bad(format!("cannot read {path}: {error}")).fixed_by(format!(
            "run `ls -l {path}`: the file must exist, and the user who starts the server must be able to read it"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_keys::Principal;
    use crate::team::Team;

    impl KeySettings {
        fn read_now(&self) -> Result<ApiKeys, ConfigError> {
            self.read(&|path| File::open(path))
        }
    }

    #[test]
    fn an_operator_key_is_given_once_and_is_not_an_api_key() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "boss\n").expect("written");
        let file = Some(path);
        let some = |text: &str| Some(text.to_owned());
        let keys = KeySettings {
            api_keys: some("one"),
            ..KeySettings::default()
        };
        assert!(
            KeySettings {
                operator_key_file: file.clone(),
                ..keys.clone()
            }
            .read_now()
            .is_ok()
        );
        let denied = [
            KeySettings {
                operator_key: some("one"),
                ..keys.clone()
            },
            KeySettings {
                operator_key: some("boss"),
                ..KeySettings::default()
            },
            KeySettings {
                operator_key: some("boss"),
                operator_key_file: file,
                ..keys.clone()
            },
            KeySettings {
                operator_key_file: Some("/dev/null".into()),
                ..keys.clone()
            },
            KeySettings {
                operator_key_file: Some("/nowhere".into()),
                ..keys
            },
        ];
        for settings in denied {
            let error = settings.read_now().expect_err("denied").to_string();
            assert!(error.starts_with("HEARTH_OPERATOR_KEY"), "{error}");
        }
    }

    #[test]
    fn a_maximum_per_key_requires_keys() {
        let limited = |api_keys: Option<&str>| KeySettings {
            api_keys: api_keys.map(str::to_owned),
            key_max_requests_per_minute: Some(1),
            ..KeySettings::default()
        };
        assert!(limited(Some("one")).read_now().is_ok());
        let error = limited(None).read_now().expect_err("no keys").to_string();
        assert!(
            error.starts_with("HEARTH_KEY_MAX_REQUESTS_PER_MINUTE: "),
            "{error}"
        );
    }

    fn read(text: &str, keys: Option<&str>) -> Result<bool, String> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("keys");
        std::fs::write(&path, text).expect("written");
        let api_keys_file = Some(path);
        let parsed = KeySettings {
            api_keys: keys.map(str::to_owned),
            api_keys_file,
            ..KeySettings::default()
        }
        .read_now();
        parsed
            .map(|keys| !keys.is_empty())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_holds_keys_on_one_line_or_several() {
        for text in ["one", "one\n", "one,two:2\r\n", "a:1\n\nb:2\n"] {
            assert_eq!(read(text, None), Ok(true), "{text:?}");
        }
    }

    #[test]
    fn byte_order_marks_are_no_part_of_names_and_keys() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let [keys, operator] = ["keys", "operator"].map(|name| dir.path().join(name));
        // Joined files have one in the middle.
        std::fs::write(&keys, "\u{feff}shop:one\n\u{feff}shop:two\n").expect("written");
        std::fs::write(&operator, "\u{feff}boss\r\n").expect("written");
        let files = KeySettings {
            api_keys_file: Some(keys),
            operator_key_file: Some(operator),
            ..KeySettings::default()
        };
        let variables = KeySettings {
            api_keys: Some("\u{feff}shop:one,shop:two".to_owned()),
            operator_key: Some("\u{feff}boss".to_owned()),
            ..KeySettings::default()
        };
        for settings in [files, variables] {
            let keys = settings.read_now().expect("keys");
            assert_eq!(keys.teams(), ["name:shop", "name:shop"].map(Team::from));
            assert_eq!(keys.principal_of("boss"), Some(Principal::Operator));
        }
        assert!(read("\u{feff}\n", None).is_err());
    }

    #[test]
    fn a_file_without_keys_lets_nobody_in() {
        for text in ["", "\n", " , \n"] {
            let error = read(text, None).expect_err("denied");
            assert!(
                error.starts_with("HEARTH_API_KEYS_FILE: ") && error.contains("no key"),
                "{error}"
            );
        }
        let error = read("key", Some("other")).expect_err("denied");
        assert!(error.contains("HEARTH_API_KEYS is set as well"), "{error}");
        let missing = KeySettings {
            api_keys_file: Some("/nowhere/keys".into()),
            ..KeySettings::default()
        };
        let error = missing.read_now().expect_err("denied").to_string();
        assert!(
            error.starts_with("HEARTH_API_KEYS_FILE: cannot read /nowhere/keys"),
            "{error}"
        );
    }
}

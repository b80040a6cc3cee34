//! Who may call: the settings about keys.

use std::fs::File;
use std::io::Read;

use clap::Args;

use super::{ConfigError, bad, given};
use crate::http::auth::Keys;

/// The settings as they come from the command line and the environment.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Keys")]
pub(super) struct KeySettings {
    /// Keys of callers, comma-separated `key` or `name:key`; keys of one name are one team and
    /// share their sessions. Without keys everybody is let in, so only loopback is listened on and
    /// only loopback `Host` headers are answered
    #[arg(
        long,
        env = "HEARTH_API_KEYS",
        value_name = "KEYS",
        hide_env_values = true
    )]
    api_keys: Option<String>,

    /// The same in a file, on one line or several, such as a secret that is mounted into a
    /// container; only one of the two can be set
    #[arg(long, env = "HEARTH_API_KEYS_FILE", value_name = "PATH")]
    api_keys_file: Option<String>,

    /// Key of whoever runs the server: with it the page at `/` shows the sessions of every team,
    /// and `/metrics` is for it alone. It opens nothing of the API. None: `/metrics` takes any key,
    /// and the page shows each key its own team
    #[arg(
        long,
        env = "HEARTH_OPERATOR_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    operator_key: Option<String>,

    /// The same in a file
    #[arg(long, env = "HEARTH_OPERATOR_KEY_FILE", value_name = "PATH")]
    operator_key_file: Option<String>,
}

/// More than ten thousand keys take.
const MAX_FILE_BYTES: u64 = 1 << 20;

pub(super) fn parse_keys(settings: &KeySettings) -> Result<Keys, ConfigError> {
    let keys = parse_api_keys(settings)?;
    match (
        given(settings.operator_key.as_ref()),
        given(settings.operator_key_file.as_ref()),
    ) {
        (None, None) => Ok(keys),
        (Some(key), None) => keys.with_operator(key).map_err(bad("HEARTH_OPERATOR_KEY")),
        (None, Some(path)) => {
            let bad = bad("HEARTH_OPERATOR_KEY_FILE");
            let text = read_file(path).map_err(&bad)?;
            match text.trim() {
                "" => Err(bad(format!("there is no key in {path}"))),
                key => keys
                    .with_operator(key)
                    .map_err(|error| bad(format!("{path}: {error}"))),
            }
        }
        (Some(_), Some(_)) => Err(bad("HEARTH_OPERATOR_KEY_FILE")(
            "HEARTH_OPERATOR_KEY is set as well; one of the two says who runs the server"
                .to_owned(),
        )),
    }
}

fn read_file(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    read.map(|_| text)
        .map_err(|error| format!("{path} cannot be read: {error}"))
}

fn parse_api_keys(settings: &KeySettings) -> Result<Keys, ConfigError> {
    let keys = given(settings.api_keys.as_ref());
    let Some(path) = given(settings.api_keys_file.as_ref()) else {
        return Keys::parse(keys.unwrap_or_default()).map_err(bad("HEARTH_API_KEYS"));
    };
    let bad = bad("HEARTH_API_KEYS_FILE");
    if keys.is_some() {
        return Err(bad(
            "HEARTH_API_KEYS is set as well; one of the two says who may call".to_owned(),
        ));
    }
    let text = read_file(path).map_err(&bad)?;
    match Keys::parse(&text.lines().collect::<Vec<_>>().join(",")) {
        // A file that is empty by mistake must not let everybody in.
        Ok(keys) if keys.is_empty() => Err(bad(format!("there is no key in {path}"))),
        parsed => parsed.map_err(|error| bad(format!("{path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: KeySettings = KeySettings {
        api_keys: None,
        api_keys_file: None,
        operator_key: None,
        operator_key_file: None,
    };

    #[test]
    fn an_operators_key_is_given_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        std::fs::write(&path, "boss\n").expect("written");
        let file = path.to_str().map(str::to_owned);
        let some = |text: &str| Some(text.to_owned());
        let keys = KeySettings {
            api_keys: some("one"),
            ..NOTHING
        };
        assert!(
            parse_keys(&KeySettings {
                operator_key_file: file.clone(),
                ..keys.clone()
            })
            .is_ok()
        );
        let refused = [
            KeySettings {
                operator_key: some("one"),
                ..keys.clone()
            },
            KeySettings {
                operator_key: some("boss"),
                ..NOTHING
            },
            KeySettings {
                operator_key: some("boss"),
                operator_key_file: file,
                ..keys.clone()
            },
            KeySettings {
                operator_key_file: some("/dev/null"),
                ..keys.clone()
            },
            KeySettings {
                operator_key_file: some("/nowhere"),
                ..keys
            },
        ];
        for settings in refused {
            let error = parse_keys(&settings).expect_err("refused").to_string();
            assert!(error.starts_with("HEARTH_OPERATOR_KEY"), "{error}");
        }
    }

    fn judged(text: &str, keys: Option<&str>) -> Result<bool, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        std::fs::write(&path, text).expect("written");
        let api_keys_file = path.to_str().map(str::to_owned);
        let parsed = parse_keys(&KeySettings {
            api_keys: keys.map(str::to_owned),
            api_keys_file,
            ..NOTHING
        });
        parsed
            .map(|keys| !keys.is_empty())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_holds_keys_on_one_line_or_several() {
        for text in ["one", "one\n", "one,two:2\r\n", "a:1\n\nb:2\n"] {
            assert_eq!(judged(text, None), Ok(true), "{text:?}");
        }
    }

    #[test]
    fn a_file_without_keys_lets_nobody_in() {
        for text in ["", "\n", " , \n"] {
            let error = judged(text, None).expect_err("refused");
            assert!(
                error.starts_with("HEARTH_API_KEYS_FILE: ") && error.contains("no key"),
                "{error}"
            );
        }
        let error = judged("key", Some("other")).expect_err("refused");
        assert!(error.contains("HEARTH_API_KEYS is set as well"), "{error}");
        let missing = KeySettings {
            api_keys_file: Some("/nowhere/keys".to_owned()),
            ..NOTHING
        };
        let error = parse_keys(&missing).expect_err("refused").to_string();
        assert!(
            error.starts_with("HEARTH_API_KEYS_FILE: /nowhere/keys cannot be read"),
            "{error}"
        );
    }
}

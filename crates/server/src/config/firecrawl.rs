//! Settings of the Firecrawl server for which this one is the front.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::error::ConfigError;
use super::keys::{OpenFile, read_file, trimmed};
use super::text::parse_trimmed;
use crate::outgoing::RemoteServer;

const URL: &str = "HEARTH_FIRECRAWL_URL";
const KEY: &str = "HEARTH_FIRECRAWL_KEY";
const KEY_FILE: &str = "HEARTH_FIRECRAWL_KEY_FILE";

/// The server that answers `POST /v2/scrape`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScrapeServer {
    /// This one.
    Own,
    /// The other Firecrawl server.
    Firecrawl,
    /// This one if the default setup of the other one rejects the request, otherwise the other one.
    Auto,
}

impl FromStr for ScrapeServer {
    type Err = String;

    fn from_str(text: &str) -> Result<ScrapeServer, String> {
        match text {
            "self" => Ok(ScrapeServer::Own),
            "firecrawl" => Ok(ScrapeServer::Firecrawl),
            "auto" => Ok(ScrapeServer::Auto),
            _ => Err(format!("{text:?} is not self, firecrawl or auto")),
        }
    }
}

#[derive(Clone, Args)]
#[command(next_help_heading = "Firecrawl")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct FirecrawlSettings {
    /// Origin of a self-hosted Firecrawl, such as http://api:3002 or https://firecrawl.example.
    /// Requests with paths that this server does not have are sent to it, so that clients need one
    /// address. https trusts the authorities of the machine and of HEARTH_CA_FILE
    #[arg(long, env = "HEARTH_FIRECRAWL_URL", value_name = "URL",
          value_parser = parse_trimmed::<RemoteServer>)]
    firecrawl_url: Option<RemoteServer>,

    /// Key for that Firecrawl. Replaces the keys of clients, which are never sent to it [default:
    /// none, as Firecrawl's default setup needs]
    #[arg(
        long,
        env = "HEARTH_FIRECRAWL_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    firecrawl_key: Option<String>,

    /// File with the key for that Firecrawl. Excludes HEARTH_FIRECRAWL_KEY
    #[arg(long, env = "HEARTH_FIRECRAWL_KEY_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    firecrawl_key_file: Option<PathBuf>,

    /// Server that answers POST /v2/scrape: self (this one), firecrawl, or auto: with
    /// HEARTH_FIRECRAWL_URL this one serves requests with actions, a profile or a screenshot, and
    /// Firecrawl all others; without it this one serves all
    #[arg(long = "scrape", env = "HEARTH_SCRAPE", value_name = "SERVER", default_value = "auto",
          value_parser = scrape_servers())]
    scrape: ScrapeServer,
}

impl std::fmt::Debug for FirecrawlSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirecrawlSettings { .. }")
    }
}

/// A Firecrawl server, and how to use it.
#[derive(Clone)]
pub(crate) struct FirecrawlSpec {
    pub server: RemoteServer,
    pub key: Option<String>,
    pub scrape: ScrapeServer,
}

impl std::fmt::Debug for FirecrawlSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirecrawlSpec")
            .field("server", &self.server)
            .field("scrape", &self.scrape)
            .finish_non_exhaustive()
    }
}

impl FirecrawlSettings {
    /// Returns the Firecrawl server, if there is one. Reads the file with its key with `open`.
    pub fn read(&self, open: OpenFile<'_>) -> Result<Option<FirecrawlSpec>, ConfigError> {
        let key = self.read_key(open)?;
        let without_server = |variable| {
            Err(
                ConfigError::new(variable, format!("{URL} is not set")).fixed_by(format!(
                    "set {URL}=http://127.0.0.1:3002, or remove {variable}"
                )),
            )
        };
        match &self.firecrawl_url {
            Some(server) => Ok(Some(FirecrawlSpec {
                server: server.clone(),
                key,
                scrape: self.scrape,
            })),
            None if self.firecrawl_key_file.is_some() => without_server(KEY_FILE),
            None if key.is_some() => without_server(KEY),
            None if self.scrape == ScrapeServer::Firecrawl => without_server("HEARTH_SCRAPE"),
            None => Ok(None),
        }
    }

    fn read_key(&self, open: OpenFile<'_>) -> Result<Option<String>, ConfigError> {
        let given = trimmed(self.firecrawl_key.as_ref());
        let (variable, key) = match (given, &self.firecrawl_key_file) {
            (None, None) => return Ok(None),
            (Some(key), None) => (KEY, key.to_owned()),
            (None, Some(path)) => {
                let text = read_file(open, path, |error| ConfigError::new(KEY_FILE, error))?;
                let key = text.trim().trim_start_matches('\u{feff}');
                if key.is_empty() {
                    let reason = format!("{} contains no key", path.display());
                    return Err(ConfigError::new(KEY_FILE, reason)
                        .fixed_by(format!("write the key, or remove {KEY_FILE}")));
                }
                (KEY_FILE, key.to_owned())
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::new(KEY_FILE, format!("{KEY} is set as well"))
                    .fixed_by(format!("keep {KEY_FILE}, and remove {KEY}")));
            }
        };
        if key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Some(key))
        } else {
            Err(
                ConfigError::new(variable, "the key has blanks or non-ASCII characters")
                    .fixed_by("give one key, without a name"),
            )
        }
    }
}

fn scrape_servers() -> impl TypedValueParser<Value = ScrapeServer> {
    PossibleValuesParser::new(["self", "firecrawl", "auto"])
        .map(|name| name.parse().unwrap_or(ScrapeServer::Auto))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn settings(url: Option<&str>, key: Option<&str>) -> FirecrawlSettings {
        FirecrawlSettings {
            firecrawl_url: url.map(|url| url.parse().expect("an origin")),
            firecrawl_key: key.map(str::to_owned),
            firecrawl_key_file: None,
            scrape: ScrapeServer::Auto,
        }
    }

    fn read(settings: &FirecrawlSettings) -> Result<Option<FirecrawlSpec>, String> {
        settings
            .read(&|path| File::open(path))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_in_a_variable_or_in_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, "\u{feff}fc-secret\r\n").expect("written");
        let in_file = FirecrawlSettings {
            firecrawl_key_file: Some(path),
            ..settings(Some("http://api:3002"), None)
        };
        let in_variable = settings(Some("http://api:3002"), Some(" fc-secret "));
        for settings in [&in_file, &in_variable] {
            let spec = read(settings).expect("valid").expect("a server");
            assert_eq!(spec.key.as_deref(), Some("fc-secret"));
            assert!(!format!("{spec:?}{settings:?}").contains("secret"));
        }
        let both = FirecrawlSettings {
            firecrawl_key: Some("other".to_owned()),
            ..in_file
        };
        let error = read(&both).expect_err("rejected");
        assert!(error.starts_with("HEARTH_FIRECRAWL_KEY_FILE: "), "{error}");
    }

    #[test]
    fn settings_that_have_no_effect_without_a_server_are_rejected() {
        assert!(read(&settings(None, None)).expect("valid").is_none());
        assert!(read(&settings(None, Some(" "))).expect("valid").is_none());
        let key = settings(None, Some("key"));
        let file = FirecrawlSettings {
            firecrawl_key_file: Some("/etc/hostname".into()),
            ..settings(None, None)
        };
        let scrape = FirecrawlSettings {
            scrape: ScrapeServer::Firecrawl,
            ..settings(None, None)
        };
        for (settings, variable) in [(key, KEY), (file, KEY_FILE), (scrape, "HEARTH_SCRAPE")] {
            let error = read(&settings).expect_err("rejected");
            assert_eq!(error, format!("{variable}: {URL} is not set"));
        }
    }

    #[test]
    fn a_key_is_one_word() {
        let settings = settings(Some("http://api"), Some("one two"));
        assert!(read(&settings).is_err());
    }
}

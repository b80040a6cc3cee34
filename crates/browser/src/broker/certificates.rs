//! The certificate errors of a browser: sites whose errors are ignored, and recent errors of other
//! sites.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tokio::time::Instant;
use url::{Host, Url};

use super::main_load::origin_of;

/// The number of errors that are kept, and the time for which they explain an aborted load. Its
/// failure follows at once.
const MAX_REJECTED: usize = 16;
const REJECTED_WINDOW: Duration = Duration::from_secs(5);

/// The sites whose certificate errors are ignored. Each has a host and a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoredCertificates(Vec<(Host, u16)>);

/// An entry of [`IgnoredCertificates`] that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "cannot parse {0:?}: expected host:port, such as dev.internal:8443, 127.0.0.1:8443 or [::1]:8443"
)]
pub struct ParseIgnoredError(String);

impl FromStr for IgnoredCertificates {
    type Err = ParseIgnoredError;

    /// Parses comma-separated entries and skips empty ones.
    fn from_str(text: &str) -> Result<IgnoredCertificates, ParseIgnoredError> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        let parsed = entries
            .map(|entry| parse_entry(entry).ok_or_else(|| ParseIgnoredError(entry.to_owned())));
        Ok(IgnoredCertificates(parsed.collect::<Result<_, _>>()?))
    }
}

fn parse_entry(text: &str) -> Option<(Host, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // A parser of URLs would remove some of these characters, or start another part of the URL.
    let is_host =
        !host.contains(|letter: char| "/\\?#@*%".contains(letter) || letter.is_whitespace());
    if !is_port || !is_host {
        return None;
    }
    let host = Host::parse(host).ok()?;
    Some((host, port.parse().ok().filter(|port| *port != 0)?))
}

impl IgnoredCertificates {
    /// Returns true if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if an entry names the host and the port of this URL.
    pub(super) fn contains(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(url) else {
            return false;
        };
        let port = url.port_or_known_default();
        let is_it = |(host, entry_port): &(Host, u16)| {
            url.host() == Some(borrowed(host)) && port == Some(*entry_port)
        };
        self.0.iter().any(is_it)
    }
}

fn borrowed(host: &Host) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(address) => Host::Ipv4(*address),
        Host::Ipv6(address) => Host::Ipv6(*address),
    }
}

/// The params of Chromium's event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateError<'a> {
    pub(super) event_id: i64,
    #[serde(borrow, rename = "errorType")]
    kind: Cow<'a, str>,
    #[serde(borrow, rename = "requestURL")]
    pub(super) url: Cow<'a, str>,
}

/// The recent certificate errors that were not ignored. Chromium reports that their loads were
/// aborted, because it can only be asked to cancel them.
#[derive(Debug, Default)]
pub(super) struct RejectedCertificates(VecDeque<Rejected>);

#[derive(Debug)]
struct Rejected {
    origin: String,
    error: String,
    at: Instant,
}

impl RejectedCertificates {
    pub(super) fn add(&mut self, error: &CertificateError<'_>) {
        let origin = origin_of(&error.url);
        // The address of a WebSocket, which is not a page.
        if origin.is_empty() {
            return;
        }
        self.0.truncate(MAX_REJECTED - 1);
        let name = error.kind.strip_prefix("net::").unwrap_or(&error.kind);
        self.0.push_front(Rejected {
            origin: origin.to_owned(),
            error: format!("net::{name}"),
            at: Instant::now(),
        });
    }

    pub(super) fn error_of(&self, origin: &str) -> Option<String> {
        let mut recent = self.0.iter();
        let found = recent
            .find(|rejected| rejected.origin == origin && rejected.at.elapsed() < REJECTED_WINDOW);
        found.map(|rejected| rejected.error.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> IgnoredCertificates {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn entries_match_one_host_and_one_port() {
        let list = list("Dev.Internal:8443, 127.0.0.1:443,,[::1]:9443,localhost:1");
        for url in [
            "https://dev.internal:8443/path?query",
            "wss://dev.internal:8443/",
            "https://127.0.0.1/",
            "https://[::1]:9443/",
            "https://localhost:1/",
        ] {
            assert!(list.contains(url), "{url}");
        }
        for url in [
            "https://dev.internal/",
            "https://a.dev.internal:8443/",
            "https://dev.internal.example:8443/",
            "https://dev.internal:8443@evil.example/",
            "https://evil.example/dev.internal:8443",
            "https://127.0.0.1:8443/",
            "https://127.0.0.2/",
            "https://[::2]:9443/",
            "https://127.0.0.1:1/",
            "dev.internal:8443",
            "",
        ] {
            assert!(!list.contains(url), "{url}");
        }
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        for text in ["", " ", ",", " , "] {
            assert!(list(text).is_empty(), "{text}");
        }
        assert!(!IgnoredCertificates::default().contains("https://localhost/"));
    }

    #[test]
    fn malformed_entries_are_rejected() {
        for text in [
            "localhost",
            "localhost:",
            ":443",
            "localhost:0",
            "localhost:65536",
            "localhost:*",
            "*:443",
            "*.internal:443",
            "https://localhost:443",
            "localhost:443/",
            "user@localhost:443",
            "a b:443",
            "::1:443",
            "10.0.0.0/8:443",
        ] {
            assert_eq!(
                text.parse::<IgnoredCertificates>(),
                Err(ParseIgnoredError(text.to_owned())),
                "{text}"
            );
        }
    }
}

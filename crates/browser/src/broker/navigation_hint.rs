//! Explains why a page did not load, in the error that the client receives. Chromium reports every
//! denial of a proxy as a failed tunnel, or, for plain HTTP, as a response with invalid headers.
//!
//! This module is independent of the proxy and its rules.

use std::fmt;
use std::sync::Arc;

/// Chromium's error when its proxy denies a tunnel.
const TUNNEL_FAILED: &str = r#""errorText":"net::ERR_TUNNEL_CONNECTION_FAILED""#;

/// Chromium's error when its proxy responds to a plain request itself.
const RESPONSE_REJECTED: &str =
    r#""errorText":"net::ERR_RESPONSE_HEADERS_MULTIPLE_CONTENT_DISPOSITION""#;

type HintFn = dyn Fn(Option<&str>) -> Option<String> + Send + Sync;

/// A function that explains why the proxy recently denied a connection: to the given URL, or to any
/// URL.
#[derive(Clone)]
pub struct NavigationErrorHint(Arc<HintFn>);

impl NavigationErrorHint {
    /// Creates a hint from a function that returns one line of plain text.
    pub fn new(
        hint: impl Fn(Option<&str>) -> Option<String> + Send + Sync + 'static,
    ) -> NavigationErrorHint {
        NavigationErrorHint(Arc::new(hint))
    }

    /// Adds the reason to Chromium's message about a page that did not load. Returns `None` if the
    /// message stays unchanged.
    pub(crate) fn extend(&self, message: &str, url: Option<&str>) -> Option<String> {
        let (before, after) = [TUNNEL_FAILED, RESPONSE_REJECTED]
            .iter()
            .find_map(|error| message.split_once(error))?;
        let why = (self.0)(url)?;
        let text = format!("net::ERR_TUNNEL_CONNECTION_FAILED ({why})");
        let text = serde_json::to_string(&text).ok()?;
        Some(format!(r#"{before}"errorText":{text}{after}"#))
    }

    /// Gives Chromium's message about a part of a page the same error for plain HTTP as for a
    /// denied tunnel. Returns `None` if the message stays unchanged.
    pub(crate) fn rename(&self, message: &str) -> Option<String> {
        let (before, after) = message.split_once(RESPONSE_REJECTED)?;
        // Without a recent denial, the site itself has sent such a response.
        (self.0)(None)?;
        Some(format!("{before}{TUNNEL_FAILED}{after}"))
    }
}

impl fmt::Debug for NavigationErrorHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NavigationErrorHint")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rule M18.
    #[test]
    fn reason_is_added_only_to_denials_of_the_proxy() {
        let navigation_hint = NavigationErrorHint::new(|url| {
            Some(format!("because of \"{}\"", url.unwrap_or("something")))
        });
        for error in [TUNNEL_FAILED, RESPONSE_REJECTED] {
            let failed = format!(r#"{{"frameId":"F",{error},"isDownload":false}}"#);
            let extended = navigation_hint
                .extend(&failed, Some("https://a.example/"))
                .expect("a reason");
            let extended: serde_json::Value = serde_json::from_str(&extended).expect("JSON");
            assert_eq!(
                extended["errorText"],
                r#"net::ERR_TUNNEL_CONNECTION_FAILED (because of "https://a.example/")"#
            );
            assert_eq!(
                NavigationErrorHint::new(|_| None).extend(&failed, None),
                None
            );
        }
        assert_eq!(
            navigation_hint.extend(r#"{"errorText":"net::ERR_ABORTED"}"#, None),
            None
        );
    }

    /// Rule M18.
    #[test]
    fn parts_of_a_page_get_the_same_error_with_both_schemes() {
        let navigation_hint = NavigationErrorHint::new(|_| Some("denied".to_owned()));
        let plain = format!(r#"{{"requestId":"R",{RESPONSE_REJECTED}}}"#);
        let tunnel = format!(r#"{{"requestId":"R",{TUNNEL_FAILED}}}"#);
        assert_eq!(navigation_hint.rename(&plain), Some(tunnel.clone()));
        assert_eq!(navigation_hint.rename(&tunnel), None);
        assert_eq!(NavigationErrorHint::new(|_| None).rename(&plain), None);
    }
}

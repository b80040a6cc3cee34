//! Explains why a page did not load, in the error that the client receives. Chromium reports every
//! denial of a proxy as a failed tunnel.
//!
//! This module is independent of the proxy and its rules.

use std::fmt;
use std::sync::Arc;

/// Chromium's error when its proxy denies a tunnel.
const TUNNEL_FAILED: &str = r#""errorText":"net::ERR_TUNNEL_CONNECTION_FAILED""#;

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
        let (before, after) = message.split_once(TUNNEL_FAILED)?;
        let why = (self.0)(url)?;
        let text = format!("net::ERR_TUNNEL_CONNECTION_FAILED ({why})");
        let text = serde_json::to_string(&text).ok()?;
        Some(format!(r#"{before}"errorText":{text}{after}"#))
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
    fn reason_is_added_only_to_failed_tunnels() {
        let navigation_hint = NavigationErrorHint::new(|url| {
            Some(format!("because of \"{}\"", url.unwrap_or("something")))
        });
        let failed =
            r#"{"frameId":"F","errorText":"net::ERR_TUNNEL_CONNECTION_FAILED","isDownload":false}"#;
        let extended = navigation_hint
            .extend(failed, Some("https://a.example/"))
            .expect("a reason");
        let extended: serde_json::Value = serde_json::from_str(&extended).expect("JSON");
        assert_eq!(
            extended["errorText"],
            r#"net::ERR_TUNNEL_CONNECTION_FAILED (because of "https://a.example/")"#
        );
        assert_eq!(
            navigation_hint.extend(r#"{"errorText":"net::ERR_ABORTED"}"#, None),
            None
        );
        assert_eq!(
            NavigationErrorHint::new(|_| None).extend(failed, None),
            None
        );
    }
}

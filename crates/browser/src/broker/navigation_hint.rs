//! Why a page did not load, in the error that its client gets: Chromium says of every refusal of a
//! proxy only that a tunnel could not be made.
//!
//! It must not know: what the proxy is, and by which rules it refuses.

use std::fmt;
use std::sync::Arc;

/// What Chromium says when its proxy does not let it through.
const TUNNEL_FAILED: &str = r#""errorText":"net::ERR_TUNNEL_CONNECTION_FAILED""#;

type HintFn = dyn Fn(Option<&str>) -> Option<String> + Send + Sync;

/// Tells why the proxy has not let the browser through lately: to this URL if it is known, or at
/// all.
#[derive(Clone)]
pub struct NavigationErrorHint(Arc<HintFn>);

impl NavigationErrorHint {
    /// Asks `hint` for one line of plain text.
    pub fn new(
        hint: impl Fn(Option<&str>) -> Option<String> + Send + Sync + 'static,
    ) -> NavigationErrorHint {
        NavigationErrorHint(Arc::new(hint))
    }

    /// Adds the reason to a message of Chromium's about a page that did not load. None: it stays as
    /// it is.
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
    fn the_reason_is_added_where_a_tunnel_failed_and_nowhere_else() {
        let navigation_hint = NavigationErrorHint::new(|url| {
            Some(format!("because of \"{}\"", url.unwrap_or("something")))
        });
        let failed =
            r#"{"frameId":"F","errorText":"net::ERR_TUNNEL_CONNECTION_FAILED","isDownload":false}"#;
        let extended = explain
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

//! How many tabs there may be, and how large a download may become. Tables only, under the broker's
//! lock.

use std::collections::HashSet;

use serde::Deserialize;

/// How many cancelled downloads are remembered until they have ended; a page can start any number.
const MAX_REMEMBERED: usize = 1000;

/// What a browser may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserLimits {
    /// Open tabs, those of all contexts.
    pub max_tabs: usize,
    /// Of each download.
    pub max_download_bytes: u64,
}

/// What Chromium says of a download, several times a second.
#[derive(Deserialize)]
pub(crate) struct Progress {
    pub(crate) guid: String,
    /// 0 when the server has not said.
    #[serde(rename = "totalBytes", default)]
    total: f64,
    #[serde(rename = "receivedBytes", default)]
    received: f64,
    #[serde(default)]
    state: String,
}

/// Downloads that became too large, until they have ended.
#[derive(Debug, Default)]
pub(crate) struct Oversized(HashSet<String>);

impl Oversized {
    /// Whether a download is to be cancelled now: it is larger than it may be, or is going to be,
    /// and goes on.
    pub(crate) fn should_cancel(&mut self, progress: &Progress, limits: &BrowserLimits) -> bool {
        if progress.state != "inProgress" {
            self.0.remove(&progress.guid);
            return false;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a limit that is a byte off is as good"
        )]
        let max = limits.max_download_bytes as f64;
        let is_large = progress.received > max || progress.total > max;
        if self.0.len() >= MAX_REMEMBERED {
            // They are cancelled once more at the worst.
            self.0.clear();
        }
        is_large && self.0.insert(progress.guid.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BrowserLimits = BrowserLimits {
        max_tabs: 1,
        max_download_bytes: 100,
    };

    fn progress(received: f64, total: f64, state: &str) -> Progress {
        Progress {
            guid: "G".to_owned(),
            total,
            received,
            state: state.to_owned(),
        }
    }

    #[test]
    fn a_download_is_cancelled_once_and_as_soon_as_its_size_is_known() {
        let mut oversized = Oversized::default();
        assert!(!oversized.should_cancel(&progress(100.0, 0.0, "inProgress"), &LIMITS));
        assert!(oversized.should_cancel(&progress(101.0, 0.0, "inProgress"), &LIMITS));
        assert!(!oversized.should_cancel(&progress(102.0, 0.0, "inProgress"), &LIMITS));
        assert!(!oversized.should_cancel(&progress(102.0, 0.0, "canceled"), &LIMITS));
        assert!(oversized.0.is_empty());
        assert!(oversized.should_cancel(&progress(0.0, 101.0, "inProgress"), &LIMITS));
    }

    #[test]
    fn one_that_is_complete_is_left_alone() {
        assert!(
            !Oversized::default().should_cancel(&progress(1000.0, 1000.0, "completed"), &LIMITS)
        );
    }
}

//! Limits on the number of tabs and the size of downloads. Contains only tables, which the broker's
//! lock protects.

use std::collections::HashSet;

use serde::Deserialize;

/// The number of cancelled downloads to remember until they have ended. A page can start any
/// number.
const MAX_REMEMBERED: usize = 1000;

/// The limits of one browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowserLimits {
    /// The maximum number of open tabs in all contexts.
    pub max_tabs: usize,
    /// The maximum size of one download.
    pub max_download_bytes: u64,
}

/// Chromium's progress report of a download, sent several times a second.
#[derive(Deserialize)]
pub(crate) struct Progress {
    pub(crate) guid: String,
    /// 0 if the server did not report the size.
    #[serde(rename = "totalBytes", default)]
    total: f64,
    #[serde(rename = "receivedBytes", default)]
    received: f64,
    #[serde(default)]
    state: String,
    /// The path of a complete download.
    #[serde(rename = "filePath")]
    path: Option<String>,
}

impl Progress {
    /// Returns true if the download is complete or was cancelled.
    pub(crate) fn has_ended(&self) -> bool {
        self.state != "inProgress"
    }

    /// Returns the path and the size of a complete download.
    pub(crate) fn complete(&self) -> Option<(&str, u64)> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes are whole numbers, and the conversion saturates"
        )]
        let bytes = self.received as u64;
        let path = self.path.as_deref()?;
        (self.state == "completed").then_some((path, bytes))
    }
}

/// Downloads that became too large and have not ended yet.
#[derive(Debug, Default)]
pub(crate) struct Oversized(HashSet<String>);

impl Oversized {
    /// Returns true if a download in progress exceeds the limit, or is going to, and was not
    /// cancelled yet.
    pub(crate) fn should_cancel(&mut self, progress: &Progress, limits: &BrowserLimits) -> bool {
        if progress.has_ended() {
            self.0.remove(&progress.guid);
            return false;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "an error of one byte does not matter"
        )]
        let max = limits.max_download_bytes as f64;
        let is_large = progress.received > max || progress.total > max;
        if self.0.len() >= MAX_REMEMBERED {
            // At worst, these downloads are cancelled a second time.
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
            path: None,
        }
    }

    #[test]
    fn download_is_cancelled_once_its_size_is_known() {
        let mut oversized = Oversized::default();
        assert!(!oversized.should_cancel(&progress(100.0, 0.0, "inProgress"), &LIMITS));
        assert!(oversized.should_cancel(&progress(101.0, 0.0, "inProgress"), &LIMITS));
        assert!(!oversized.should_cancel(&progress(102.0, 0.0, "inProgress"), &LIMITS));
        assert!(!oversized.should_cancel(&progress(102.0, 0.0, "canceled"), &LIMITS));
        assert!(oversized.0.is_empty());
        assert!(oversized.should_cancel(&progress(0.0, 101.0, "inProgress"), &LIMITS));
    }

    #[test]
    fn complete_download_is_kept() {
        assert!(
            !Oversized::default().should_cancel(&progress(1000.0, 1000.0, "completed"), &LIMITS)
        );
    }
}

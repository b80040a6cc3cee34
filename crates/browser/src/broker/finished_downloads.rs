//! Keeps the latest downloads that have ended, with the names that sites suggested.
//!
//! Chromium reports the name at the beginning of a download, and the path at its end. This module
//! contains only tables, which the broker's lock protects.

use std::collections::VecDeque;

use serde::Deserialize;

use super::limits::Progress;

/// The maximum number of downloads whose names are kept until they end.
const MAX_BEGUN: usize = 64;

/// The maximum number of downloads that are kept after their end.
const MAX_FINISHED: usize = 32;

/// The maximum sizes of a path and a name, because no budget counts them.
const MAX_PATH_BYTES: usize = 1024;
const MAX_NAME_BYTES: usize = 255;

/// A download that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedDownload {
    /// The absolute path of the file.
    pub path: String,
    /// The name that the site suggested, or an empty text.
    pub name: String,
    /// The size of the file.
    pub bytes: u64,
}

/// The beginning of a download.
#[derive(Deserialize)]
pub(crate) struct Begun {
    guid: String,
    #[serde(rename = "suggestedFilename", default)]
    name: String,
}

/// The latest downloads.
#[derive(Debug, Default)]
pub(crate) struct FinishedDownloads {
    /// The guid and the name of each download that has begun, the latest last.
    begun: VecDeque<(String, String)>,
    finished: VecDeque<FinishedDownload>,
    /// The number of all downloads that have ended.
    count: u64,
}

impl FinishedDownloads {
    /// Keeps the name of a download.
    pub(crate) fn begin(&mut self, download: Begun) {
        let Begun { guid, mut name } = download;
        name.truncate(name.floor_char_boundary(MAX_NAME_BYTES));
        if self.begun.len() >= MAX_BEGUN {
            self.begun.pop_front();
        }
        self.begun.push_back((guid, name));
    }

    /// Adds the download if it is complete now.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        if !progress.has_ended() {
            return;
        }
        let known = self
            .begun
            .iter()
            .position(|(guid, _)| *guid == progress.guid);
        let begun = known.and_then(|index| self.begun.remove(index));
        let Some((path, bytes)) = progress.complete() else {
            return;
        };
        if path.len() > MAX_PATH_BYTES || path.contains(char::is_control) {
            return;
        }
        if self.finished.len() >= MAX_FINISHED {
            self.finished.pop_front();
        }
        self.finished.push_back(FinishedDownload {
            path: path.to_owned(),
            name: begun.map(|(_, name)| name).unwrap_or_default(),
            bytes,
        });
        self.count += 1;
    }

    /// Returns the number of downloads that have ended.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Returns those that ended after the first `count` ones, as far as they are kept.
    pub(crate) fn since(&self, count: u64) -> Vec<FinishedDownload> {
        let new = usize::try_from(self.count.saturating_sub(count)).unwrap_or(usize::MAX);
        let skipped = self.finished.len().saturating_sub(new);
        self.finished.iter().skip(skipped).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn begun(guid: &str, name: &str) -> Begun {
        Begun {
            guid: guid.to_owned(),
            name: name.to_owned(),
        }
    }

    fn progress(guid: &str, state: &str, path: &str) -> Progress {
        let report = json!({
            "guid": guid, "totalBytes": 7, "receivedBytes": 7, "state": state, "filePath": path,
        });
        serde_json::from_value(report).expect("a report")
    }

    #[test]
    fn a_complete_download_has_its_name_and_path() {
        let mut downloads = FinishedDownloads::default();
        downloads.begin(begun("1", "report.pdf"));
        downloads.begin(begun("2", "lost"));
        downloads.progress(&progress("1", "inProgress", "/w/1"));
        assert_eq!(downloads.count(), 0);
        downloads.progress(&progress("1", "completed", "/w/1"));
        downloads.progress(&progress("2", "canceled", "/w/2"));
        downloads.progress(&progress("3", "completed", "/w/3"));
        let download = |path: &str, name: &str| FinishedDownload {
            path: path.to_owned(),
            name: name.to_owned(),
            bytes: 7,
        };
        let all = [download("/w/1", "report.pdf"), download("/w/3", "")];
        assert_eq!(downloads.since(0), all);
        assert_eq!(downloads.since(1), all[1..]);
        assert_eq!(downloads.since(downloads.count()), []);
        assert!(downloads.begun.is_empty());
    }

    #[test]
    fn only_the_latest_downloads_are_kept() {
        let mut downloads = FinishedDownloads::default();
        for number in 0..1000 {
            let guid = number.to_string();
            downloads.begin(begun(&guid, &"n".repeat(1000)));
            downloads.begin(begun("never ends", ""));
            downloads.progress(&progress(&guid, "completed", &format!("/w/{guid}")));
            downloads.progress(&progress("x", "completed", &"p".repeat(2000)));
        }
        // The last complete one has left.
        assert_eq!(
            (downloads.count(), downloads.begun.len()),
            (1000, MAX_BEGUN - 1)
        );
        let kept = downloads.since(0);
        assert_eq!(
            (kept.len(), kept[MAX_FINISHED - 1].path.as_str()),
            (32, "/w/999")
        );
        assert_eq!(kept[0].name.len(), MAX_NAME_BYTES);
        assert_eq!(downloads.since(998).len(), 2);
    }
}

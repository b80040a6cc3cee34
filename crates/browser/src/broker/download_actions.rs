//! Sends the browser's download commands, and reports what was downloaded.

use super::Broker;
use super::finished_downloads::FinishedDownload;

impl Broker {
    /// Returns the number of downloads that have ended.
    pub(crate) fn download_count(&self) -> u64 {
        self.lock().finished_downloads.count()
    }

    /// Returns the downloads that ended after the first `count` ones, as far as they are kept.
    pub(crate) fn downloads_since(&self, count: u64) -> Vec<FinishedDownload> {
        self.lock().finished_downloads.since(count)
    }

    /// Makes Chromium save the downloads of the default context in the session's directory under
    /// their own names, and report the downloads of all contexts.
    pub(crate) fn save_downloads(&self) {
        let params = serde_json::json!({ "behavior": "allow", "downloadPath": &self.file_access.downloads, "eventsEnabled": true });
        self.send_without_reply("Browser.setDownloadBehavior", &params.to_string(), None);
    }

    /// Cancels a download. Chromium needs the context of the download but reports only its frame,
    /// so this tries all contexts.
    pub(super) fn cancel_download(&self, guid: &str, contexts: &[String]) {
        let named = contexts
            .iter()
            .map(|context| serde_json::json!({ "guid": guid, "browserContextId": context }));
        for params in named.chain([serde_json::json!({ "guid": guid })]) {
            self.send_without_reply("Browser.cancelDownload", &params.to_string(), None);
        }
    }
}

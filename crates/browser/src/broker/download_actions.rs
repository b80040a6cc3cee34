//! Sends the browser's download commands.

use super::Broker;

impl Broker {
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

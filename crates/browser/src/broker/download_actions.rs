//! What the broker asks of the browser about downloads.

use super::Broker;

impl Broker {
    /// Has the default context's downloads saved into the session's folder, under their own names,
    /// and all contexts' reported.
    pub(crate) fn save_downloads(&self) {
        let params = serde_json::json!({ "behavior": "allow", "downloadPath": &self.file_access.downloads, "eventsEnabled": true });
        self.send_unanswered("Browser.setDownloadBehavior", &params.to_string(), None);
    }

    /// Cancels a download. Chromium wants to know its context, and tells only its frame.
    pub(super) fn cancel_download(&self, guid: &str, contexts: &[String]) {
        let named = contexts
            .iter()
            .map(|context| serde_json::json!({ "guid": guid, "browserContextId": context }));
        for params in named.chain([serde_json::json!({ "guid": guid })]) {
            self.send_unanswered("Browser.cancelDownload", &params.to_string(), None);
        }
    }
}

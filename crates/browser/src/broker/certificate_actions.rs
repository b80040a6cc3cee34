//! Decides which certificate errors a browser ignores. Chromium reports every error of every page
//! to the pipe's root session, unless a client ignores the errors of that page.

use chromiumoxide_cdp::cdp::browser_protocol::security::{
    EnableParams, SetIgnoreCertificateErrorsParams,
};
use chromiumoxide_types::{Command, Method, MethodId};
use serde::Serialize;
use serde_json::Value;

use super::Broker;
use super::certificates::CertificateError;
use super::commands::BrowserError;
use super::pending::Pending;

/// Chromium's event for a certificate error. The load waits for a decision.
pub(super) const CERTIFICATE_ERROR: &str = "Security.certificateError";

/// Chromium's error for a load that was cancelled.
const ABORTED: &str = r#""errorText":"net::ERR_ABORTED""#;

/// Turns the events about certificate errors on or off. The generated protocol omits this command,
/// because CDP marks it as deprecated.
#[derive(Debug, Serialize)]
struct SetOverride {
    r#override: bool,
}

impl Method for SetOverride {
    fn identifier(&self) -> MethodId {
        "Security.setOverrideCertificateErrors".into()
    }
}

impl Command for SetOverride {
    type Response = Value;
}

impl Broker {
    /// Makes Chromium ask for a decision about each certificate error, if any are ignored.
    pub(crate) async fn decide_certificate_errors(&self) -> Result<(), BrowserError> {
        if self.ignored_certificates.is_empty() {
            return Ok(());
        }
        self.call(None, EnableParams {}).await?;
        let command = SetOverride { r#override: true };
        self.call(None, command).await.map(drop)
    }

    /// Ignores the certificate errors of all pages from now on.
    pub(crate) async fn ignore_certificate_errors(&self) -> Result<(), BrowserError> {
        // Chromium rejects the second command while it asks for decisions.
        let command = SetOverride { r#override: false };
        self.call(None, command).await?;
        self.call(None, SetIgnoreCertificateErrorsParams::new(true))
            .await
            .map(drop)
    }

    /// Answers a certificate error.
    pub(super) fn decide(&self, error: &CertificateError<'_>) {
        let is_ignored = self.ignored_certificates.contains(&error.url);
        let action = if is_ignored { "continue" } else { "cancel" };
        if !is_ignored {
            self.lock().rejected_certificates.add(error);
        }
        let params = serde_json::json!({ "eventId": error.event_id, "action": action });
        // If the browser takes no more frames, it is about to end.
        let _ = self.send_command(
            "Security.handleCertificateError",
            &params.to_string(),
            None,
            Pending::Nobody,
        );
    }

    /// Gives Chromium's message about a page that did not load the certificate error of `origin`.
    /// Returns `None` if the message stays unchanged.
    pub(super) fn name_certificate_error(&self, message: &str, origin: &str) -> Option<String> {
        if self.ignored_certificates.is_empty() {
            return None;
        }
        let (before, after) = message.split_once(ABORTED)?;
        let error = self.lock().rejected_certificates.error_of(origin)?;
        let error = serde_json::to_string(&error).ok()?;
        Some(format!(r#"{before}"errorText":{error}{after}"#))
    }
}

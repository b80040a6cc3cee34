//! The words of every refusal. Which status code goes with which is the server's business.
//!
//! The texts of authentication, session and validation errors are those of the reference server,
//! since clients match on them; the others are our own.

use serde::Serialize;

use crate::execute::Language;
use crate::issue::Issue;

/// The body of an answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    /// Always `false`.
    success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Vec<Issue>>,
}

impl ErrorBody {
    fn new(error: impl Into<String>) -> Self {
        Self {
            success: false,
            code: None,
            error: error.into(),
            details: None,
        }
    }

    /// The sentence of the `error` key.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// There is no `Authorization` header, or not one of the `Bearer` kind.
    pub fn unauthorized() -> Self {
        Self::new("Unauthorized")
    }

    /// The header says `Bearer` and nothing after it, or a WebSocket address has no token.
    pub fn token_missing() -> Self {
        Self::new("Unauthorized: Token missing")
    }

    /// The key or token is not one of ours.
    pub fn invalid_token() -> Self {
        Self::new("Unauthorized: Invalid token")
    }

    /// Without keys only loopback names are served, so that no web page can reach the server by
    /// re-binding its own name.
    pub fn foreign_host() -> Self {
        Self::new(
            "This server has no API keys and therefore answers only to loopback names such as 127.0.0.1 or localhost. \
             Set HEARTH_API_KEYS to serve other names.",
        )
    }

    /// No session of that id was ever seen, or it ended too long ago.
    pub fn not_found() -> Self {
        Self::new("Browser session not found.")
    }

    /// The session belongs to another team.
    pub fn forbidden() -> Self {
        Self::new("Forbidden.")
    }

    /// A client asked for a tab, frame or worker that is not there.
    pub fn target_not_found(target: &str) -> Self {
        Self::new(format!(
            "There is no target {target} in this session's browser; /json/list names those that are."
        ))
    }

    /// Code was to run in a session that has ended.
    pub fn destroyed() -> Self {
        Self::new("Browser session has been destroyed.")
    }

    /// Somebody opens the live view of a session that has ended. `at` is an ISO 8601 time,
    /// `sentence` says why.
    pub fn ended(sentence: &str, at: &str) -> Self {
        Self::new(format!("The session has ended ({at}). {sentence}"))
    }

    /// A live view's socket is for the live view's own page: a browser says that another page opens
    /// it.
    pub fn foreign_origin() -> Self {
        Self::new(
            "The live view answers only to its own page. If this is its own page, behind a proxy that changes the Host \
             header, set HEARTH_PUBLIC_URL to the origin that browsers see.",
        )
    }

    /// As many sessions are active as the server allows.
    pub fn limit_reached() -> Self {
        Self::new("You have reached the maximum number of active browser sessions.")
    }

    /// Too little of the server's disk is free for another session.
    pub fn disk_full(free_mb: u64, min_mb: u64) -> Self {
        Self::new(format!(
            "No session was created: the server's disk has {free_mb} MiB left, and {min_mb} MiB are kept free \
             (HEARTH_MIN_FREE_DISK_MB). Delete sessions, or make room on the disk of the data folder."
        ))
    }

    /// Too little of the server's memory is available for another session.
    pub fn memory_low(available_mb: u64, min_mb: u64) -> Self {
        Self::new(format!(
            "No session was created: the server has {available_mb} MiB of memory left, and {min_mb} MiB are kept \
             available (HEARTH_MIN_FREE_MEMORY_MB). Delete sessions, or give it more memory."
        ))
    }

    /// A key of the API where one of an operator is asked for.
    pub fn operator_key_required() -> Self {
        Self::new("This is for the server's operator: it takes the key of HEARTH_OPERATOR_KEY.")
    }

    /// Another execution of the language ran for as long as this one was ready to wait; nothing was
    /// run.
    pub fn session_busy(language: Language) -> Self {
        Self::new(format!(
            "The session was busy with another {language} execution until the timeout passed. Nothing was run; try again."
        ))
    }

    /// The session cannot be written down, so nothing would be known of it after a restart.
    pub fn store_unavailable(reason: &str) -> Self {
        Self::new(format!(
            "The session was not created, because it cannot be recorded: {reason}."
        ))
    }

    /// Another session saves to the profile, or it is just being forgotten.
    pub fn profile_busy(name: &str) -> Self {
        Self::new(format!(
            "The profile {} is being saved by another session. Set saveChanges to false to start from what it holds now, or \
             try again when that session has ended.",
            quoted(name)
        ))
    }

    /// A session saves to the profile that is to be forgotten.
    pub fn profile_in_use(name: &str) -> Self {
        Self::new(format!(
            "The profile {} cannot be deleted while a session saves to it. Delete that session first.",
            quoted(name)
        ))
    }

    /// What a profile holds cannot be read, or not be put where the session's browser looks for it.
    pub fn profile_unavailable(name: &str, reason: &str) -> Self {
        Self::new(format!(
            "The session was not created, because the profile {} cannot be read: {reason}.",
            quoted(name)
        ))
    }

    /// No browser could be started. `reason` says why and what to do about it.
    pub fn browser_unavailable(reason: &str) -> Self {
        Self::new(format!("The browser could not be started: {reason}"))
    }

    /// The session's browser takes no client. `reason` says why.
    pub fn browser_unreachable(reason: &str) -> Self {
        Self::new(format!("The browser cannot be reached: {reason}"))
    }

    /// The session's browser is gone; nobody asked it to end.
    pub fn browser_crashed() -> Self {
        Self::new(
            "The browser of this session ended unexpectedly, and the session with it. Create a new session.",
        )
    }

    /// The code could not be started, and was not. `reason` says why.
    pub fn execution_unavailable(reason: &str) -> Self {
        Self::new(format!(
            "The code could not be started and was not run: {reason}"
        ))
    }

    /// The server is on its way out and takes nothing new.
    pub fn stopping() -> Self {
        Self::new("The server is stopping.")
    }

    /// The body is no JSON, or a bare scalar.
    pub fn invalid_json() -> Self {
        Self {
            code: Some("BAD_REQUEST_INVALID_JSON"),
            ..Self::new("Bad request, malformed JSON")
        }
    }

    /// The body or query breaks the rules that `issues` name.
    pub fn validation(issues: Vec<Issue>) -> Self {
        Self {
            code: Some("BAD_REQUEST"),
            details: Some(issues),
            ..Self::new("Bad Request")
        }
    }

    /// The body is over the limit.
    pub fn too_large() -> Self {
        Self::new("Request body is too large")
    }

    /// The body stopped half-way, or did not arrive in time.
    pub fn incomplete_body() -> Self {
        Self::new("The request body did not arrive completely")
    }

    /// Nothing is served under the path.
    pub fn unknown_path() -> Self {
        Self::new("Not Found")
    }

    /// The path is served, but not with that method.
    pub fn wrong_method() -> Self {
        Self::new("Method Not Allowed")
    }

    /// The path is a WebSocket's and the request is no upgrade.
    pub fn upgrade_required() -> Self {
        Self::new(
            "This address is a WebSocket: connect to it with an upgrade request, or append /json/version to its path",
        )
    }

    /// The path is the WebSocket of a live view and the request is no upgrade.
    pub fn live_view_upgrade_required() -> Self {
        Self::new(
            "This address is the WebSocket of a live view; open the link without /socket in a browser",
        )
    }

    /// A fault of the server itself; the log says more.
    pub fn internal() -> Self {
        Self::new("Internal server error")
    }
}

/// A name that somebody chose, so that it can be told from the sentence around it and cannot break
/// a line.
fn quoted(name: &str) -> String {
    format!("{name:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &ErrorBody) -> String {
        serde_json::to_string(body).expect("error bodies are plain data")
    }

    #[test]
    fn the_texts_that_clients_match_on_are_the_reference_servers() {
        let cases = [
            (ErrorBody::unauthorized(), "Unauthorized"),
            (ErrorBody::token_missing(), "Unauthorized: Token missing"),
            (ErrorBody::invalid_token(), "Unauthorized: Invalid token"),
            (ErrorBody::not_found(), "Browser session not found."),
            (ErrorBody::forbidden(), "Forbidden."),
            (
                ErrorBody::destroyed(),
                "Browser session has been destroyed.",
            ),
            (
                ErrorBody::limit_reached(),
                "You have reached the maximum number of active browser sessions.",
            ),
            (ErrorBody::too_large(), "Request body is too large"),
        ];
        for (body, error) in cases {
            assert_eq!(
                text(&body),
                format!(r#"{{"success":false,"error":"{error}"}}"#)
            );
        }
    }

    #[test]
    fn malformed_json_has_a_code_of_its_own() {
        assert_eq!(
            text(&ErrorBody::invalid_json()),
            r#"{"success":false,"code":"BAD_REQUEST_INVALID_JSON","error":"Bad request, malformed JSON"}"#
        );
    }

    #[test]
    fn a_busy_session_names_the_language_that_was_waited_for() {
        assert!(
            ErrorBody::session_busy(Language::Python)
                .error()
                .contains("python")
        );
    }
}

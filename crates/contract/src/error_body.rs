//! The text of every error. The server chooses the status codes.
//!
//! Errors of authentication, sessions and validation have the texts of the reference server,
//! because clients match on them. The other texts are specific to Hearth.

mod files;
mod interact;

use serde::Serialize;

use crate::execute::Language;
use crate::issue::Issue;

/// The body of an error response.
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

    /// Returns the value of the `error` key.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// Reports that the Firecrawl server for which this one is the front gave no answer.
    pub fn firecrawl_unavailable(reason: &str) -> Self {
        Self::new(format!("Firecrawl did not answer this request: {reason}."))
    }

    /// Reports that the node of a cluster that had received a request has not answered it.
    pub fn node_lost() -> Self {
        Self::new("The node that received this request did not answer.")
    }

    /// Reports that the `Authorization` header is missing or has a scheme other than `Bearer`.
    pub fn unauthorized() -> Self {
        Self::new("Unauthorized")
    }

    /// Reports that the header has no token after `Bearer`, or a WebSocket address has no token.
    pub fn token_missing() -> Self {
        Self::new("Unauthorized: Token missing")
    }

    /// Reports that the key or token is unknown.
    pub fn invalid_token() -> Self {
        Self::new("Unauthorized: Invalid token")
    }

    /// Reports that a server without keys received a request for a host name other than loopback.
    /// It serves only loopback names, so that a web page cannot reach it by DNS rebinding.
    pub fn foreign_host() -> Self {
        Self::new(
            "This server has no API keys, so it accepts only loopback host names such as 127.0.0.1 or localhost. \
             Set HEARTH_API_KEYS to serve other names.",
        )
    }

    /// Reports that the session never existed, or it ended too long ago.
    pub fn not_found() -> Self {
        Self::new("Browser session not found.")
    }

    /// Reports that the session belongs to another team.
    pub fn forbidden() -> Self {
        Self::new("Forbidden.")
    }

    /// Reports that a client requested a tab, frame or worker that does not exist.
    pub fn target_not_found(target: &str) -> Self {
        Self::new(format!(
            "Target {target} not found in this session's browser. See /json/list for the available targets."
        ))
    }

    /// Reports that a request needs a session that has ended.
    pub fn destroyed() -> Self {
        Self::new("Browser session has been destroyed.")
    }

    /// Reports that the live view of a session that has ended was opened. `at` is an ISO 8601 time,
    /// `sentence` the reason.
    pub fn ended(sentence: &str, at: &str) -> Self {
        Self::new(format!("The session has ended ({at}). {sentence}"))
    }

    /// Reports that a browser opened the live view's socket from another page. The socket is only
    /// for the live view's own page.
    pub fn foreign_origin() -> Self {
        Self::new(
            "The live view accepts only its own page. If a reverse proxy changes the Host header, set HEARTH_PUBLIC_URL \
             to the origin that browsers use.",
        )
    }

    /// Reports that the maximum number of sessions is active.
    pub fn limit_reached() -> Self {
        Self::new("You have reached the maximum number of active browser sessions.")
    }

    /// Reports that a team has its maximum number of sessions.
    pub fn team_limit_reached(max: usize) -> Self {
        Self::new(format!(
            "You have reached the maximum number of active browser sessions of your team ({max}, HEARTH_TEAM_MAX_SESSIONS)."
        ))
    }

    /// Reports that a key has been used for its maximum number of requests per minute.
    pub fn rate_exceeded(max: u64) -> Self {
        Self::new(format!(
            "Your API key has reached its maximum of {max} requests per minute (HEARTH_KEY_MAX_REQUESTS_PER_MINUTE). \
             Nothing was done; try again."
        ))
    }

    /// Reports that too many requests of a team wait in a queue that teams share.
    pub fn team_queue_full(max: usize) -> Self {
        Self::new(format!(
            "Too many requests of your team wait (limit: {max}). Nothing was done; try again."
        ))
    }

    /// Reports that the server has too little free disk space for another session.
    pub fn disk_full(free_mb: u64, min_mb: u64) -> Self {
        Self::new(format!(
            "Cannot create a session: the server's disk has {free_mb} MiB free, the minimum is {min_mb} MiB \
             (HEARTH_MIN_FREE_DISK_MB). Delete sessions or free space on the disk of the data directory."
        ))
    }

    /// Reports that the server has too little available memory for another session.
    pub fn memory_low(available_mb: u64, min_mb: u64) -> Self {
        Self::new(format!(
            "Cannot create a session: the server has {available_mb} MiB of memory available, the minimum is {min_mb} MiB \
             (HEARTH_MIN_FREE_MEMORY_MB). Delete sessions or add memory."
        ))
    }

    /// Reports that an API key was used, but the route needs the operator key.
    pub fn operator_key_required() -> Self {
        Self::new("Operator key required.")
    }

    /// Reports that another execution in the same language ran until the timeout of this one. No
    /// code was run.
    pub fn session_busy(language: Language) -> Self {
        Self::new(format!(
            "The session was busy with another {language} execution until the timeout passed. Nothing was run; try again."
        ))
    }

    /// Reports that the server cannot measure what sessions use.
    pub fn unmeasured(what: &str, reason: &str) -> Self {
        Self::new(format!(
            "The server cannot measure the {what} of sessions: {reason}. The session was not created."
        ))
    }

    /// Reports that too many executions wait in the session.
    pub fn queue_full(language: Language) -> Self {
        Self::new(format!(
            "Too many {language} executions wait in this session (limit: 32). Nothing was run; try again."
        ))
    }

    /// Reports that the session cannot be recorded in the store, so it would be unknown after a
    /// restart.
    pub fn store_unavailable(reason: &str) -> Self {
        Self::new(format!(
            "Cannot record the session: {reason}. The session was not created."
        ))
    }

    /// Reports that sessions cannot be read from the store, which is a database in a cluster.
    pub fn store_unreadable(reason: &str) -> Self {
        Self::new(format!("Cannot read sessions: {reason}. Try again."))
    }

    /// Reports that another node has the session, and cannot be reached. Nothing was run.
    pub fn node_unreachable() -> Self {
        Self::new("The node of this session cannot be reached from here; nothing was run.")
    }

    /// Reports that another session saves to the profile, or the profile is being deleted.
    pub fn profile_busy(name: &str) -> Self {
        Self::new(format!(
            "Another session saves to the profile {}. Set saveChanges to false to start from its current state, or try \
             again after that session has ended.",
            quoted(name)
        ))
    }

    /// Reports that the profile cannot be deleted because a session saves to it.
    pub fn profile_in_use(name: &str) -> Self {
        Self::new(format!(
            "The profile {} cannot be deleted while a session saves to it. Delete that session first.",
            quoted(name)
        ))
    }

    /// Reports that the profile cannot be read, or cannot be unpacked for the session's browser.
    pub fn profile_unavailable(name: &str, reason: &str) -> Self {
        Self::new(format!(
            "Cannot read the profile {}: {reason}. The session was not created.",
            quoted(name)
        ))
    }

    /// Reports that the browser could not be started. `reason` contains the cause and the fix.
    pub fn browser_unavailable(reason: &str) -> Self {
        Self::new(format!("The browser could not be started: {reason}"))
    }

    /// Reports that the session's browser does not accept clients. `reason` contains the cause.
    pub fn browser_unreachable(reason: &str) -> Self {
        Self::new(format!("The browser cannot be reached: {reason}"))
    }

    /// Reports that the session's browser crashed.
    pub fn browser_crashed() -> Self {
        Self::new(
            "The browser of this session ended unexpectedly, so the session ended. Create a new session.",
        )
    }

    /// Reports that the code was not started. `reason` contains the cause.
    pub fn execution_unavailable(reason: &str) -> Self {
        Self::new(format!(
            "The code could not be started and was not run: {reason}"
        ))
    }

    /// Reports that the server is stopping and accepts no new work.
    pub fn stopping() -> Self {
        Self::new("The server is stopping.")
    }

    /// Reports that the host of a scrape does not exist. `reason` names it.
    pub fn scrape_unresolved(reason: &str) -> Self {
        Self::with_code(
            "SCRAPE_DNS_RESOLUTION_ERROR",
            format!("Cannot scrape the page: {reason}. Check the address."),
        )
    }

    /// Reports that a scrape took longer than its `timeout`, in milliseconds. `action` is the
    /// number of the action that had not ended, counted from 1.
    pub fn scrape_timeout(timeout_ms: u32, action: Option<usize>) -> Self {
        let passed = format!("The page was not scraped within the timeout of {timeout_ms} ms");
        let error = match action {
            None => format!("{passed}. Increase timeout, or remove waits and actions."),
            Some(number) => format!(
                "{passed}, because action {number} did not end. Check its selector if it has one, or increase timeout."
            ),
        };
        Self::with_code("SCRAPE_TIMEOUT", error)
    }

    /// Reports that the certificate of the site is not valid. `error` is Chromium's error.
    pub fn scrape_certificate(error: &str) -> Self {
        Self::with_code(
            "SCRAPE_SSL_ERROR",
            format!(
                "The site has no valid certificate ({error}). Set skipTlsVerification to true to scrape it all the same."
            ),
        )
    }

    /// Reports that the site or its page prevented the scrape.
    pub fn scrape_site(reason: &str) -> Self {
        Self::with_code(
            "SCRAPE_SITE_ERROR",
            format!("Cannot scrape the page: {}.", reason.trim_end_matches('.')),
        )
    }

    /// Reports that the address is a file that cannot be converted.
    pub fn scrape_unsupported_file(kind: &str) -> Self {
        Self::with_code(
            "SCRAPE_UNSUPPORTED_FILE_ERROR",
            format!(
                "The address is a file that this server does not convert ({kind}). It scrapes HTML, text, JSON and XML."
            ),
        )
    }

    /// Reports that an action failed. `number` counts from 1.
    pub fn scrape_action(number: usize, reason: &str) -> Self {
        Self::with_code(
            "SCRAPE_ACTION_ERROR",
            format!("Action {number} failed: {}.", reason.trim_end_matches('.')),
        )
    }

    /// Reports that the egress filter denied the address of a scrape.
    pub fn scrape_denied(reason: &str) -> Self {
        Self::new(format!("The address cannot be scraped: {reason}."))
    }

    fn with_code(code: &'static str, error: String) -> Self {
        Self {
            code: Some(code),
            ..Self::new(error)
        }
    }

    /// Reports that the body is malformed JSON or a bare scalar.
    pub fn invalid_json() -> Self {
        Self {
            code: Some("BAD_REQUEST_INVALID_JSON"),
            ..Self::new("Bad request, malformed JSON")
        }
    }

    /// Reports that the body is not JSON and does not claim to be. `content_type` is the header's
    /// value, or empty.
    pub fn not_json(content_type: &str) -> Self {
        let sent = match content_type {
            "" => "the request has no content type".to_owned(),
            sent => format!("the content type is {}", quoted(sent)),
        };
        Self {
            code: Some("BAD_REQUEST_INVALID_JSON"),
            ..Self::new(format!(
                "Bad request, malformed JSON: {sent}. Send JSON with \"Content-Type: application/json\"."
            ))
        }
    }

    /// Reports that the body is compressed.
    pub fn compressed_body(encoding: &str) -> Self {
        Self {
            code: Some("BAD_REQUEST_CONTENT_ENCODING"),
            ..Self::new(format!(
                "Bad request: the content encoding {} is not supported. Send the body uncompressed.",
                quoted(encoding)
            ))
        }
    }

    /// Reports that the body or query has the given issues. The text names unknown fields first. It
    /// is the message of the first issue, which may come with the name of its field.
    pub fn validation(issues: Vec<Issue>) -> Self {
        let error = if issues.iter().any(Issue::is_unknown_fields) {
            "Unrecognized key in body -- please review the v2 API documentation for request body changes"
                .to_owned()
        } else {
            issues.first().map_or_else(
                || "Bad Request".to_owned(),
                |issue| {
                    issue.custom_message().map_or_else(
                        || format!("Bad Request: {}", issue.summary()),
                        str::to_owned,
                    )
                },
            )
        };
        Self {
            code: Some("BAD_REQUEST"),
            details: Some(issues),
            ..Self::new(error)
        }
    }

    /// Reports that the body exceeds the size limit.
    pub fn too_large() -> Self {
        Self::new("Request body is too large")
    }

    /// Reports that the body was incomplete or did not arrive in time.
    pub fn incomplete_body() -> Self {
        Self::new("The request body did not arrive completely")
    }

    /// Reports that the server's buffers are full.
    pub fn overloaded() -> Self {
        Self::new(
            "The buffers of the server or of the session are full (HEARTH_BUFFER_MB, HEARTH_SESSION_BUFFER_MB). Nothing was done; try again.",
        )
    }

    /// Reports that the path does not exist.
    pub fn unknown_path() -> Self {
        Self::new("Not Found")
    }

    /// Reports that the path is one of Firecrawl's API, but not one that this server has.
    pub fn unknown_api_path() -> Self {
        Self::new(
            "Not Found: Hearth provides /v2/scrape, /v2/interact, /v2/browser and /v2/concurrency-check. For the other \
             endpoints, run it beside a self-hosted Firecrawl. The file docs/deployment.md in Hearth's source describes how.",
        )
    }

    /// Reports that the path is below those of this server's API, but not one of them.
    pub fn unknown_path_below() -> Self {
        Self::new(
            "Not Found: Hearth has no such path below /v2/interact and /v2/browser. GET /openapi.json describes all paths.",
        )
    }

    /// Reports that the path exists, but not with this method.
    pub fn wrong_method() -> Self {
        Self::new("Method Not Allowed")
    }

    /// Reports that the path is a WebSocket, but the request is not an upgrade request.
    pub fn upgrade_required() -> Self {
        Self::new(
            "This address is a WebSocket: connect to it with an upgrade request, or append /json/version to its path",
        )
    }

    /// Reports that the path is the WebSocket of a live view, but the request is not an upgrade
    /// request.
    pub fn live_view_upgrade_required() -> Self {
        Self::new(
            "This address is the WebSocket of a live view; open the link without /socket in a browser",
        )
    }

    /// Reports an internal error. The log has details.
    pub fn internal() -> Self {
        Self::new("Internal server error")
    }
}

/// Quotes and escapes a user-supplied name, so that it cannot be confused with the message or break
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
    fn malformed_json_has_its_own_code() {
        assert_eq!(
            text(&ErrorBody::invalid_json()),
            r#"{"success":false,"code":"BAD_REQUEST_INVALID_JSON","error":"Bad request, malformed JSON"}"#
        );
    }

    #[test]
    fn a_busy_session_names_the_language() {
        assert!(
            ErrorBody::session_busy(Language::Python)
                .error()
                .contains("python")
        );
    }
}

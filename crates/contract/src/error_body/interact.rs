//! The errors of interactions with a scrape's session.

use super::ErrorBody;

impl ErrorBody {
    /// Reports that the id of a scrape is not a UUID.
    pub fn invalid_job_id() -> Self {
        Self::new("Invalid job ID format. Job ID must be a valid UUID.")
    }

    /// Reports that no scrape has this id.
    pub fn job_not_found() -> Self {
        Self::new("Job not found.")
    }

    /// Reports that the server does not know which page the scrape has read.
    pub fn no_scrape_context() -> Self {
        Self::new(
            "Replay context is unavailable. Supply url or an existingSessionId to continue without retained scrape context.",
        )
    }

    /// Reports that the page of a scrape could not be opened again.
    pub fn replay_failed() -> Self {
        Self::new(
            "Failed to initialize browser session from the original scrape context. Please rerun the scrape and try again.",
        )
    }

    /// Reports that opening the page took longer than the request may take. The page remains open.
    pub fn page_too_slow() -> Self {
        Self::new("The page could not be opened in time. Nothing was run; try again.")
    }

    /// Reports that the request wants nothing to be kept, but the session was created without this.
    pub fn retaining_session() -> Self {
        Self::new("Create a new ZDR browser session to continue.")
    }

    /// Reports that the store cannot be read or written. Nothing was run.
    pub fn store_unusable(reason: &str) -> Self {
        Self::new(format!("The server cannot use its store: {reason}"))
    }

    /// Reports that the server has no language model for prompts.
    pub fn no_model() -> Self {
        Self::new(
            "This server has no model for prompts. Set HEARTH_MODEL_URL and HEARTH_MODEL, or send code.",
        )
    }
}

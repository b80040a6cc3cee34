//! Checks whether the Firecrawl server for which this one is the front answers.

use std::fs::File;

use super::finding::Finding;
use super::subject::Subject;
use crate::firecrawl::ask;
use crate::outgoing::Connector;

const CHECK: &str = "firecrawl";

/// Sends a request to Firecrawl. Returns `None` without one, and if its settings are invalid, which
/// the check of the settings reports.
pub(super) async fn firecrawl(subject: &Subject) -> Option<Finding> {
    let open = |path: &std::path::Path| File::open(path);
    let spec = subject.config.firecrawl.read(&open).ok()??;
    let authorities = subject.config.certificates.read(&open).ok()?;
    let server = spec.server.to_string();
    let answer = match Connector::new(spec.server, authorities.as_ref()) {
        Ok(connector) => ask(&connector).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    Some(evaluate_firecrawl(&server, answer))
}

fn evaluate_firecrawl(server: &str, answer: Result<(), String>) -> Finding {
    match answer {
        Ok(()) => Finding::ok(CHECK, format!("{server} answers")),
        Err(error) => Finding::failure(CHECK, format!("{server} does not answer: {error}"))
            .fixed_by("set: HEARTH_FIRECRAWL_URL to a running Firecrawl, or remove the setting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn a_silent_firecrawl_is_a_failure() {
        let silent = evaluate_firecrawl("http://api:3002", Err("refused".to_owned()));
        assert_eq!(silent.severity, Severity::Failure);
        assert_eq!(silent.text, "http://api:3002 does not answer: refused");
        let fine = evaluate_firecrawl("http://api:3002", Ok(()));
        assert_eq!(fine.severity, Severity::Ok);
    }
}

//! Checks the egress settings.

use std::time::Duration;

use hearth_egress::{AllowList, Mode, Upstream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::finding::Finding;
use super::subject::Subject;

const CHECK: &str = "egress";

/// The time limit for a connection to the upstream proxy.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the settings, and connects to the upstream proxy that they name. Returns `None` if one of
/// them is invalid, which the check of the settings reports.
pub(super) async fn egress(subject: &Subject) -> Option<Finding> {
    if subject
        .errors
        .iter()
        .any(|error| error.variable.starts_with("HEARTH_EGRESS"))
    {
        return None;
    }
    let policy = subject.config.egress_policy();
    let connected = match &policy.upstream {
        Some(upstream) if policy.mode != Mode::Off => Some(connect(upstream).await),
        _ => None,
    };
    Some(evaluate_egress(
        policy.mode,
        subject.config.egress.is_default_mode(),
        &policy.allow,
        policy.allow_metadata,
        connected,
    ))
}

/// Connects to the upstream proxy. Returns its address and the outcome.
async fn connect(upstream: &Upstream) -> (String, Result<(), String>) {
    let (host, port) = upstream.address();
    let answer = match timeout(UPSTREAM_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("no response within 5 s".to_owned()),
    };
    (format!("{host}:{port}"), answer)
}

fn evaluate_egress(
    mode: Mode,
    is_default: bool,
    allow: &AllowList,
    metadata: bool,
    upstream: Option<(String, Result<(), String>)>,
) -> Finding {
    if let Some((address, Err(error))) = &upstream {
        return Finding::failure(
            CHECK,
            format!("cannot connect to the proxy at {address}: {error}"),
        )
        .fixed_by("set: HEARTH_EGRESS_PROXY to a reachable proxy, or remove the setting");
    }
    let through = upstream
        .map(|(address, _)| format!(", through the proxy at {address}"))
        .unwrap_or_default();
    let listed = match (mode, allow.len()) {
        (Mode::Off | Mode::Open, _) | (Mode::Filtered, 0) => String::new(),
        (Mode::Filtered, count) => {
            format!(", and the destinations of {count} entries of HEARTH_EGRESS_ALLOW")
        }
    };
    let safer = "set: HEARTH_EGRESS=filtered, with single destinations in HEARTH_EGRESS_ALLOW";
    match mode {
        Mode::Off => {
            Finding::note(CHECK, "sessions reach nothing (HEARTH_EGRESS=off)").fixed_by("set: HEARTH_EGRESS=filtered")
        }
        Mode::Open if metadata => {
            Finding::note(CHECK, format!("sessions reach every address{through}, including metadata services"))
                .fixed_by(safer)
        }
        // The check of the isolation notes that code can bypass the proxy.
        Mode::Open if is_default => Finding::ok(CHECK, format!(
            "sessions reach every address except metadata services{through} (the default with HEARTH_ISOLATION=none)"
        )),
        Mode::Open => Finding::note(CHECK, format!("sessions reach every address except metadata services{through}"))
            .fixed_by(safer),
        Mode::Filtered if metadata && !allow.is_empty() => {
            Finding::note(CHECK, format!("sessions reach public addresses{through}{listed}, and metadata services"))
                .fixed_by(
                    "set: HEARTH_EGRESS_ALLOW_METADATA=false, unless sessions need the machine's credentials",
                )
        }
        Mode::Filtered => Finding::ok(CHECK, format!("sessions reach public addresses{through}{listed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;

    fn evaluated(
        mode: Mode,
        allow: &str,
        metadata: bool,
        upstream: Option<Result<(), String>>,
    ) -> Finding {
        let upstream = upstream.map(|answer| ("proxy.example:3128".to_owned(), answer));
        evaluate_egress(
            mode,
            false,
            &allow.parse().expect("a list"),
            metadata,
            upstream,
        )
    }

    #[test]
    fn the_default_mode_is_ok() {
        assert_eq!(
            evaluated(Mode::Filtered, "", false, None).severity,
            Severity::Ok
        );
        let listed = evaluated(
            Mode::Filtered,
            "10.0.0.1:443,a.internal:80",
            false,
            Some(Ok(())),
        );
        assert_eq!(listed.severity, Severity::Ok);
        assert!(
            listed.text.contains("2 entries") && listed.text.contains("proxy.example:3128"),
            "{}",
            listed.text
        );
    }

    #[test]
    fn open_and_off_are_notes() {
        for finding in [
            evaluated(Mode::Open, "", false, None),
            evaluated(Mode::Open, "", true, None),
            evaluated(Mode::Off, "", false, None),
            evaluated(Mode::Filtered, "169.254.169.254:80", true, None),
        ] {
            assert_eq!(finding.severity, Severity::Note, "{}", finding.text);
            assert!(!finding.fixes.is_empty(), "{}", finding.text);
        }
    }

    #[test]
    fn open_is_ok_as_the_default_without_a_sandbox() {
        let list = AllowList::default();
        let finding = evaluate_egress(Mode::Open, true, &list, false, None);
        assert_eq!(finding.severity, Severity::Ok);
        let finding = evaluate_egress(Mode::Open, true, &list, true, None);
        assert_eq!(finding.severity, Severity::Note);
    }

    #[test]
    fn an_unreachable_proxy_is_a_failure() {
        let finding = evaluated(Mode::Filtered, "", false, Some(Err("refused".to_owned())));
        assert_eq!(finding.severity, Severity::Failure);
        assert!(
            finding.text.contains("proxy.example:3128") && finding.text.contains("refused"),
            "{}",
            finding.text
        );
    }
}

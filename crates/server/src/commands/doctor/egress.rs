//! What sessions reach.

use std::time::Duration;

use hearth_egress::{AllowList, Mode, Upstream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Subject;
use super::finding::Finding;

const CHECK: &str = "way out";

/// How long the proxy of the settings may take to accept a connection.
const UPSTREAM_BOUND: Duration = Duration::from_secs(5);

/// Checks the settings, and connects to the upstream proxy that they name. Returns nothing if one of
/// them cannot be used, which the check of the settings reports.
pub(super) async fn egress(subject: &Subject) -> Option<Finding> {
    if subject
        .errors
        .iter()
        .any(|error| error.variable.starts_with("HEARTH_EGRESS"))
    {
        return None;
    }
    let policy = subject.config.egress.policy();
    let knocked = match &policy.upstream {
        Some(upstream) if policy.mode != Mode::Off => Some(knock(upstream).await),
        _ => None,
    };
    Some(judge_egress(
        policy.mode,
        &policy.allow,
        policy.allow_metadata,
        knocked,
    ))
}

/// The address of the proxy, and why nobody answers there if nobody does.
async fn knock(upstream: &Upstream) -> (String, Result<(), String>) {
    let (host, port) = upstream.address();
    let answer = match timeout(UPSTREAM_BOUND, TcpStream::connect((host, port))).await {
        Ok(connected) => connected.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err("no answer within 5 s".to_owned()),
    };
    (format!("{host}:{port}"), answer)
}

fn judge_egress(
    mode: Mode,
    allow: &AllowList,
    metadata: bool,
    upstream: Option<(String, Result<(), String>)>,
) -> Finding {
    if let Some((address, Err(error))) = &upstream {
        return Finding::failure(
            CHECK,
            format!("the proxy at {address} does not answer: {error}"),
        )
        .mended_by("set: HEARTH_EGRESS_PROXY to a proxy that does, or leave it out");
    }
    let through = upstream
        .map(|(address, _)| format!(", through the proxy at {address}"))
        .unwrap_or_default();
    let listed = match (mode, allow.len()) {
        (Mode::Off | Mode::Open, _) | (Mode::Filtered, 0) => String::new(),
        (Mode::Filtered, count) => {
            format!(", and what {count} entries of HEARTH_EGRESS_ALLOW open")
        }
    };
    let safer = "set: HEARTH_EGRESS=filtered, with single destinations in HEARTH_EGRESS_ALLOW";
    match mode {
        Mode::Off => {
            Finding::note(CHECK, "sessions reach nothing (HEARTH_EGRESS=off)").mended_by("set: HEARTH_EGRESS=filtered")
        }
        Mode::Open if metadata => {
            Finding::note(CHECK, format!("sessions reach every address{through}, metadata services too"))
                .mended_by(safer)
        }
        Mode::Open => Finding::note(CHECK, format!("sessions reach every address but metadata services{through}"))
            .mended_by(safer),
        Mode::Filtered if metadata && !allow.is_empty() => {
            Finding::note(CHECK, format!("sessions reach public addresses{through}{listed}, metadata services too"))
                .mended_by(
                    "set: HEARTH_EGRESS_ALLOW_METADATA=false, unless sessions are to have the machine's credentials",
                )
        }
        Mode::Filtered => Finding::fine(CHECK, format!("sessions reach public addresses{through}{listed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Verdict;

    fn judged(
        mode: Mode,
        allow: &str,
        metadata: bool,
        upstream: Option<Result<(), String>>,
    ) -> Finding {
        let upstream = upstream.map(|answer| ("proxy.example:3128".to_owned(), answer));
        judge_egress(mode, &allow.parse().expect("a list"), metadata, upstream)
    }

    #[test]
    fn the_usual_way_out_is_fine() {
        assert_eq!(
            judged(Mode::Filtered, "", false, None).verdict,
            Verdict::Fine
        );
        let listed = judged(
            Mode::Filtered,
            "10.0.0.1:443,a.internal:80",
            false,
            Some(Ok(())),
        );
        assert_eq!(listed.verdict, Verdict::Fine);
        assert!(
            listed.text.contains("2 entries") && listed.text.contains("proxy.example:3128"),
            "{}",
            listed.text
        );
    }

    #[test]
    fn a_way_out_that_is_wide_or_shut_is_a_note() {
        for finding in [
            judged(Mode::Open, "", false, None),
            judged(Mode::Open, "", true, None),
            judged(Mode::Off, "", false, None),
            judged(Mode::Filtered, "169.254.169.254:80", true, None),
        ] {
            assert_eq!(finding.verdict, Verdict::Note, "{}", finding.text);
            assert!(!finding.mends.is_empty(), "{}", finding.text);
        }
    }

    #[test]
    fn a_proxy_that_does_not_answer_is_a_failure() {
        let finding = judged(Mode::Filtered, "", false, Some(Err("refused".to_owned())));
        assert_eq!(finding.verdict, Verdict::Failure);
        assert!(
            finding.text.contains("proxy.example:3128") && finding.text.contains("refused"),
            "{}",
            finding.text
        );
    }
}

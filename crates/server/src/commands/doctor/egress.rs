//! Checks the egress settings.

use std::time::Duration;

use futures_util::future::join_all;
use hearth_egress::{AllowList, Mode, Upstream};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::finding::Finding;
use super::subject::Subject;

const CHECK: &str = "egress";
const COUNTRIES: &str = "country proxies";

/// The time limit for a connection to the upstream proxy.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the settings, and connects to the upstream proxy that they name. Returns `None` if one of
/// them is invalid, which the check of the settings reports.
pub(super) async fn egress(subject: &Subject) -> Option<Finding> {
    if has_errors(subject) {
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

/// Connects to the proxies of countries. Returns `None` if there are none, or if a setting is
/// invalid.
pub(super) async fn country_proxies(subject: &Subject) -> Option<Finding> {
    let proxies = subject.config.egress.country_proxies();
    if has_errors(subject) || subject.config.egress_policy().mode == Mode::Off {
        return None;
    }
    let connecting = proxies.iter().map(async |(country, proxy)| {
        let (address, answer) = connect(proxy).await;
        (country.to_owned(), address, answer)
    });
    let connected = join_all(connecting).await;
    (!connected.is_empty()).then(|| evaluate_country_proxies(&connected))
}

fn has_errors(subject: &Subject) -> bool {
    let mut errors = subject.errors.iter();
    errors.any(|error| error.variable.starts_with("HEARTH_EGRESS"))
}

/// Evaluates the connections to proxies, each with its country and its address.
fn evaluate_country_proxies(connected: &[(String, String, Result<(), String>)]) -> Finding {
    let failed: Vec<String> = connected
        .iter()
        .filter_map(|(country, address, answer)| {
            let error = answer.as_ref().err()?;
            Some(format!("that of {country} at {address}: {error}"))
        })
        .collect();
    if failed.is_empty() {
        let countries: Vec<&str> = connected.iter().map(|(country, ..)| &**country).collect();
        let countries = countries.join(", ");
        return Finding::ok(
            COUNTRIES,
            format!("the proxies of these countries accept connections: {countries}"),
        );
    }
    let failed = failed.join("; ");
    Finding::failure(
        COUNTRIES,
        format!("cannot connect to all proxies: {failed}"),
    )
    .fixed_by(
        "set: HEARTH_EGRESS_PROXIES to reachable proxies, or remove the entries of the others",
    )
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
        (Mode::Filtered, 1) => {
            ", and the destinations of 1 entry of HEARTH_EGRESS_ALLOW".to_owned()
        }
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
    fn every_unreachable_proxy_of_a_country_is_named() {
        let proxy = |country: &str, answer: Result<(), &str>| {
            let address = format!("{country}.example:80");
            (country.to_owned(), address, answer.map_err(str::to_owned))
        };
        let fine = evaluate_country_proxies(&[proxy("de", Ok(())), proxy("gb", Ok(()))]);
        assert_eq!(fine.severity, Severity::Ok);
        assert!(fine.text.ends_with(": de, gb"), "{}", fine.text);
        let all = [
            proxy("de", Err("refused")),
            proxy("fr", Ok(())),
            proxy("gb", Err("silent")),
        ];
        let failed = evaluate_country_proxies(&all);
        assert_eq!(failed.severity, Severity::Failure);
        let expected = "that of de at de.example:80: refused; that of gb at gb.example:80: silent";
        assert!(failed.text.ends_with(expected), "{}", failed.text);
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

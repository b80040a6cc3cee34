//! The requests and responses of the test mode: faults on demand, and a fast clock.

use serde::Serialize;

use crate::body::{Body, Field};
use crate::field::IssueCollector;
use crate::issue::Issue;
use crate::response::True;

/// The delay of a slow response that has none, in milliseconds.
const DEFAULT_SLOWNESS_MS: u32 = 1000;

/// A fault of the test mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The browser of a session crashes.
    BrowserCrash,
    /// The CDP connections of a session break.
    CdpDrop,
    /// The lifetime of a session ends.
    Expiry,
    /// A request gets a 409.
    Conflict,
    /// A request gets a 429.
    TooManyRequests,
    /// A request gets a 503.
    Unavailable,
    /// A request is delayed.
    Slow,
}

impl FaultKind {
    const ALL: [Self; 7] = [
        Self::BrowserCrash,
        Self::CdpDrop,
        Self::Expiry,
        Self::Conflict,
        Self::TooManyRequests,
        Self::Unavailable,
        Self::Slow,
    ];

    const WIRE_NAMES: &'static [&'static str] = &[
        "browser_crash",
        "cdp_drop",
        "expiry",
        "409",
        "429",
        "503",
        "slow",
    ];

    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().zip(Self::WIRE_NAMES);
        let mut names = known.filter_map(|(kind, name)| (*kind == self).then_some(*name));
        names.next().unwrap_or_default()
    }

    fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns true for a fault of a session. Others are faults of a request.
    pub fn is_of_session(self) -> bool {
        matches!(self, Self::BrowserCrash | Self::CdpDrop | Self::Expiry)
    }
}

/// A kind of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Creates a session.
    Create,
    /// Lists sessions.
    List,
    /// Reads the status of a session.
    Status,
    /// Runs code in a session.
    Execute,
    /// Ends a session.
    Delete,
}

impl RequestKind {
    const ALL: [Self; 5] = [
        Self::Create,
        Self::List,
        Self::Status,
        Self::Execute,
        Self::Delete,
    ];

    const WIRE_NAMES: &'static [&'static str] = &["create", "list", "status", "execute", "delete"];

    /// Returns the name on the wire.
    pub fn as_str(self) -> &'static str {
        let known = Self::ALL.iter().zip(Self::WIRE_NAMES);
        let mut names = known.filter_map(|(kind, name)| (*kind == self).then_some(*name));
        names.next().unwrap_or_default()
    }

    fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A validated request for a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRequest {
    /// The fault.
    pub kind: FaultKind,
    /// The id of the session that has the fault, or whose requests have it. `None` is any session.
    pub session: Option<String>,
    /// The number of requests that have the fault, 1..=1000. `None` is now for a fault of a
    /// session, and otherwise one request.
    pub requests: Option<u32>,
    /// The kind of requests that have the fault. `None` is any kind.
    pub on: Option<RequestKind>,
    /// Milliseconds between the arrival of a request and its fault, 0..=60000.
    pub delay_ms: u32,
}

impl FaultRequest {
    /// Validates a body.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let kind = option(fields.get("fault"), FaultKind::from_wire);
        if kind.is_none() {
            issues.push(Issue::not_an_option(&["fault"], FaultKind::WIRE_NAMES));
        }
        let kind = kind.unwrap_or(FaultKind::Slow);
        let session = issues.optional_string(&["session"], fields.get("session"), 1..=64);
        let requests = fields.get("requests");
        let requests =
            requests.map(|value| issues.integer(&["requests"], Some(value), 1..=1000, 1));
        let on = fields.get("on").and_then(|value| {
            let on = option(Some(value), RequestKind::from_wire);
            if on.is_none() {
                issues.push(Issue::not_an_option(&["on"], RequestKind::WIRE_NAMES));
            }
            on
        });
        let default = if kind == FaultKind::Slow {
            DEFAULT_SLOWNESS_MS
        } else {
            0
        };
        let delay_ms =
            issues.milliseconds(&["delayMs"], fields.get("delayMs"), 0..=60_000, default);
        issues.into_result(Self {
            kind,
            session,
            requests,
            on,
            delay_ms,
        })
    }

    /// Returns the issue of a request while `max` faults wait already.
    pub fn too_many(max: usize) -> Vec<Issue> {
        let message = format!("Too many faults wait for requests (limit: {max})");
        vec![Issue::custom(&[], message)]
    }
}

fn option<T>(value: Option<&Field>, from_wire: fn(&str) -> Option<T>) -> Option<T> {
    match value {
        Some(Field::String(name)) => from_wire(name),
        _ => None,
    }
}

/// A validated request for another speed of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRequest {
    /// The seconds of a lifetime that pass in a second, 1..=3600.
    pub speed: u32,
}

impl ClockRequest {
    /// Validates a body.
    pub fn parse(body: &Body) -> Result<Self, Vec<Issue>> {
        let mut issues = IssueCollector::default();
        let Some(fields) = issues.object(&[], body.root()) else {
            return issues.into_err();
        };
        let speed = fields.get("speed").unwrap_or(&Field::Null);
        let speed = issues.integer(&["speed"], Some(speed), 1..=3600, 1);
        issues.into_result(Self { speed })
    }
}

/// A fault that waits for requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the keys of the wire")]
pub struct PendingFault {
    pub fault: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The number of requests that will have it.
    pub requests: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<&'static str>,
    pub delay_ms: u32,
}

/// The state of the test mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the keys of the wire")]
pub struct TestModeResponse {
    pub success: True,
    pub speed: u32,
    /// The faults that wait for requests, in the order in which requests have them.
    pub pending: Vec<PendingFault>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<FaultRequest, Vec<Issue>> {
        FaultRequest::parse(&Body::parse(text.as_bytes()).expect("JSON"))
    }

    #[test]
    fn every_fault_has_a_name() {
        for kind in FaultKind::ALL {
            let body = format!(r#"{{"fault":"{}"}}"#, kind.as_str());
            assert_eq!(parse(&body).expect("valid").kind, kind);
        }
        for kind in RequestKind::ALL {
            let body = format!(r#"{{"fault":"slow","on":"{}"}}"#, kind.as_str());
            assert_eq!(parse(&body).expect("valid").on, Some(kind));
        }
    }

    #[test]
    fn every_invalid_field_is_an_issue() {
        let body = r#"{"fault":"fire","session":1,"requests":0,"on":"scrape","delayMs":60001}"#;
        assert_eq!(parse(body).expect_err("invalid").len(), 5);
        assert_eq!(parse("{}").expect_err("invalid").len(), 1);
        let clock = |text: &str| ClockRequest::parse(&Body::parse(text.as_bytes()).expect("JSON"));
        assert_eq!(clock(r#"{"speed":60}"#), Ok(ClockRequest { speed: 60 }));
        for invalid in ["{}", r#"{"speed":0}"#, r#"{"speed":3601}"#, "[]"] {
            assert!(clock(invalid).is_err(), "{invalid}");
        }
    }
}

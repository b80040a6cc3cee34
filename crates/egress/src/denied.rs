//! Explains denied and failed requests in plain text and log labels. Pure.

use std::fmt::Write;

use crate::addresses;
use crate::authority::{Authority, Host};

/// The setting that allows single targets.
const ALLOW: &str = "HEARTH_EGRESS_ALLOW";

/// The setting that allows metadata services.
const ALLOW_METADATA: &str = "HEARTH_EGRESS_ALLOW_METADATA=true";

/// The field of a request that turns blocking off.
const NO_BLOCKING: &str = "blockAds: false";

/// The reason why a target was denied or could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Egress is off.
    Off,
    /// The name has a meaning only on the server's machine or in its network.
    LocalName,
    /// The port is below 1024 and not a web port.
    Port,
    /// The port is one that browsers block.
    BadPort,
    /// The address is of a blocked kind.
    Address(&'static str),
    /// The target is a metadata service. `is_listed` is true if the allow list contains it.
    Metadata { is_listed: bool },
    /// The target is a port of this server on this machine.
    SelfPort,
    /// The target belongs to the cluster of this server, such as its database.
    Cluster,
    /// The host serves advertisements or trackers, which the session blocks.
    Advertisement,
    /// The name does not resolve.
    Unresolved,
    /// The connection failed.
    Unreachable,
    /// Connecting took too long.
    TimedOut,
    /// The connection ended before the response.
    Broken,
    /// The upstream proxy rejected the request.
    Upstream,
}

/// A target and the reason why it was denied or could not be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) target: Authority,
    pub(crate) reason: Reason,
}

impl Reason {
    /// Returns the label for logs and metrics. Labels are stable, because dashboards depend on
    /// them.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Reason::Off => "off",
            Reason::LocalName => "local name",
            Reason::Port | Reason::BadPort => "port",
            Reason::Address(kind) => kind,
            Reason::Metadata { .. } => "metadata",
            Reason::SelfPort => "own port",
            Reason::Cluster => "cluster",
            Reason::Advertisement => "advertisement",
            Reason::Unresolved => "unresolved",
            Reason::Unreachable => "unreachable",
            Reason::TimedOut => "too slow",
            Reason::Broken => "broken",
            Reason::Upstream => "upstream",
        }
    }

    /// Returns the labels of all rules of the policy.
    pub(crate) fn rule_labels() -> impl Iterator<Item = &'static str> {
        let metadata = Reason::Metadata { is_listed: false };
        let fixed = [
            Reason::Off,
            Reason::LocalName,
            Reason::Port,
            metadata,
            Reason::SelfPort,
            Reason::Cluster,
        ]
        .map(Reason::label);
        fixed.into_iter().chain(addresses::blocked_kinds())
    }

    /// Returns whether a rule denied the target. Otherwise the network failed.
    pub(crate) fn is_rule(self) -> bool {
        !matches!(
            self,
            Reason::Unresolved
                | Reason::Unreachable
                | Reason::TimedOut
                | Reason::Broken
                | Reason::Upstream
        )
    }
}

impl Denied {
    /// Returns what was denied and why, as one sentence without a full stop.
    pub(crate) fn summary(&self) -> String {
        let target = &self.target;
        let port = target.port;
        // Omits the address behind a name, because it would reveal the layout of the network.
        let is_name = matches!(target.host, Host::Name(_));
        let is = if is_name { "resolves to" } else { "is" };
        match self.reason {
            Reason::Off => {
                format!("{target} was denied: HEARTH_EGRESS=off blocks all network access")
            }
            Reason::LocalName => {
                format!(
                    "{target} was denied: the name belongs to the server's own machine or network"
                )
            }
            Reason::Port => {
                format!("{target} was denied: port {port} is below 1024 and is not a web port")
            }
            Reason::BadPort => format!("{target} was denied: browsers block port {port}"),
            Reason::Address(kind) if !is_name && kind.ends_with("network") => {
                format!("{target} was denied: it is in {kind}")
            }
            Reason::Address(kind) => format!("{target} was denied: it {is} {kind}"),
            Reason::Metadata { .. } => {
                format!("{target} was denied: it {is} a cloud metadata service")
            }
            Reason::SelfPort => {
                format!("{target} was denied: it {is} a port of this Hearth server")
            }
            Reason::Cluster => {
                format!("{target} was denied: it {is} a part of this Hearth cluster")
            }
            Reason::Advertisement => {
                format!("{target} was denied: the session blocks advertisements and trackers")
            }
            Reason::Unresolved => {
                format!("{target} could not be reached: the name does not resolve")
            }
            Reason::Unreachable => format!("{target} could not be reached: the connection failed"),
            Reason::TimedOut => format!("{target} could not be reached: connecting timed out"),
            Reason::Broken => {
                format!("{target} was reached, but the connection ended without a valid response")
            }
            Reason::Upstream => {
                format!(
                    "{target} could not be reached: the proxy in HEARTH_EGRESS_PROXY or HEARTH_EGRESS_PROXIES rejected the request"
                )
            }
        }
    }

    /// Returns the settings that would allow the target, if any would.
    pub(crate) fn fix(&self) -> Option<String> {
        let entry = format!("{ALLOW}={}", self.target);
        match self.reason {
            Reason::Off => Some("HEARTH_EGRESS=filtered".to_owned()),
            Reason::LocalName | Reason::Port | Reason::BadPort | Reason::Address(_) => Some(entry),
            Reason::Metadata { is_listed: false } => Some(format!("{entry} {ALLOW_METADATA}")),
            Reason::Metadata { is_listed: true } => Some(ALLOW_METADATA.to_owned()),
            _ => None,
        }
    }

    /// Returns the summary and the fix as one line of plain text without a full stop.
    pub(crate) fn to_line(&self) -> String {
        if self.reason == Reason::Advertisement {
            return format!("{}; set {NO_BLOCKING} to allow it", self.summary());
        }
        match self.fix() {
            Some(fix) => format!("{}; set {fix} to allow it", self.summary()),
            None => self.summary(),
        }
    }

    /// Returns the summary and the fix as plain text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}.\n", self.summary());
        if let Some(fix) = self.fix() {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "To allow it, start the server with {fix}{}",
                self.list_hint()
            );
        } else if matches!(self.reason, Reason::SelfPort | Reason::Cluster) {
            text.push_str("No setting allows this.\n");
        } else if self.reason == Reason::Advertisement {
            let _ = writeln!(text, "To allow it, create the session with {NO_BLOCKING}.");
        }
        text
    }

    fn list_hint(&self) -> &'static str {
        let is_entry = self
            .fix()
            .is_some_and(|fix| fix.starts_with(&format!("{ALLOW}=")));
        if is_entry {
            " (separate entries with commas)."
        } else {
            "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(target: &str, reason: Reason) -> Denied {
        Denied {
            target: Authority::parse(target, None).expect("an authority"),
            reason,
        }
    }

    #[test]
    fn a_denial_names_the_setting_that_allows_it() {
        for (target, reason, fix) in [
            (
                "127.0.0.1:3000",
                Reason::Address("x"),
                Some("HEARTH_EGRESS_ALLOW=127.0.0.1:3000"),
            ),
            (
                "[::1]:3000",
                Reason::Address("x"),
                Some("HEARTH_EGRESS_ALLOW=[::1]:3000"),
            ),
            (
                "localhost:80",
                Reason::LocalName,
                Some("HEARTH_EGRESS_ALLOW=localhost:80"),
            ),
            (
                "a.example:22",
                Reason::Port,
                Some("HEARTH_EGRESS_ALLOW=a.example:22"),
            ),
            (
                "169.254.169.254:80",
                Reason::Metadata { is_listed: false },
                Some("HEARTH_EGRESS_ALLOW=169.254.169.254:80 HEARTH_EGRESS_ALLOW_METADATA=true"),
            ),
            (
                "169.254.169.254:80",
                Reason::Metadata { is_listed: true },
                Some("HEARTH_EGRESS_ALLOW_METADATA=true"),
            ),
            ("127.0.0.1:3010", Reason::SelfPort, None),
            ("10.0.0.7:3011", Reason::Cluster, None),
            ("ads.example:443", Reason::Advertisement, None),
            ("a.example:443", Reason::Unresolved, None),
        ] {
            let denied = denial(target, reason);
            assert_eq!(denied.fix().as_deref(), fix);
            for text in [denied.to_text(), denied.to_line()] {
                assert!(text.contains(target), "{text}");
                assert!(fix.is_none_or(|fix| text.contains(fix)), "{text}");
            }
        }
    }

    #[test]
    fn the_named_entry_is_valid() {
        for target in ["127.0.0.1:3000", "[::1]:3000", "localhost:80"] {
            let denied = denial(target, Reason::LocalName);
            let entry = denied
                .fix()
                .and_then(|fix| fix.strip_prefix("HEARTH_EGRESS_ALLOW=").map(str::to_owned));
            let list: crate::AllowList = entry.expect("an entry").parse().expect("a valid entry");
            assert!(list.names(&denied.target), "{target}");
        }
    }

    #[test]
    fn the_address_behind_a_name_is_omitted() {
        let denied = denial("db.example:443", Reason::Address("a private network"));
        assert_eq!(
            denied.summary(),
            "db.example:443 was denied: it resolves to a private network"
        );
    }
}

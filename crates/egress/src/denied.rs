//! Why something was not reached, in words for whoever wanted it: a page, a program, a log. Pure.

use std::fmt::Write;

use crate::addresses;
use crate::authority::{Authority, Host};

/// The setting that opens single destinations.
const ALLOW: &str = "HEARTH_EGRESS_ALLOW";

/// The switch for metadata services.
const ALLOW_METADATA: &str = "HEARTH_EGRESS_ALLOW_METADATA=true";

/// Why a destination is refused, or could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing goes out.
    Off,
    /// A name that means something on the server's machine or in its network only.
    LocalName,
    /// A port that neither the web nor a user's own service has.
    Port,
    /// A port on which browsers speak to nobody.
    BadPort,
    /// An address of that kind.
    Address(&'static str),
    /// A metadata service; whether an entry of the list names it already.
    Metadata { is_listed: bool },
    /// A port of this server, on this machine.
    SelfPort,
    /// The name has no address.
    Unresolved,
    /// Nobody answers there.
    Unreachable,
    /// Nobody answered in time.
    TimedOut,
    /// The connection broke before the answer.
    Broken,
    /// The proxy beyond ours does not let us through.
    Upstream,
}

/// What was wanted, and why it is not to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) target: Authority,
    pub(crate) reason: Reason,
}

impl Reason {
    /// A word for logs.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Reason::Off => "off",
            Reason::LocalName => "local name",
            Reason::Port | Reason::BadPort => "port",
            Reason::Address(kind) => kind,
            Reason::Metadata { .. } => "metadata",
            Reason::SelfPort => "own port",
            Reason::Unresolved => "unresolved",
            Reason::Unreachable => "unreachable",
            Reason::TimedOut => "too slow",
            Reason::Broken => "broken",
            Reason::Upstream => "upstream",
        }
    }

    /// The word of every rule.
    pub(crate) fn rule_labels() -> impl Iterator<Item = &'static str> {
        let metadata = Reason::Metadata { is_listed: false };
        let own = [
            Reason::Off,
            Reason::LocalName,
            Reason::Port,
            metadata,
            Reason::SelfPort,
        ]
        .map(Reason::label);
        own.into_iter().chain(addresses::blocked_kinds())
    }

    /// Whether it is a rule that keeps it from being reached, and not the network.
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
    /// One sentence without its full stop: what was refused, and why.
    pub(crate) fn summary(&self) -> String {
        let target = &self.target;
        let port = target.port;
        // The address behind a name is not told: it would draw a map of the network for whoever
        // asks.
        let is = if matches!(target.host, Host::Name(_)) {
            "leads to"
        } else {
            "is"
        };
        match self.reason {
            Reason::Off => {
                format!("{target} was refused: HEARTH_EGRESS=off lets nothing out of sessions")
            }
            Reason::LocalName => {
                format!(
                    "{target} was refused: the name belongs to the server's own machine or network"
                )
            }
            Reason::Port => format!(
                "{target} was refused: port {port} is not one of the web or of a user's service"
            ),
            Reason::BadPort => format!(
                "{target} was refused: port {port} belongs to a service that is not of the web"
            ),
            Reason::Address(kind) => format!("{target} was refused: it {is} {kind}"),
            Reason::Metadata { .. } => {
                format!("{target} was refused: it {is} a metadata service of a cloud")
            }
            Reason::SelfPort => {
                format!("{target} was refused: it {is} the server that runs this session")
            }
            Reason::Unresolved => format!("{target} was not reached: the name has no address"),
            Reason::Unreachable => format!("{target} was not reached: nobody answers there"),
            Reason::TimedOut => format!("{target} was not reached: nobody answered in time"),
            Reason::Broken => {
                format!("{target} was reached, and the connection ended without an answer")
            }
            Reason::Upstream => {
                format!(
                    "{target} was not reached: the proxy of HEARTH_EGRESS_PROXY does not let it through"
                )
            }
        }
    }

    /// The settings that would allow it, if any would.
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

    /// All of it in one line of plain text, without its full stop.
    pub(crate) fn to_line(&self) -> String {
        match self.fix() {
            Some(fix) => format!("{}; {fix} allows it", self.summary()),
            None => self.summary(),
        }
    }

    /// All of it for a person, as text.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{}.\n", self.summary());
        if let Some(fix) = self.fix() {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "To allow it, start the server with {fix}{}",
                self.list_hint()
            );
        } else if self.reason == Reason::SelfPort {
            text.push_str("No setting allows that.\n");
        }
        text
    }

    /// All of it for a person, as a page. Names have passed a grammar that knows no markup.
    pub(crate) fn to_page(&self) -> String {
        let title = if self.reason.is_rule() {
            "Refused by Hearth"
        } else {
            "Not reached"
        };
        let fix = match self.fix() {
            Some(fix) => {
                format!(
                    "<p>To allow it, start the server with <code>{fix}</code>{}</p>",
                    self.list_hint()
                )
            }
            None if self.reason == Reason::SelfPort => "<p>No setting allows that.</p>".to_owned(),
            None => String::new(),
        };
        format!(
            "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
             <style>body{{font:16px/1.5 sans-serif;margin:4em auto;max-width:40em;padding:0 1em}}\
             code{{background:#eee;padding:.1em .3em;overflow-wrap:anywhere}}</style>\
             <h1>{title}</h1><p>{}.</p>{fix}",
            self.summary()
        )
    }

    fn list_hint(&self) -> &'static str {
        let is_entry = self
            .fix()
            .is_some_and(|fix| fix.starts_with(&format!("{ALLOW}=")));
        if is_entry {
            " (entries are separated by commas)."
        } else {
            "."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(target: &str, reason: Reason) -> Denied {
        Denied {
            target: Authority::parse(target, None).expect("an authority"),
            reason,
        }
    }

    #[test]
    fn a_refusal_names_the_very_setting_that_allows_it() {
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
            ("a.example:443", Reason::Unresolved, None),
        ] {
            let denied = denied(target, reason);
            assert_eq!(denied.fix().as_deref(), fix);
            for text in [denied.to_text(), denied.to_page(), denied.to_line()] {
                assert!(text.contains(target), "{text}");
                assert!(fix.is_none_or(|fix| text.contains(fix)), "{text}");
            }
        }
    }

    #[test]
    fn the_entry_that_is_named_is_one() {
        for target in ["127.0.0.1:3000", "[::1]:3000", "localhost:80"] {
            let denied = denied(target, Reason::LocalName);
            let entry = denied
                .fix()
                .and_then(|fix| fix.strip_prefix("HEARTH_EGRESS_ALLOW=").map(str::to_owned));
            let list: crate::AllowList = entry
                .expect("an entry")
                .parse()
                .expect("one that can be read");
            assert!(list.names(&denied.target), "{target}");
        }
    }

    #[test]
    fn the_address_behind_a_name_is_not_told() {
        let denied = denied("db.example:443", Reason::Address("a private network"));
        assert_eq!(
            denied.summary(),
            "db.example:443 was refused: it leads to a private network"
        );
    }
}

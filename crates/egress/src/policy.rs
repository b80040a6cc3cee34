//! Decides which targets sessions may connect to. Every request and every CONNECT is checked.
//!
//! Pure: the caller resolves names and supplies the addresses of this machine.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::addresses::{OWN_MACHINE, blocked_kind, is_metadata};
use crate::allow::AllowList;
use crate::authority::{Authority, Host};
use crate::denied::Reason;
use crate::resolve::is_loopback_name;
use crate::upstream::Upstream;

/// The network access of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Allows public addresses and the entries of the allow list.
    #[default]
    Filtered,
    /// Allows nothing.
    Off,
    /// Allows everything except metadata services and the ports of this server.
    Open,
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Mode, ()> {
        match text {
            "filtered" => Ok(Mode::Filtered),
            "off" => Ok(Mode::Off),
            "open" => Ok(Mode::Open),
            _ => Err(()),
        }
    }
}

/// The egress settings of all sessions.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The network access.
    pub mode: Mode,
    /// Targets that are allowed despite the rules.
    pub allow: AllowList,
    /// Permits access to metadata services that `mode` or `allow` opens.
    pub allow_metadata: bool,
    /// The proxy for all targets that are neither on the allow list nor on this machine.
    pub upstream: Option<Upstream>,
}

/// The route of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Directly to the target, after its addresses were checked.
    Direct,
    /// Through the upstream proxy, which resolves the target.
    Upstream,
}

/// Top-level names that refer to this machine or its network, whatever a resolver returns.
const LOCAL_NAMES: &[&str] = &["localhost", "local", "internal"];

/// The allowed ports below 1024.
const WEB_PORTS: &[u16] = &[80, 443];

/// Ports from 1024 that browsers block (<https://fetch.spec.whatwg.org/#port-blocking>), because
/// services on them may act on the content of an HTTP request.
const BAD_PORTS: &[u16] = &[
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080,
];

impl Policy {
    /// Checks the parts of a target that need no name resolution, and returns its route.
    pub(crate) fn plan_route(&self, target: &Authority) -> Result<Route, Reason> {
        if self.mode == Mode::Off {
            return Err(Reason::Off);
        }
        let is_listed = self.allow.names(target);
        if self.mode == Mode::Filtered && !is_listed {
            check_name(&target.host)?;
        }
        // The upstream proxy runs elsewhere.
        if self.upstream.is_none() || is_listed || is_own_machine(&target.host) {
            return Ok(Route::Direct);
        }
        if self.mode == Mode::Filtered {
            check_port(target.port)?;
        }
        Ok(Route::Upstream)
    }

    /// Checks every address of a target and returns the socket addresses to connect to. One blocked
    /// address blocks the whole name.
    ///
    /// `denied` returns the reason if no setting opens a socket address. `is_local` returns
    /// whether an address belongs to this machine. Even its public addresses are blocked, because a
    /// connection to them bypasses every firewall in front of the machine.
    pub(crate) fn check_addresses(
        &self,
        target: &Authority,
        addresses: &[IpAddr],
        denied: impl Fn(SocketAddr) -> Option<Reason>,
        is_local: impl Fn(IpAddr) -> bool,
    ) -> Result<Vec<SocketAddr>, Reason> {
        let check = |address: &IpAddr| {
            let address = address.to_canonical();
            let socket = SocketAddr::new(address, target.port);
            if let Some(reason) = denied(socket) {
                return Err(reason);
            }
            let is_listed = self.allow.names(target) || self.allow.contains(address, target.port);
            if is_metadata(address) {
                let is_open = self.allow_metadata && (is_listed || self.mode == Mode::Open);
                return if is_open {
                    Ok(socket)
                } else {
                    Err(Reason::Metadata { is_listed })
                };
            }
            if self.mode == Mode::Filtered && !is_listed {
                let local = || is_local(address).then_some(OWN_MACHINE);
                blocked_kind(address)
                    .or_else(local)
                    .map_or(Ok(()), |kind| Err(Reason::Address(kind)))?;
                check_port(target.port)?;
            }
            Ok(socket)
        };
        addresses.iter().map(check).collect()
    }
}

/// Returns whether the host means this machine wherever it is used.
fn is_own_machine(host: &Host) -> bool {
    match host {
        Host::Name(name) => is_loopback_name(name),
        Host::Address(address) => address.is_loopback(),
    }
}

fn check_name(host: &Host) -> Result<(), Reason> {
    let Host::Name(name) = host else {
        return Ok(());
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    if LOCAL_NAMES.contains(&last) {
        Err(Reason::LocalName)
    } else {
        Ok(())
    }
}

fn check_port(port: u16) -> Result<(), Reason> {
    match port {
        _ if WEB_PORTS.contains(&port) => Ok(()),
        0..1024 => Err(Reason::Port),
        _ if BAD_PORTS.contains(&port) => Err(Reason::BadPort),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode, allow: &str) -> Policy {
        Policy {
            mode,
            allow: allow.parse().expect("a list"),
            ..Policy::default()
        }
    }

    fn target(text: &str) -> Authority {
        Authority::parse(text, None).expect("an authority")
    }

    /// Runs the complete check, with `addresses` as the result of name resolution. The server
    /// listens on port 3010 of this machine.
    fn decide(policy: &Policy, text: &str, addresses: &[&str]) -> Result<Vec<SocketAddr>, Reason> {
        let target = target(text);
        assert_eq!(policy.plan_route(&target)?, Route::Direct);
        let addresses: Vec<IpAddr> = match target.host {
            Host::Address(address) => vec![address],
            Host::Name(_) => addresses
                .iter()
                .map(|address| address.parse().expect("an address"))
                .collect(),
        };
        let denied = |socket: SocketAddr| {
            let is_self = socket.ip().is_loopback() && socket.port() == 3010;
            is_self.then_some(Reason::SelfPort)
        };
        let is_local = |address: IpAddr| address == IpAddr::from([93, 184, 216, 99]);
        policy.check_addresses(&target, &addresses, denied, is_local)
    }

    #[test]
    fn public_addresses_are_allowed_and_others_are_not() {
        let policy = policy(Mode::Filtered, "");
        assert_eq!(
            decide(&policy, "a.example:443", &["93.184.216.34"]),
            Ok(vec!["93.184.216.34:443".parse().expect("an address")])
        );
        assert!(decide(&policy, "8.8.8.8:80", &[]).is_ok());
        for (text, addresses) in [
            ("a.example:443", vec!["10.0.0.1"]),
            ("a.example:443", vec!["93.184.216.34", "10.0.0.1"]),
            ("a.example:443", vec!["10.0.0.1", "93.184.216.34"]),
            ("a.example:443", vec!["93.184.216.34", "::1"]),
            ("a.example:443", vec!["::ffff:10.0.0.1"]),
            ("93.184.216.99:8080", vec![]),
            ("a.example:443", vec!["93.184.216.99"]),
            ("127.0.0.1:8080", vec![]),
            ("[::1]:8080", vec![]),
            ("[64:ff9b::7f00:1]:8080", vec![]),
        ] {
            let decided = decide(&policy, text, &addresses);
            assert!(
                matches!(decided, Err(Reason::Address(_))),
                "{text} {addresses:?}: {decided:?}"
            );
        }
    }

    #[test]
    fn local_names_are_denied_unless_the_list_names_them() {
        let filtered = policy(Mode::Filtered, "");
        for name in [
            "localhost",
            "a.localhost",
            "printer.local",
            "db.internal",
            "metadata.google.internal",
            "a.b.internal",
        ] {
            assert_eq!(
                decide(&filtered, &format!("{name}:443"), &["93.184.216.34"]),
                Err(Reason::LocalName),
                "{name}"
            );
            let listed = policy(Mode::Filtered, &format!("{name}:443"));
            assert!(
                decide(&listed, &format!("{name}:443"), &["10.0.0.1"]).is_ok(),
                "{name}"
            );
        }
        for name in [
            "notlocalhost",
            "local.example",
            "internal.example",
            "localhost.example",
        ] {
            assert!(
                decide(&filtered, &format!("{name}:443"), &["93.184.216.34"]).is_ok(),
                "{name}"
            );
        }
    }

    #[test]
    fn web_ports_and_user_ports_are_allowed() {
        let filtered = policy(Mode::Filtered, "");
        for port in [80, 443, 1024, 3000, 8080, 8443, 65535] {
            assert!(
                decide(&filtered, &format!("8.8.8.8:{port}"), &[]).is_ok(),
                "{port}"
            );
        }
        for port in [
            1, 21, 22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 993, 1023, 2049, 6000, 6667, 10080,
        ] {
            let decided = decide(&filtered, &format!("8.8.8.8:{port}"), &[]);
            assert!(
                matches!(decided, Err(Reason::Port | Reason::BadPort)),
                "{port}: {decided:?}"
            );
        }
        assert!(decide(&policy(Mode::Filtered, "8.8.8.8:22"), "8.8.8.8:22", &[]).is_ok());
        assert!(decide(&policy(Mode::Open, ""), "8.8.8.8:25", &[]).is_ok());
    }

    #[test]
    fn the_list_opens_addresses_behind_names_too() {
        let listed = policy(Mode::Filtered, "10.0.0.0/8:443");
        assert!(decide(&listed, "db.example:443", &["10.0.0.1"]).is_ok());
        assert!(decide(&listed, "db.example:443", &["10.0.0.1", "192.168.0.1"]).is_err());
        assert!(decide(&listed, "db.example:8443", &["10.0.0.1"]).is_err());
        assert!(
            decide(
                &policy(Mode::Filtered, "10.0.0.0/8:*"),
                "db.example:22",
                &["10.0.0.1"]
            )
            .is_ok()
        );
    }

    #[test]
    fn metadata_services_need_the_second_switch() {
        let metadata = |mode, allow: &str, allow_metadata| {
            let policy = Policy {
                allow_metadata,
                ..policy(mode, allow)
            };
            decide(&policy, "169.254.169.254:80", &[]).is_ok()
        };
        assert!(!metadata(Mode::Filtered, "", false));
        assert!(!metadata(Mode::Filtered, "169.254.169.254:80", false));
        assert!(!metadata(Mode::Filtered, "0.0.0.0/0:*", false));
        assert!(!metadata(Mode::Filtered, "", true));
        assert!(metadata(Mode::Filtered, "169.254.169.254:80", true));
        assert!(!metadata(Mode::Open, "", false));
        assert!(metadata(Mode::Open, "", true));
        let named = policy(Mode::Filtered, "metadata.google.internal:80");
        assert_eq!(
            decide(&named, "metadata.google.internal:80", &["169.254.169.254"]),
            Err(Reason::Metadata { is_listed: true })
        );
    }

    #[test]
    fn the_servers_ports_are_never_allowed() {
        for policy in [
            policy(Mode::Filtered, "127.0.0.0/8:*,localhost:*"),
            policy(Mode::Open, "127.0.0.1:3010"),
            policy(Mode::Open, ":3010"),
            Policy {
                allow_metadata: true,
                ..policy(Mode::Open, "")
            },
        ] {
            for (text, addresses) in [
                ("127.0.0.1:3010", vec![]),
                ("127.9.9.9:3010", vec![]),
                ("[::ffff:127.0.0.1]:3010", vec![]),
                ("localhost:3010", vec!["127.0.0.1"]),
                ("a.example:3010", vec!["93.184.216.34", "127.0.0.1"]),
            ] {
                assert_eq!(
                    decide(&policy, text, &addresses),
                    Err(Reason::SelfPort),
                    "{text}"
                );
            }
            assert!(decide(&policy, "127.0.0.1:3011", &[]).is_ok());
        }
    }

    #[test]
    fn nothing_is_allowed_when_egress_is_off() {
        let off = policy(Mode::Off, "8.8.8.8:443");
        assert_eq!(decide(&off, "8.8.8.8:443", &[]), Err(Reason::Off));
    }

    #[test]
    fn open_mode_allows_everything_else() {
        let open = policy(Mode::Open, "");
        for text in ["10.0.0.1:22", "127.0.0.1:1", "[fd00::1]:443"] {
            assert!(decide(&open, text, &[]).is_ok(), "{text}");
        }
        assert!(decide(&open, "localhost:80", &["127.0.0.1"]).is_ok());
    }

    #[test]
    fn with_an_upstream_proxy_only_listed_targets_are_direct() {
        let upstream = Some("http://proxy.corp.example:3128".parse().expect("a proxy"));
        let policy = Policy {
            upstream,
            ..policy(Mode::Filtered, "10.0.0.1:443,db.internal:443")
        };
        for (text, way) in [
            ("a.example:443", Ok(Route::Upstream)),
            ("8.8.8.8:443", Ok(Route::Upstream)),
            ("10.0.0.1:443", Ok(Route::Direct)),
            ("db.internal:443", Ok(Route::Direct)),
            ("localhost:443", Err(Reason::LocalName)),
            ("a.example:25", Err(Reason::Port)),
        ] {
            assert_eq!(policy.plan_route(&target(text)), way, "{text}");
        }
        let open = Policy {
            mode: Mode::Open,
            ..policy
        };
        for (text, way) in [
            ("localhost:3000", Route::Direct),
            ("a.localhost:3000", Route::Direct),
            ("127.0.0.1:3000", Route::Direct),
            ("[::1]:3000", Route::Direct),
            ("10.0.0.2:3000", Route::Upstream),
            ("printer.local:80", Route::Upstream),
        ] {
            assert_eq!(open.plan_route(&target(text)), Ok(way), "{text}");
        }
    }
}

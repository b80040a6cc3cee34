//! Parses and matches the allow list, whose entries are `host:port` or `cidr:port`. Pure.
//!
//! `localhost`, `127.0.0.1` and `[::1]` are equivalent, because a server on one's own machine is
//! reached by any of them. An entry without a host, such as `:3000`, is a shorthand for the three.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::addresses::is_within;
use crate::authority::{Authority, Host};

/// A list of hosts and networks, each with one port or all ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    /// The port, or `None` for every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    /// `localhost`, `127.0.0.1` and `::1`.
    Loopback,
    Name(String),
    Network(IpAddr, u8),
}

/// An error from parsing an [`AllowList`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseAllowListError {
    /// The entry is malformed.
    #[error(
        "cannot parse {0:?}: expected host:port or network:port, such as localhost:3000, :3000 (the same), api.internal:443, 10.0.0.0/8:* or [fd00::/8]:443"
    )]
    Form(String),
    /// The address has bits set beyond the prefix length.
    #[error(
        "cannot parse {entry:?}: the address has bits set beyond the prefix; did you mean {corrected}?"
    )]
    Network {
        /// The entry as given.
        entry: String,
        /// The entry that was probably meant.
        corrected: String,
    },
}

impl FromStr for AllowList {
    type Err = ParseAllowListError;

    /// Parses comma-separated entries and skips empty ones.
    fn from_str(text: &str) -> Result<AllowList, ParseAllowListError> {
        let entries = text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        Ok(AllowList(
            entries.map(parse_entry).collect::<Result<_, _>>()?,
        ))
    }
}

fn parse_entry(text: &str) -> Result<Entry, ParseAllowListError> {
    let bad = || ParseAllowListError::Form(text.to_owned());
    let (host, port_text) = text.rsplit_once(':').ok_or_else(bad)?;
    // Uses the parser of requests, so that both accept the same ports.
    let as_authority =
        |host: &str| Authority::parse(&format!("{host}:{port_text}"), None).map_err(|_| bad());
    let port = if port_text == "*" {
        None
    } else {
        Some(as_authority("any")?.port)
    };
    if host.is_empty() {
        let hosts = Hosts::Loopback;
        return Ok(Entry { hosts, port });
    }
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let Some((network, prefix)) = bracketed.unwrap_or(host).split_once('/') else {
        let host = Authority::parse(&format!("{host}:1"), None)
            .map_err(|_| bad())?
            .host;
        let hosts = match host {
            host if is_plain_loopback(&host) => Hosts::Loopback,
            Host::Name(name) => Hosts::Name(name),
            Host::Address(address) => Hosts::Network(address, width_of(address)),
        };
        return Ok(Entry { hosts, port });
    };
    let address: IpAddr = network.parse().map_err(|_| bad())?;
    let is_plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
    let prefix: u8 = prefix
        .parse()
        .ok()
        .filter(|prefix| is_plain && *prefix <= width_of(address))
        .ok_or_else(bad)?;
    if address.is_ipv6() != bracketed.is_some() {
        return Err(bad());
    }
    let first = masked(address, prefix);
    if first != address {
        return Err(ParseAllowListError::Network {
            entry: text.to_owned(),
            corrected: match first {
                IpAddr::V4(first) => format!("{first}/{prefix}:{port_text}"),
                IpAddr::V6(first) => format!("[{first}/{prefix}]:{port_text}"),
            },
        });
    }
    Ok(Entry {
        hosts: Hosts::Network(address, prefix),
        port,
    })
}

/// Returns whether the host is one of the three equivalent ones.
fn is_plain_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost",
        Host::Address(address) => {
            [Ipv4Addr::LOCALHOST.into(), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(address)
        }
    }
}

fn width_of(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let kept = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & kept).into())
        }
        IpAddr::V6(v6) => {
            let kept = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & kept).into())
        }
    }
}

impl AllowList {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the list has no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether an entry matches the target as the request names it.
    pub(crate) fn names(&self, target: &Authority) -> bool {
        match &target.host {
            Host::Name(name) => self.with_port(target.port).any(|hosts| match hosts {
                Hosts::Loopback => is_plain_loopback(&target.host),
                Hosts::Name(listed) => listed == name,
                Hosts::Network(..) => false,
            }),
            Host::Address(address) => self.contains(*address, target.port),
        }
    }

    /// Returns whether an entry contains this address and port.
    pub(crate) fn contains(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.with_port(port).any(|hosts| match hosts {
            Hosts::Loopback => is_plain_loopback(&Host::Address(address)),
            Hosts::Name(_) => false,
            Hosts::Network(first, prefix) => is_within(address, *first, *prefix),
        })
    }

    fn with_port(&self, port: u16) -> impl Iterator<Item = &Hosts> {
        self.0
            .iter()
            .filter(move |entry| entry.port.is_none_or(|allowed| allowed == port))
            .map(|entry| &entry.hosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> AllowList {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn names(list: &AllowList, target: &str) -> bool {
        list.names(&Authority::parse(target, None).expect("an authority"))
    }

    #[test]
    fn entries_match_what_they_name_and_nothing_else() {
        let list = list(
            "127.0.0.9:3000, api.internal:443,10.0.0.0/8:*,[::2]:3000,[fd00::/8]:443,,[::1]:3000",
        );
        for target in [
            "127.0.0.9:3000",
            "[::ffff:127.0.0.9]:3000",
            "api.internal:443",
            "API.internal.:443",
            "10.255.0.1:22",
            "[::2]:3000",
            "[fdff::1]:443",
        ] {
            assert!(names(&list, target), "{target}");
        }
        for target in [
            "127.0.0.9:3001",
            "127.0.0.2:3000",
            "api.internal:80",
            "x.api.internal:443",
            "internal:443",
            "11.0.0.1:22",
            "[::3]:3000",
            "[fc00::1]:443",
            "a.localhost:3000",
        ] {
            assert!(!names(&list, target), "{target}");
        }
    }

    #[test]
    fn the_hosts_of_ones_own_machine_are_equivalent() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "[::1]", ""] {
            let one = list(&format!("{host}:3000"));
            let all = list(&format!("{host}:*"));
            for same in [
                "localhost",
                "127.0.0.1",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "localhost.",
            ] {
                assert!(names(&one, &format!("{same}:3000")), "{host} {same}");
                assert!(!names(&one, &format!("{same}:3001")), "{host} {same}");
                assert!(names(&all, &format!("{same}:22")), "{host} {same}");
            }
            for other in ["127.0.0.2", "a.localhost", "[::2]", "10.0.0.1", "a.example"] {
                assert!(!names(&all, &format!("{other}:3000")), "{host} {other}");
            }
        }
        // A range names only its addresses.
        assert!(!names(&list("127.0.0.0/8:3000"), "localhost:3000"));
        assert!(!names(&list("127.0.0.0/8:3000"), "[::1]:3000"));
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        for text in ["", " ", ",", " , "] {
            assert_eq!(list(text), AllowList::default());
        }
    }

    #[test]
    fn a_whole_address_family_can_be_listed() {
        assert!(names(&list("0.0.0.0/0:*"), "10.0.0.1:1"));
        assert!(!names(&list("0.0.0.0/0:*"), "[::1]:1"));
        assert!(names(&list("[::/0]:443"), "[::1]:443"));
    }

    #[test]
    fn malformed_entries_are_rejected() {
        for text in [
            "localhost",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            ":",
            ":0",
            "[]:80",
            "*:80",
            "*.internal:80",
            "http://a:80",
            "a b:80",
            "::1:80",
            "10.0.0.0/33:80",
            "10.0.0.0/+8:80",
            "10.0.0.0/:80",
            "10.0.0/8:80",
            "[10.0.0.0/8]:80",
            "fd00::/8:80",
            "[fd00::/129]:80",
            "127.1:80",
            "a:80-90",
        ] {
            assert!(
                matches!(text.parse::<AllowList>(), Err(ParseAllowListError::Form(_))),
                "{text}"
            );
        }
        let error = "10.1.2.3/8:443"
            .parse::<AllowList>()
            .expect_err("host bits are set");
        assert!(
            error.to_string().contains("mean 10.0.0.0/8:443?"),
            "{error}"
        );
        let error = "[fd00::1/8]:*"
            .parse::<AllowList>()
            .expect_err("host bits are set");
        assert!(error.to_string().contains("mean [fd00::/8]:*?"), "{error}");
    }
}

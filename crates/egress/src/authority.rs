//! Parses the host and port of a request with a strict grammar. Pure.
//!
//! The grammar rejects every text that two parsers could interpret differently.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

/// Maximum length of a DNS name in text form, without a trailing dot (RFC 1035, section 2.3.4).
const MAX_NAME_BYTES: usize = 253;

/// Maximum length of a DNS label.
const MAX_LABEL_BYTES: usize = 63;

/// The host of a request's target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// A name in lower case, without a trailing dot.
    Name(String),
    /// An address. IPv4-mapped addresses are converted to IPv4.
    Address(IpAddr),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Authority {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// An error from parsing an [`Authority`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum ParseAuthorityError {
    #[error("user names are not allowed")]
    UserInfo,
    #[error("the port is missing or invalid")]
    Port,
    #[error("the host is missing")]
    NoHost,
    #[error("the host name has an invalid character or label")]
    Name,
    #[error("the host name is too long")]
    TooLong,
    #[error("the address is not in canonical form")]
    Address,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => address.fmt(f),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Authority {
    /// Parses `host:port`, or `host` alone if there is a default port.
    pub(crate) fn parse(
        text: &str,
        default_port: Option<u16>,
    ) -> Result<Authority, ParseAuthorityError> {
        if text.contains('@') {
            return Err(ParseAuthorityError::UserInfo);
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or(ParseAuthorityError::Address)?;
            let port = match after.strip_prefix(':') {
                None if after.is_empty() => None,
                None => return Err(ParseAuthorityError::Port),
                port => port,
            };
            (Host::Address(parse_v6(inside)?), port)
        } else {
            let (host, port) = text
                .split_once(':')
                .map_or((text, None), |(host, port)| (host, Some(port)));
            (Host::parse(host)?, port)
        };
        let port = match port {
            Some(port) => parse_port(port)?,
            None => default_port.ok_or(ParseAuthorityError::Port)?,
        };
        Ok(Authority { host, port })
    }
}

impl Host {
    /// Parses a name or an IPv4 address.
    pub(crate) fn parse(text: &str) -> Result<Host, ParseAuthorityError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(ParseAuthorityError::NoHost);
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(ParseAuthorityError::TooLong);
        }
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' || byte == b'.';
        if !text.bytes().all(is_plain) {
            return Err(ParseAuthorityError::Name);
        }
        if text.split('.').any(str::is_empty) {
            return Err(ParseAuthorityError::Name);
        }
        if text.split('.').any(|label| label.len() > MAX_LABEL_BYTES) {
            return Err(ParseAuthorityError::TooLong);
        }
        // Parses like browsers (https://url.spec.whatwg.org/#host-parsing), which covers all the
        // old notations of an address as a number and validates `xn--` labels.
        match url::Host::parse(text) {
            // Rust parses only four decimal numbers without leading zeros.
            Ok(url::Host::Ipv4(address)) if text.parse() == Ok(address) => {
                Ok(Host::Address(IpAddr::V4(address)))
            }
            Ok(url::Host::Ipv4(_)) => Err(ParseAuthorityError::Address),
            Ok(url::Host::Domain(name)) if name.eq_ignore_ascii_case(text) => Ok(Host::Name(name)),
            // A last label that looks like a number makes the whole an invalid address.
            Err(_) if ends_in_a_number(text) => Err(ParseAuthorityError::Address),
            _ => Err(ParseAuthorityError::Name),
        }
    }
}

fn ends_in_a_number(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    last.bytes().all(|byte| byte.is_ascii_digit())
        || last.starts_with("0x")
        || last.starts_with("0X")
}

/// Parses the text between brackets. Rejects zones, because they name an interface of the server's
/// machine.
fn parse_v6(text: &str) -> Result<IpAddr, ParseAuthorityError> {
    let address: Ipv6Addr = text.parse().map_err(|_| ParseAuthorityError::Address)?;
    // Accepts RFC 5952 and the hexadecimal notation that browsers use for embedded IPv4 addresses.
    let is_canonical = address.to_string() == text
        || url::Host::<&str>::Ipv6(address).to_string() == format!("[{text}]");
    if is_canonical {
        Ok(IpAddr::V6(address).to_canonical())
    } else {
        Err(ParseAuthorityError::Address)
    }
}

fn parse_port(text: &str) -> Result<u16, ParseAuthorityError> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse()
        .ok()
        .filter(|_| is_canonical)
        .ok_or(ParseAuthorityError::Port)
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, ParseAuthorityError> {
        Authority::parse(text, Some(80)).map(|authority| authority.to_string())
    }

    #[test]
    fn hosts_and_ports_are_parsed() {
        for (text, shown) in [
            ("example.com", "example.com:80"),
            ("example.com:8080", "example.com:8080"),
            ("EXAMPLE.Com.", "example.com:80"),
            ("redis", "redis:80"),
            ("my_service.ns:1", "my_service.ns:1"),
            ("xn--mnchen-3ya.example:443", "xn--mnchen-3ya.example:443"),
            ("1password.com:443", "1password.com:443"),
            ("a.1a:443", "a.1a:443"),
            ("127.0.0.1:3000", "127.0.0.1:3000"),
            ("255.255.255.255:65535", "255.255.255.255:65535"),
            ("[::1]:80", "[::1]:80"),
            ("[2606:4700::1111]", "[2606:4700::1111]:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("[::ffff:7f00:1]:80", "127.0.0.1:80"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(shown), "{text}");
        }
    }

    #[test]
    fn a_port_is_required_without_a_default() {
        assert_eq!(
            Authority::parse("example.com", None),
            Err(ParseAuthorityError::Port)
        );
        assert_eq!(
            Authority::parse("[::1]", None),
            Err(ParseAuthorityError::Port)
        );
    }

    #[test]
    fn ports_are_plain_numbers() {
        for port in [
            "",
            "0",
            "00080",
            "080",
            "65536",
            "99999999999",
            "-1",
            "+80",
            "8o",
            " 80",
            "80 ",
            "80:80",
            "http",
        ] {
            assert_eq!(
                read(&format!("example.com:{port}")),
                Err(ParseAuthorityError::Port),
                "{port}"
            );
            assert!(read(&format!("[::1]:{port}")).is_err(), "{port}");
        }
    }

    #[test]
    fn addresses_are_parsed_in_canonical_form_only() {
        for text in [
            "127.1",
            "127.0.1",
            "127",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0X7F.1",
            "0177.0.0.1",
            "127.0.0.01",
            "127.000.000.001",
            "1.2.3.4.5",
            "256.0.0.1",
            "1.2.3.256",
            "1.2.3.08",
            "example.1",
            "example.0x1",
            "0",
            "00",
            "017700000001",
            "4294967296",
            "[::1",
            "[]",
            "[::1%eth0]",
            "[fe80::1%25eth0]",
            "[::FFFF:127.0.0.1]",
            "[0:0:0:0:0:0:0:1]",
            "[::01]",
            "[0::1]",
            "[::ffff:127.0.0.01]",
            "[2001:DB8::1]",
            "[127.0.0.1]",
            "[example.com]",
            "[::1].",
            "[[::1]]",
            "[v1.x]",
        ] {
            let read = read(text);
            assert!(
                matches!(
                    read,
                    Err(ParseAuthorityError::Address | ParseAuthorityError::Port)
                ),
                "{text}: {read:?}"
            );
        }
    }

    #[test]
    fn names_with_invalid_characters_are_rejected() {
        for text in [
            "exa mple.com",
            "exa\tmple.com",
            "example.com\0",
            "example.com\r\n",
            "example%2ecom",
            "example.com/",
            "example.com?x",
            "example.com#x",
            "example\\.com",
            "example..com",
            ".example.com",
            "example.com..",
            "a!b.example",
            "a$b",
            "a,b",
            "*.example.com",
            "b\u{fc}cher.example",
            "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
            "127\u{3002}0\u{3002}0\u{3002}1",
            "\u{2460}.example",
            "xn--\u{fc}.example",
            "xn--a.example",
            "]",
        ] {
            assert_eq!(read(text), Err(ParseAuthorityError::Name), "{text:?}");
        }
        for text in ["", ".", ":80"] {
            assert_eq!(read(text), Err(ParseAuthorityError::NoHost), "{text:?}");
        }
        for text in [
            "user@example.com",
            "user:pass@example.com:80",
            "@example.com",
            "a@127.0.0.1",
            "[::1]@b",
        ] {
            assert_eq!(read(text), Err(ParseAuthorityError::UserInfo), "{text:?}");
        }
    }

    #[test]
    fn names_that_are_too_long_are_rejected() {
        let long = |labels: usize, last: usize| {
            format!(
                "{}{}",
                format!("{}.", "a".repeat(63)).repeat(labels),
                "a".repeat(last)
            )
        };
        assert!(read(&long(3, 61)).is_ok());
        assert_eq!(read(&long(3, 62)), Err(ParseAuthorityError::TooLong));
        assert!(read(&format!("{}.", long(3, 61))).is_ok());
        assert_eq!(read(&"a".repeat(64)), Err(ParseAuthorityError::TooLong));
    }
}

//! The proxy beyond ours, for networks that let nothing else out. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use thiserror::Error;

use crate::authority::{Authority, Host};

/// Where a proxy is, and who we are to it.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// `Proxy-Authorization`, marked as sensitive.
    pub(crate) authorization: Option<HeaderValue>,
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("host", &self.host)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

/// A text that names no proxy. It does not repeat the text, which may have a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "it is no address of an HTTP proxy, such as http://proxy.example:3128 or http://user:password@proxy.example:3128"
)]
pub struct ParseUpstreamError;

impl Upstream {
    /// Its host and its port, without the password.
    pub fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl FromStr for Upstream {
    type Err = ParseUpstreamError;

    fn from_str(text: &str) -> Result<Upstream, ParseUpstreamError> {
        let url = url::Url::parse(text).map_err(|_| ParseUpstreamError)?;
        let is_plain = url.scheme() == "http"
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return Err(ParseUpstreamError);
        }
        let port = url
            .port_or_known_default()
            .filter(|port| *port != 0)
            .ok_or(ParseUpstreamError)?;
        let authority = format!("{}:{port}", url.host_str().ok_or(ParseUpstreamError)?);
        // Brackets belong to an address in an URL, not in a look-up.
        let host = match Authority::parse(&authority, None)
            .map_err(|_| ParseUpstreamError)?
            .host
        {
            Host::Name(name) => name,
            Host::Address(address) => address.to_string(),
        };
        let authorization = match (url.username(), url.password()) {
            ("", None) => None,
            (user, password) => Some(basic(
                &decoded(user)?,
                &decoded(password.unwrap_or_default())?,
            )?),
        };
        Ok(Upstream {
            host,
            port,
            authorization,
        })
    }
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, ParseUpstreamError> {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    let mut value =
        HeaderValue::try_from(format!("Basic {credentials}")).map_err(|_| ParseUpstreamError)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Undoes the escapes of an URL.
fn decoded(text: &str) -> Result<String, ParseUpstreamError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = after
                .get(..2)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .ok_or(ParseUpstreamError)?;
            bytes.push(u8::from_str_radix(digits, 16).map_err(|_| ParseUpstreamError)?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| ParseUpstreamError)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Upstream {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_proxy_is_an_address_and_perhaps_a_password() {
        let plain = read("http://proxy.example:3128");
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.authorization),
            ("proxy.example", 3128, None)
        );
        assert_eq!(read("http://proxy.example/").port, 80);
        assert_eq!(read("http://[::1]:8080").host, "::1");
        let known = read("http://user:p%40ss:word@proxy.example:3128")
            .authorization
            .expect("a header");
        // user:p@ss:word
        assert_eq!(known, "Basic dXNlcjpwQHNzOndvcmQ=");
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", read("http://user:secret@proxy.example:3128"));
        assert!(
            !shown.contains("secret") && !shown.contains("dXNlcjpzZWNyZXQ="),
            "{shown}"
        );
    }

    #[test]
    fn other_things_are_no_proxies() {
        for text in [
            "",
            "proxy.example:3128",
            "https://proxy.example:3128",
            "socks5://proxy.example:1080",
            "http://proxy.example:0",
            "http://proxy.example:3128/path",
            "http://proxy.example:3128/?q",
            "http://",
            "http://user:%zz@proxy.example:3128",
        ] {
            assert_eq!(
                text.parse::<Upstream>().err(),
                Some(ParseUpstreamError),
                "{text}"
            );
        }
    }
}

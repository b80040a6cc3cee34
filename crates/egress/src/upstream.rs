//! Parses the address of the upstream proxy, for networks that allow only a proxy. Pure.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use thiserror::Error;

use crate::authority::{Authority, Host};

/// The address of an upstream proxy and the credentials for it.
#[derive(Clone)]
pub struct Upstream {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The value of `Proxy-Authorization`, marked as sensitive.
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

/// An error from parsing an [`Upstream`]. It omits the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "expected the URL of an HTTP proxy, such as http://proxy.example:3128 or http://user:password@proxy.example:3128"
)]
pub struct ParseUpstreamError;

impl Upstream {
    /// Returns the host and the port, without the credentials.
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
        // Removes the brackets of an IPv6 address, which only a URL has.
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
                &percent_decode(user)?,
                &percent_decode(password.unwrap_or_default())?,
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

/// Decodes percent-encoded text.
fn percent_decode(text: &str) -> Result<String, ParseUpstreamError> {
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
    fn a_proxy_has_an_address_and_optional_credentials() {
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
    fn other_texts_are_rejected() {
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

//! The address of another server.

use std::fmt;
use std::str::FromStr;

use hyper::http::HeaderValue;
use tokio_rustls::rustls::pki_types::ServerName;
use url::{Host, Url};

/// The address of another server: an origin such as `https://firecrawl.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteServer {
    is_https: bool,
    /// Without the brackets of an IPv6 address.
    host: String,
    port: u16,
    authority: String,
}

impl FromStr for RemoteServer {
    type Err = String;

    fn from_str(text: &str) -> Result<RemoteServer, String> {
        let text = text.trim();
        let error = |why| {
            format!(
                "{text:?} {why}; it must be an origin such as http://127.0.0.1:3010 or https://server.example"
            )
        };
        let url = Url::parse(text).map_err(|_| error("is not a URL"))?;
        let is_https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(error("does not start with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error("contains credentials"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(error("has a path or a query"));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(error("has no host")),
        };
        ServerName::try_from(host.as_str()).map_err(|_| error("has no usable host"))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| error("has no port"))?;
        Ok(RemoteServer {
            is_https,
            host,
            port,
            authority: url.authority().to_owned(),
        })
    }
}

impl RemoteServer {
    /// Returns true if connections to the server use TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the host and the port to connect to.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Returns the name that the server's certificate must have.
    pub(super) fn name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).ok()
    }

    /// Returns the value of a `Host` header that names the server.
    pub fn host_header(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(&self.authority).ok()
    }
}

/// Writes the origin.
impl fmt::Display for RemoteServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_an_origin() {
        for (text, origin, address) in [
            ("http://api:3002", "http://api:3002", ("api", 3002)),
            ("http://api:3002/", "http://api:3002", ("api", 3002)),
            (" http://H.example ", "http://h.example", ("h.example", 80)),
            ("https://h.example", "https://h.example", ("h.example", 443)),
            ("http://[::1]:3002", "http://[::1]:3002", ("::1", 3002)),
            (
                "https://10.0.0.5:443",
                "https://10.0.0.5",
                ("10.0.0.5", 443),
            ),
        ] {
            let server: RemoteServer = text.parse().expect("an origin");
            assert_eq!(server.to_string(), origin);
            assert_eq!(server.address(), address, "{text}");
            assert_eq!(server.is_https(), origin.starts_with("https"));
            assert!(server.name().is_some() && server.host_header().is_some());
        }
    }

    #[test]
    fn other_urls_are_rejected() {
        for text in [
            "",
            "api:3002",
            "ftp://api",
            "http://",
            "http://u:p@api",
            "http://api/v2",
            "http://api?x",
            "http://api:99999",
        ] {
            assert!(text.parse::<RemoteServer>().is_err(), "{text}");
        }
    }
}

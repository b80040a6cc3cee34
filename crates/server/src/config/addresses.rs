//! The addresses of the server: its listen address, its origin for clients, and the pages that may
//! frame it.

use std::net::{SocketAddr, ToSocketAddrs};

use url::Url;

pub(super) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let error = || format!("{text:?} is not an address with a port, such as 127.0.0.1:3010");
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    // `localhost` is the only valid name, because resolving other names could block on the network.
    if text
        .rsplit_once(':')
        .is_none_or(|(name, _)| name != "localhost")
    {
        return Err(error());
    }
    let mut addresses = text.to_socket_addrs().map_err(|_| error())?;
    addresses.find(SocketAddr::is_ipv4).ok_or_else(error)
}

/// Returns the origin (`scheme://host[:port]`) of a URL that has no other parts.
pub(super) fn parse_public_url(text: &str) -> Result<String, String> {
    let text = text.trim();
    let error = |why| {
        format!(
            "{text:?} {why}; it must be an origin such as https://hearth.example or http://10.0.0.5:3010"
        )
    };
    let url = Url::parse(text).map_err(|_| error("is not a URL"))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(error("does not start with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error("contains credentials"));
    }
    // The official Python client drops a path from its base URL, so a path here could not work for
    // every client.
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(error(
            "has a path or a query, and Hearth is served at the root of an origin",
        ));
    }
    Ok(url.origin().ascii_serialization())
}

/// Origins of web pages, from one flag or variable.
#[derive(Clone, Debug)]
pub(crate) struct Origins(pub Vec<String>);

/// Parses a comma-separated list of origins.
pub(super) fn parse_origins(text: &str) -> Result<Origins, String> {
    let origins: Result<_, _> = text.split(',').map(parse_public_url).collect();
    origins.map(Origins)
}

/// Parses sources in the syntax of the header. If one source is invalid, browsers ignore the whole
/// list.
pub(super) fn parse_frame_ancestors(text: &str) -> Result<String, String> {
    let sources: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_source = |source: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/*[]".contains(&byte);
        ["'self'", "'none'"].contains(&source)
            || (!source.is_empty() && source.bytes().all(is_plain))
    };
    let is_unquoted = |source: &&&str| ["self", "none"].contains(*source);
    if let Some(bad) = sources
        .iter()
        .find(|source| !is_source(source))
        .or(sources.iter().find(is_unquoted))
    {
        return Err(format!(
            "{bad:?} is not a source; sources are *, 'none', 'self' (with their quotes) and origins such as https://app.example, separated by spaces"
        ));
    }
    if sources.len() > 1 && sources.contains(&"'none'") {
        return Err("'none' cannot be combined with other sources".to_owned());
    }
    Ok(sources.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_an_origin() {
        assert_eq!(
            parse_public_url("https://h.example/").expect("a valid origin"),
            "https://h.example"
        );
        assert_eq!(
            parse_public_url("http://10.0.0.5:3010").expect("a valid origin"),
            "http://10.0.0.5:3010"
        );
        for text in [
            "h.example",
            "ftp://h.example",
            "https://h.example/path",
            "https://u:p@h.example",
            "https://h.example/?q",
            "https://h.example:99999",
        ] {
            assert!(parse_public_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn frames_are_allowed_to_sources_and_to_nothing_else() {
        for text in [
            "*",
            "'none'",
            "'self' https://app.example",
            "https://*.app.example:8443 http://127.0.0.1:*",
        ] {
            assert_eq!(parse_frame_ancestors(text).expect("a valid origin"), text);
        }
        for text in [
            "https://a.example; script-src *",
            "a,b",
            "self\u{e9}",
            "'unsafe-inline'",
            "'none' *",
            "none",
            "self https://a.example",
        ] {
            assert!(parse_frame_ancestors(text).is_err(), "{text}");
        }
    }
}

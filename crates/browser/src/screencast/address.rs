//! Completes an address that a person typed.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use url::Url;

/// Schemes of addresses without `//`.
const BARE_SCHEMES: [&str; 5] = ["about", "blob", "data", "javascript", "view-source"];

/// Returns the complete address: with `https` in front, or `http` for hosts that rarely have a
/// certificate (IP addresses, `localhost`, names without a dot). The error is a sentence for the
/// viewer.
pub(super) fn complete(typed: &str) -> Result<String, String> {
    let typed = typed.trim();
    let no_address = || format!("\u{201c}{}\u{201d} is not a valid address", shorten(typed));
    if typed.is_empty() {
        return Err("The address is empty".to_owned());
    }
    let scheme = typed
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    if typed.contains("://") || scheme.is_some_and(|scheme| BARE_SCHEMES.contains(&scheme.as_str()))
    {
        return Url::parse(typed)
            .map(|_| typed.to_owned())
            .map_err(|_| no_address());
    }
    let authority = typed.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains(char::is_whitespace) || authority.is_empty() {
        return Err(no_address());
    }
    let scheme = if is_local(authority) { "http" } else { "https" };
    let whole = format!("{scheme}://{typed}");
    Url::parse(&whole).map(|_| whole).map_err(|_| no_address())
}

fn is_local(authority: &str) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest
            .split(']')
            .next()
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    }
    let host = authority.split(':').next().unwrap_or_default();
    !host.contains('.')
        || host.to_ascii_lowercase().ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok()
}

/// Shortens a text for use in a sentence.
pub(super) fn shorten(text: &str) -> Cow<'_, str> {
    match text.floor_char_boundary(80) {
        end if end < text.len() => Cow::Owned(format!("{}\u{2026}", &text[..end])),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_addresses_are_unchanged() {
        for typed in [
            "https://example.com/a b",
            "http://x",
            "about:blank",
            "data:text/html,<b>x",
            "file:///etc/passwd",
        ] {
            assert_eq!(complete(typed).as_deref(), Ok(typed));
        }
    }

    #[test]
    fn names_get_https_and_local_hosts_get_http() {
        for (typed, whole) in [
            (" example.com ", "https://example.com"),
            ("example.com:8443/a?b#c", "https://example.com:8443/a?b#c"),
            ("bücher.example/ü", "https://bücher.example/ü"),
            ("localhost:3000/x", "http://localhost:3000/x"),
            ("app.localhost", "http://app.localhost"),
            ("127.0.0.1:80", "http://127.0.0.1:80"),
            ("[::1]:8080/", "http://[::1]:8080/"),
            ("intranet", "http://intranet"),
        ] {
            assert_eq!(complete(typed).as_deref(), Ok(whole), "{typed}");
        }
    }

    #[test]
    fn invalid_addresses_are_rejected() {
        for typed in [
            "",
            "two words",
            "/path",
            "http://",
            "exa mple.com/x",
            "[::1",
            "a:b:c",
            "x:99999",
        ] {
            assert!(complete(typed).is_err(), "{typed}: {:?}", complete(typed));
        }
    }
}

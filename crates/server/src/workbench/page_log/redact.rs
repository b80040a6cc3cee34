//! Shortens texts of pages, and removes secrets from headers and addresses.

use std::collections::BTreeMap;

use url::Url;

/// The maximum length of an address, in bytes.
pub(super) const MAX_URL_BYTES: usize = 2048;

/// The maximum number of headers of a message that are shown.
const MAX_HEADERS: usize = 24;

/// The maximum length of a header's name and of its value, in bytes.
const MAX_HEADER_BYTES: usize = 160;

/// The value of a header that may contain a secret.
const REDACTED: &str = "[redacted]";

/// Headers that contain secrets.
const SECRET_HEADERS: [&str; 4] = [
    "cookie",
    "set-cookie",
    "authentication-info",
    "proxy-authenticate",
];

/// Parts of the names of other headers that may contain secrets.
const SECRET_PARTS: [&str; 10] = [
    "auth",
    "token",
    "secret",
    "key",
    "session",
    "password",
    "signature",
    "csrf",
    "xsrf",
    "jwt",
];

/// Headers of a request or a response.
pub(super) type Headers = BTreeMap<String, String>;

/// Returns the first headers, without the values of those that may contain secrets.
pub(super) fn redact_headers(headers: &Headers) -> Headers {
    let shown = headers.iter().take(MAX_HEADERS);
    let shown = shown.map(|(name, value)| {
        let value = if is_secret(name) {
            REDACTED
        } else {
            value.as_str()
        };
        (cut(name, MAX_HEADER_BYTES), cut(value, MAX_HEADER_BYTES))
    });
    shown.collect()
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_HEADERS.contains(&name.as_str()) || SECRET_PARTS.iter().any(|part| name.contains(part))
}

/// Returns an address without a user name and password. Shortens it.
pub(super) fn redact_url(url: &str) -> String {
    // Only the part before the path can contain them.
    let authority = url.find("://").map_or("", |at| &url[at + 3..]);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@')
        && let Ok(mut parsed) = Url::parse(url)
    {
        // Fails for addresses that cannot have them.
        let _ = parsed.set_username("");
        let _ = parsed.set_password(None);
        return cut(parsed.as_str(), MAX_URL_BYTES);
    }
    cut(url, MAX_URL_BYTES)
}

/// Returns the beginning of a text. An ellipsis marks what is missing.
pub(super) fn cut(text: &str, max_bytes: usize) -> String {
    if text.len() <= max_bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(max_bytes)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_with_secrets_lose_their_values() {
        let secret = [
            "Cookie",
            "set-cookie",
            "Authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "x-amz-security-token",
            "X-CSRF-Token",
            "X-Session-Id",
        ];
        for name in secret {
            let headers = Headers::from([(name.to_owned(), "hidden".to_owned())]);
            assert_eq!(redact_headers(&headers)[name], REDACTED, "{name}");
        }
        for name in [
            "Accept",
            "content-type",
            "User-Agent",
            "Referer",
            "Location",
        ] {
            let headers = Headers::from([(name.to_owned(), "shown".to_owned())]);
            assert_eq!(redact_headers(&headers)[name], "shown", "{name}");
        }
    }

    #[test]
    fn headers_are_bounded() {
        let many = (0..100).map(|number| (format!("h{number:03}"), "€".repeat(1000)));
        let shown = redact_headers(&many.collect());
        assert_eq!(shown.len(), MAX_HEADERS);
        assert!(
            shown
                .values()
                .all(|value| value.len() < MAX_HEADER_BYTES + 4)
        );
    }

    #[test]
    fn addresses_lose_their_password_and_their_end() {
        assert_eq!(
            redact_url("https://ann:pass@a.example/x?y@z"),
            "https://a.example/x?y@z"
        );
        assert_eq!(redact_url("https://a.example/@x"), "https://a.example/@x");
        assert_eq!(redact_url("data:text/html,<b>@"), "data:text/html,<b>@");
        let long = redact_url(&format!("https://ann@a.example/{}", "x".repeat(5000)));
        assert!(long.starts_with("https://a.example/xx"));
        assert_eq!(long.len(), MAX_URL_BYTES + "…".len());
    }
}

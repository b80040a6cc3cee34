//! Corrections of `HEARTH_EGRESS_ALLOW`: missing ports and brackets, URLs, and other separators.

use hearth_egress::{AllowList, ParseAllowListError};

use super::sites::entries;

/// Hosts of servers that are being developed. The first one is a shorthand.
const OWN_HOSTS: [&str; 5] = ["", "localhost", "127.0.0.1", "::1", "host.docker.internal"];

/// Returns the list that was probably meant, or an empty text if an entry has no clear meaning.
pub(super) fn destinations(value: &str) -> String {
    let entries: Option<Vec<String>> = entries(value).map(corrected).collect();
    entries.unwrap_or_default().join(",")
}

/// Returns whether an entry of the corrected list has a port that the given text does not contain.
pub(super) fn has_new_port(given: &str, corrected: &str) -> bool {
    corrected
        .split(',')
        .filter_map(|entry| entry.rsplit(':').next())
        .any(|port| !given.contains(port))
}

fn corrected(entry: &str) -> Option<String> {
    match entry.parse::<AllowList>() {
        Ok(_) => return Some(entry.to_owned()),
        Err(ParseAllowListError::Network { corrected, .. }) => return Some(corrected),
        Err(ParseAllowListError::Form(_)) => {}
    }
    if let Some((scheme, rest)) = entry.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next()?;
        let port = match scheme {
            "http" | "ws" => "80",
            "https" | "wss" => "443",
            _ => return None,
        };
        return usable([authority.to_owned(), format!("{authority}:{port}")]);
    }
    if entry.bytes().all(|byte| byte.is_ascii_digit()) {
        return usable([format!(":{entry}")]);
    }
    let bare = entry.trim_matches(['[', ']']);
    let (host, port) = entry.rsplit_once(':').unwrap_or((entry, ""));
    let host = if host == "*" && !port.is_empty() {
        ""
    } else {
        host
    };
    // The rest is a path, or the end of a range.
    let digits = port
        .find(|letter: char| !letter.is_ascii_digit())
        .map_or(port, |end| &port[..end]);
    usable([
        format!("{entry}:{}", usual_port(bare)),
        format!("{host}:{digits}"),
        format!("[{host}]:{digits}"),
        format!("[{bare}]:{}", usual_port(bare)),
        format!("{host}:{}", usual_port(host)),
    ])
}

fn usual_port(host: &str) -> &'static str {
    if OWN_HOSTS.contains(&host) {
        "3000"
    } else {
        "443"
    }
}

/// Returns the first entry that the setting accepts.
fn usable<const N: usize>(entries: [String; N]) -> Option<String> {
    entries
        .into_iter()
        .find(|entry| entry.parse::<AllowList>().is_ok_and(|list| list.len() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_corrected_if_their_meaning_is_clear() {
        for (given, expected) in [
            ("3000", ":3000"),
            ("localhost", "localhost:3000"),
            ("127.0.0.1", "127.0.0.1:3000"),
            ("::1", "[::1]:3000"),
            ("[::1]", "[::1]:3000"),
            ("::1:5173", "[::1]:5173"),
            ("host.docker.internal", "host.docker.internal:3000"),
            ("a.example", "a.example:443"),
            ("10.0.0.0/8", "10.0.0.0/8:443"),
            ("10.1.2.3/8:443", "10.0.0.0/8:443"),
            ("fd00::/8:443", "[fd00::/8]:443"),
            ("*:8080", ":8080"),
            ("http://localhost:5173", "localhost:5173"),
            ("http://localhost:5173/app?x#y", "localhost:5173"),
            ("http://localhost", "localhost:80"),
            ("https://api.internal/v1", "api.internal:443"),
            ("ws://[::1]:9229/x", "[::1]:9229"),
            ("localhost:3000/app", "localhost:3000"),
            ("localhost:8000-8010", "localhost:8000"),
            ("localhost:99999", "localhost:3000"),
            ("localhost:", "localhost:3000"),
            (":0", ":3000"),
            (
                "localhost:3000 localhost:5173",
                "localhost:3000,localhost:5173",
            ),
            (":3000; a.example", ":3000,a.example:443"),
        ] {
            assert_eq!(destinations(given), expected, "{given}");
            assert!(expected.parse::<AllowList>().is_ok(), "{expected}");
        }
        for given in ["*", "*.internal:443", "ftp://a.example", "?", "a b/c"] {
            assert_eq!(destinations(given), "", "{given}");
        }
    }

    #[test]
    fn only_guessed_ports_are_new() {
        assert!(!has_new_port("http://localhost:5173/", "localhost:5173"));
        assert!(!has_new_port("3000", ":3000"));
        assert!(has_new_port("localhost", "localhost:3000"));
    }
}

//! Corrections of origins and of lists of sites.

use std::net::{IpAddr, Ipv6Addr};

use hearth_browser::IgnoredCertificates;

use super::addresses::parse_public_url;

/// Returns the entries of a list. Entries may be separated by other characters than commas.
pub(super) fn entries(list: &str) -> impl Iterator<Item = &str> {
    let is_separator = |letter: char| letter == ',' || letter == ';' || letter.is_whitespace();
    list.split(is_separator).filter(|entry| !entry.is_empty())
}

/// Returns origins that were probably meant. Some of them may be invalid.
pub(super) fn origins(value: &str) -> Vec<String> {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let authority = authority(rest);
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    if authority.parse::<Ipv6Addr>().is_ok() {
        return vec![format!("http://[{authority}]")];
    }
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "http",
        "https" => "https",
        // Such a server rarely has a certificate.
        _ if is_local(host) => "http",
        _ => "https",
    };
    vec![
        format!("{scheme}://{authority}"),
        format!("{scheme}://{host}"),
    ]
}

/// Returns the list of origins that was probably meant, or an empty text if an entry has no clear
/// meaning.
pub(super) fn origin_list(value: &str) -> String {
    let meant = |entry: &str| {
        let is_name = |letter: char| letter.is_alphanumeric() || "-._:/[]@".contains(letter);
        let mut origins = origins(entry).into_iter();
        // Browsers send `null` for pages without an origin.
        let is_clear = entry != "null" && entry.chars().all(is_name);
        origins.find(|origin| is_clear && parse_public_url(origin).is_ok())
    };
    joined(entries(value).map(meant))
}

/// Returns the list of HTTPS sites that was probably meant, or an empty text if an entry has no
/// clear meaning.
pub(super) fn https_sites(value: &str) -> String {
    let meant = |entry: &str| {
        let rest = entry.strip_prefix("https://").unwrap_or(entry);
        let site = authority(rest);
        let mut sites = [site.to_owned(), format!("{site}:443")].into_iter();
        sites.find(|site| site.parse::<IgnoredCertificates>().is_ok())
    };
    joined(entries(value).map(meant))
}

/// Joins entries to a list, or returns an empty text if one is missing.
fn joined(entries: impl Iterator<Item = Option<String>>) -> String {
    let entries: Option<Vec<String>> = entries.collect();
    entries.unwrap_or_default().join(",")
}

/// Returns the host and the port at the start of a URL's rest.
fn authority(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

/// Returns true for this machine and for addresses, which public sites do not have as their name.
fn is_local(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let address = host.trim_matches(['[', ']']);
    host == "localhost" || host.ends_with(".localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_of_this_machine_and_of_addresses_have_no_certificate() {
        for (value, expected) in [
            ("localhost:3010", "http://localhost:3010"),
            ("app.localhost", "http://app.localhost"),
            ("127.0.0.1", "http://127.0.0.1"),
            ("10.0.0.5:3010/", "http://10.0.0.5:3010"),
            ("[::1]:3010", "http://[::1]:3010"),
            ("::1", "http://[::1]"),
            ("ws://localhost:3010/x", "http://localhost:3010"),
            ("https://localhost:3010/x", "https://localhost:3010"),
            ("http://u:p@h.example/x?y#z", "http://h.example"),
            ("LOCALHOST:3010", "http://LOCALHOST:3010"),
            ("HTTP://h.example/x", "http://h.example"),
            ("h.example:8443", "https://h.example:8443"),
            ("h.example", "https://h.example"),
        ] {
            assert_eq!(origins(value)[0], expected, "{value}");
            assert!(parse_public_url(expected).is_ok());
        }
    }

    #[test]
    fn every_entry_of_a_list_is_corrected_or_none() {
        for (value, expected) in [
            ("shop.test", "https://shop.test"),
            (
                "https://a.test/,, b.test;localhost:5173",
                "https://a.test,https://b.test,http://localhost:5173",
            ),
            ("a.test:99999", "https://a.test"),
            ("*", ""),
            ("null", ""),
            ("https://a.test,*", ""),
        ] {
            assert_eq!(origin_list(value), expected, "{value}");
        }
        for (value, expected) in [
            ("dev.internal", "dev.internal:443"),
            ("https://a.test:8443/x; [::1]", "a.test:8443,[::1]:443"),
            ("http://a.test", ""),
            ("*:443", ""),
        ] {
            assert_eq!(https_sites(value), expected, "{value}");
        }
    }
}

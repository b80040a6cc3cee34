//! Fuzz targets for the targets of requests, for allow lists, and for header fields.

use hearth_fuzz::{Result as Generated, Target, Unstructured};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use url::Url;

use super::*;
use crate::allow::AllowList;
use crate::headers;

const PARTS: &[&str] = &[
    "a",
    "example.com",
    "EXAMPLE",
    "xn--",
    "xn--mnchen-3ya",
    "0x",
    "0x7f",
    "0177",
    "127",
    "1",
    "256",
    "4294967295",
    ".",
    "..",
    ":",
    "::",
    ":80",
    ":65536",
    "[",
    "]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[2001:db8::1]",
    "%25eth0",
    "%2e",
    "@",
    "/8",
    ":*",
    ",",
    "-",
    "_",
    "\\",
    "#",
    "\0",
    " ",
    "\u{ff11}",
    "\u{3002}",
    "\u{e9}",
    "\u{ad}",
];

/// Returns the host and port to which a browser would connect for `http://AUTHORITY/`.
fn read_by_browser(authority: &str) -> Option<(String, u16)> {
    let url = Url::parse(&format!("http://{authority}/")).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    let host = url.host_str().filter(|_| is_plain)?;
    Some((host.to_owned(), url.port_or_known_default()?))
}

/// Returns the host as a browser writes it, without the trailing dot of a name.
fn in_browser_form(host: &Host) -> String {
    match host {
        Host::Name(name) => name.clone(),
        Host::Address(IpAddr::V4(address)) => address.to_string(),
        Host::Address(IpAddr::V6(address)) => url::Host::<&str>::Ipv6(*address).to_string(),
    }
}

fn check_authority(text: &str) {
    let with_default = Authority::parse(text, Some(80));
    if let Ok(authority) = Authority::parse(text, None) {
        assert_eq!(
            with_default,
            Ok(authority),
            "a default changes no given port"
        );
    }
    let Ok(authority) = with_default else {
        return;
    };
    let shown = authority.to_string();
    assert_eq!(
        Authority::parse(&shown, None).as_ref(),
        Ok(&authority),
        "{text:?} became {shown:?}"
    );
    if let Host::Name(name) = &authority.host {
        assert!(name.len() <= MAX_NAME_BYTES && !name.ends_with('.'));
        assert!(
            name.split('.')
                .all(|label| (1..=MAX_LABEL_BYTES).contains(&label.len()))
        );
        assert_eq!(*name, name.to_ascii_lowercase());
    }
    // The policy checks one parser's result, and a browser or another proxy may use the other's.
    let (host, port) = read_by_browser(text).expect("a browser accepts it");
    let host = host.strip_suffix('.').unwrap_or(&host);
    assert_eq!(port, authority.port, "{text:?}");
    let mapped = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .and_then(|host| host.parse::<Ipv6Addr>().ok())
        .map(|address| IpAddr::V6(address).to_canonical());
    let host = mapped.map_or_else(
        || host.to_owned(),
        |address| in_browser_form(&Host::Address(address)),
    );
    assert_eq!(host, in_browser_form(&authority.host), "{text:?}");
}

#[test]
fn authorities_mean_the_same_to_every_parser() {
    let target = Target {
        name: "proxy-authority",
        words: PARTS,
        inputs: 3000,
        max_bytes: 512,
    };
    let generate = |random: &mut Unstructured<'_>| {
        let mut text = String::new();
        for _ in 0..random.int_in_range(1..=6)? {
            text.push_str(random.choose(PARTS)?);
        }
        Ok(text.into_bytes())
    };
    target.run(generate, |input| {
        let text = String::from_utf8_lossy(input);
        check_authority(&text);
        if let Ok(list) = text.parse::<AllowList>() {
            assert_eq!(text.parse::<AllowList>(), Ok(list));
        }
    });
}

/// Parses lines of `name: value`. Skips invalid ones, which hyper rejects.
fn fields(text: &[u8]) -> HeaderMap {
    let parse = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((
            name,
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?,
        ))
    };
    let lines = text.split(|byte| *byte == b'\n');
    let mut fields = HeaderMap::new();
    for (name, value) in lines.filter_map(parse) {
        fields.append(name, value);
    }
    fields
}

fn generate_fields(random: &mut Unstructured<'_>) -> Generated<Vec<u8>> {
    let mut text = String::new();
    for _ in 0..random.int_in_range(1..=8)? {
        text.push_str(random.choose(&[
            "connection: ",
            "Connection:",
            "upgrade: ",
            "te: ",
            "transfer-encoding: ",
            "content-length: ",
            "keep-alive: ",
            "x-private: ",
            "host: ",
        ])?);
        for number in 0..random.int_in_range(0..=3)? {
            if number > 0 {
                text.push_str(random.choose(&[",", ", ", " ,", ";"])?);
            }
            text.push_str(random.choose(&[
                "close",
                "X-Private",
                "host",
                "Upgrade",
                "websocket",
                "h2c",
                "chunked",
                "\u{e9}",
                "",
            ])?);
        }
        text.push('\n');
    }
    Ok(text.into_bytes())
}

#[test]
fn no_hop_by_hop_field_remains() {
    let target = Target {
        name: "proxy-fields",
        words: &["connection: ", "upgrade: websocket", "x-private", ", "],
        inputs: 2000,
        max_bytes: 2048,
    };
    target.run(generate_fields, |input| {
        let original = fields(input);
        let mut stripped = original.clone();
        headers::strip(&mut stripped);
        let named = original
            .get_all("connection")
            .into_iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase());
        let fixed = [
            "connection",
            "te",
            "upgrade",
            "transfer-encoding",
            "keep-alive",
        ];
        for name in named.chain(fixed.map(str::to_owned)) {
            assert!(!stripped.contains_key(name.as_str()), "{name} remains");
        }
        assert!(!headers::is_websocket_upgrade(&stripped));
        let mut again = stripped.clone();
        headers::strip(&mut again);
        assert_eq!(again, stripped, "stripping again changes nothing");
        headers::set_websocket_upgrade(&mut again);
        assert!(headers::is_websocket_upgrade(&again));
    });
}

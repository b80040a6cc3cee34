//! Covers every edge of every range and every way to embed one address in another.

use super::*;

fn checked(text: &str) -> Option<&'static str> {
    blocked_kind(
        text.parse()
            .unwrap_or_else(|_| panic!("{text} is an address")),
    )
}

/// Covers the first and the last address of every range.
#[test]
fn every_range_of_ipv4_is_blocked_from_its_first_to_its_last_address() {
    for (first, last) in [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("168.63.129.16", "168.63.129.16"),
    ] {
        assert!(checked(first).is_some(), "{first}");
        assert!(checked(last).is_some(), "{last}");
    }
}

#[test]
fn what_lies_between_the_ranges_of_ipv4_is_open() {
    for address in [
        "1.0.0.0",
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "93.184.216.34",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "140.82.121.4",
        "168.63.129.15",
        "168.63.129.17",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
    ] {
        assert_eq!(checked(address), None, "{address}");
    }
}

#[test]
fn of_ipv6_only_global_unicast_is_open() {
    for address in [
        "::",
        "::1",
        "::2",
        "::ffff:0:1",
        "64:ff9b:1::1",
        "64:ff9b:1::808:808",
        "64:ff9b:1:7f00:0:100::",
        "64:ff9b:2::1",
        "100::1",
        "100:0:0:1::1",
        "1fff:ffff::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2001:db8:ffff::1",
        "2002::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::",
        "3fff::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "8000::1",
        "fc00::1",
        "fd00::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fdff:ffff::1",
        "fe80::1",
        "fe80::a9fe:a9fe",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff00::",
        "ff02::1",
        "ff05::2",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        assert!(checked(address).is_some(), "{address}");
    }
    for address in [
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7::1",
        "2001:db9::1",
        "2003::1",
        "2400:cb00::1",
        "2606:4700:4700::1111",
        "2606:2800:220:1:248:1893:25c8:1946",
        "2a00:1450:4001::1",
        "3ffe::1",
        "3fff:1000::1",
    ] {
        assert_eq!(checked(address), None, "{address}");
    }
}

/// Checks embedded addresses in every embedding and every notation.
#[test]
fn an_embedded_address_is_checked_like_the_inner_address() {
    let inner = [
        ("127.0.0.1", false),
        ("127.1.2.3", false),
        ("0.0.0.0", false),
        ("10.1.2.3", false),
        ("100.64.0.1", false),
        ("100.100.100.200", false),
        ("169.254.169.254", false),
        ("169.254.170.2", false),
        ("172.16.0.1", false),
        ("192.0.0.192", false),
        ("192.168.1.1", false),
        ("198.18.0.1", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("168.63.129.16", false),
        ("8.8.8.8", true),
        ("93.184.216.34", true),
    ];
    for (inner, is_open) in inner {
        let bits = inner.parse::<Ipv4Addr>().expect("an address").to_bits();
        let (high, low) = (bits >> 16, bits & 0xffff);
        for wrapped in [
            format!("::ffff:{inner}"),
            format!("::ffff:{high:x}:{low:x}"),
            format!("::{inner}"),
            format!("64:ff9b::{inner}"),
            format!("64:ff9b::{high:x}:{low:x}"),
        ] {
            // `::0.0.0.0` is the unspecified address itself.
            assert_eq!(checked(&wrapped).is_none(), is_open, "{wrapped}");
        }
    }
}

#[test]
fn metadata_services_are_known_however_they_are_wrapped() {
    for address in [
        "169.254.169.254",
        "169.254.169.253",
        "169.254.169.123",
        "169.254.170.2",
        "169.254.170.23",
        "169.254.0.23",
        "100.100.100.200",
        "192.0.0.192",
        "168.63.129.16",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fe80::a9fe:a9fe",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b::100.100.100.200",
    ] {
        let address = address.parse().expect("an address");
        assert!(is_metadata(address), "{address}");
        assert_eq!(
            blocked_kind(address),
            Some("a metadata service"),
            "{address}"
        );
    }
    for address in [
        "127.0.0.1",
        "10.0.0.1",
        "8.8.8.8",
        "100.100.100.199",
        "fd00::1",
        "fe80::1",
        "::1",
    ] {
        assert!(
            !is_metadata(address.parse().expect("an address")),
            "{address}"
        );
    }
}

#[test]
fn a_prefix_of_nothing_is_everything_of_its_family() {
    let any = |text: &str| text.parse::<IpAddr>().expect("an address");
    assert!(is_within(any("9.9.9.9"), any("0.0.0.0"), 0));
    assert!(is_within(any("2000::1"), any("::"), 0));
    assert!(!is_within(any("2000::1"), any("0.0.0.0"), 0));
    assert!(!is_within(any("10.0.0.1"), any("10.0.0.0"), 32));
}

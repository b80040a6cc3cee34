//! Tables of the addresses that are blocked for sessions. Pure.
//!
//! The tables follow the registries of special-purpose addresses
//! (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
//! <https://www.iana.org/assignments/iana-ipv6-special-registry>). For IPv6, only addresses that
//! are assigned as global unicast are allowed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses and the phrase for it in denials.
struct Range {
    first: IpAddr,
    prefix: u8,
    kind: &'static str,
}

const fn v4(first: [u8; 4], prefix: u8, kind: &'static str) -> Range {
    let [a, b, c, d] = first;
    Range {
        first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        prefix,
        kind,
    }
}

const fn v6(first: [u16; 8], prefix: u8, kind: &'static str) -> Range {
    let mut bits = 0;
    let mut group = 0;
    while group < first.len() {
        bits = bits << 16 | first[group] as u128;
        group += 1;
    }
    Range {
        first: IpAddr::V6(Ipv6Addr::from_bits(bits)),
        prefix,
        kind,
    }
}

/// The phrase for an address of the machine that runs the server.
pub(crate) const OWN_MACHINE: &str = "the server's own machine";
const PRIVATE: &str = "a private network";
const LINK_LOCAL: &str = "a link-local address";
const MULTICAST: &str = "a multicast address";
const RESERVED: &str = "a reserved address";
const A_METADATA_SERVICE: &str = "a metadata service";

/// Metadata services of clouds and container platforms, which also return credentials.
const METADATA: &[Range] = &[
    // AWS, GCP, Azure, DigitalOcean, Oracle, OpenStack; 169.254.170.2 and .23 return the roles of
    // containers. No other link-local address is useful to a session, so the whole range counts.
    v4([169, 254, 0, 0], 16, ""),
    // Alibaba.
    v4([100, 100, 100, 200], 32, ""),
    // Oracle, older address.
    v4([192, 0, 0, 192], 32, ""),
    // Azure agent endpoint: a public address that every Azure machine can reach.
    v4([168, 63, 129, 16], 32, ""),
    // AWS over IPv6: metadata, DNS, time, pod roles.
    v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32, ""),
    // GCP over IPv6.
    v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0], 32, ""),
    // OpenStack over IPv6.
    v6([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, ""),
];

const BLOCKED_V4: &[Range] = &[
    v4([0, 0, 0, 0], 8, OWN_MACHINE),
    v4([10, 0, 0, 0], 8, PRIVATE),
    v4([100, 64, 0, 0], 10, "a carrier's internal network"),
    v4([127, 0, 0, 0], 8, OWN_MACHINE),
    v4([169, 254, 0, 0], 16, LINK_LOCAL),
    v4([172, 16, 0, 0], 12, PRIVATE),
    v4([192, 0, 0, 0], 24, RESERVED),
    v4([192, 0, 2, 0], 24, RESERVED),
    v4([192, 88, 99, 0], 24, RESERVED),
    v4([192, 168, 0, 0], 16, PRIVATE),
    v4([198, 18, 0, 0], 15, RESERVED),
    v4([198, 51, 100, 0], 24, RESERVED),
    v4([203, 0, 113, 0], 24, RESERVED),
    v4([224, 0, 0, 0], 4, MULTICAST),
    v4([240, 0, 0, 0], 4, RESERVED),
];

const BLOCKED_V6: &[Range] = &[
    v6([0, 0, 0, 0, 0, 0, 0, 0], 127, OWN_MACHINE),
    v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, PRIVATE),
    v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, PRIVATE),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, LINK_LOCAL),
    v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, MULTICAST),
    // Teredo and ORCHID, documentation, 6to4 (which carries an IPv4 address), documentation.
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, RESERVED),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, RESERVED),
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, RESERVED),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, RESERVED),
];

/// The range that is assigned as global unicast.
const GLOBAL_V6: Range = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, "");

/// The well-known NAT64 prefix. The last four bytes are an IPv4 address.
const NAT64: Range = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "");

/// The deprecated IPv4-compatible form. The last four bytes are an IPv4 address.
const COMPATIBLE: Range = v6([0, 0, 0, 0, 0, 0, 0, 0], 96, "");

/// Returns whether `address` begins with the first `prefix` bits of `first`.
pub(crate) fn is_within(address: IpAddr, first: IpAddr, prefix: u8) -> bool {
    let same = |address: u128, first: u128, width: u32| {
        let ignored = width.saturating_sub(u32::from(prefix));
        address.checked_shr(ignored).unwrap_or(0) == first.checked_shr(ignored).unwrap_or(0)
    };
    match (address, first) {
        (IpAddr::V4(address), IpAddr::V4(first)) => {
            same(address.to_bits().into(), first.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(first)) => same(address.to_bits(), first.to_bits(), 128),
        _ => false,
    }
}

impl Range {
    fn contains(&self, address: IpAddr) -> bool {
        is_within(address, self.first, self.prefix)
    }
}

/// Returns the IPv4 address that an IPv6 address embeds. Packets to the IPv6 address arrive there.
fn unwrapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let whole = IpAddr::V6(address);
    let is_compatible = COMPATIBLE.contains(whole) && address.to_bits() > 1;
    if is_compatible || NAT64.contains(whole) {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    address.to_ipv4_mapped()
}

/// Returns whether the address belongs to a metadata service, directly or embedded in IPv6.
pub(crate) fn is_metadata(address: IpAddr) -> bool {
    let within = |address| METADATA.iter().any(|range| range.contains(address));
    within(address)
        || matches!(address, IpAddr::V6(v6) if unwrapped(v6).is_some_and(|inner| within(IpAddr::V4(inner))))
}

/// Returns the phrase for a blocked address, or `None` if the address is allowed.
pub(crate) fn blocked_kind(address: IpAddr) -> Option<&'static str> {
    if is_metadata(address) {
        return Some(A_METADATA_SERVICE);
    }
    let kind_in = |table: &[Range]| {
        table
            .iter()
            .find(|range| range.contains(address))
            .map(|range| range.kind)
    };
    match address {
        IpAddr::V4(_) => kind_in(BLOCKED_V4),
        IpAddr::V6(v6) => match unwrapped(v6) {
            Some(inner) => blocked_kind(IpAddr::V4(inner)),
            None => {
                kind_in(BLOCKED_V6).or_else(|| (!GLOBAL_V6.contains(address)).then_some(RESERVED))
            }
        },
    }
}

/// Returns every phrase that [`blocked_kind`] can return.
pub(crate) fn blocked_kinds() -> impl Iterator<Item = &'static str> {
    let tables = BLOCKED_V4.iter().chain(BLOCKED_V6).map(|range| range.kind);
    tables.chain([RESERVED, A_METADATA_SERVICE])
}

#[cfg(test)]
mod tests;

//! Hosts of advertisements and trackers, which sessions can block. Pure.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use crate::authority::Host;

/// The maximum number of hosts in a list. A host takes about a hundred bytes.
const MAX_HOSTS: usize = 1_000_000;

/// Well-known hosts that serve only advertisements or count visitors. Their subdomains are blocked
/// too.
const BUILT_IN: &[&str] = &[
    "2mdn.net",
    "adform.net",
    "adnxs.com",
    "ads-twitter.com",
    "adsrvr.org",
    "adservice.google.com",
    "advertising.com",
    "agkn.com",
    "amazon-adsystem.com",
    "analytics.google.com",
    "analytics.tiktok.com",
    "appnexus.com",
    "bidswitch.net",
    "bluekai.com",
    "casalemedia.com",
    "chartbeat.com",
    "chartbeat.net",
    "clarity.ms",
    "connect.facebook.net",
    "contextweb.com",
    "criteo.com",
    "criteo.net",
    "crwdcntrl.net",
    "demdex.net",
    "doubleclick.net",
    "doubleverify.com",
    "exelator.com",
    "google-analytics.com",
    "googleadservices.com",
    "googlesyndication.com",
    "googletagmanager.com",
    "googletagservices.com",
    "hotjar.com",
    "imrworldwide.com",
    "krxd.net",
    "mathtag.com",
    "media.net",
    "moatads.com",
    "mookie1.com",
    "openx.net",
    "outbrain.com",
    "outbrainimg.com",
    "pubmatic.com",
    "quantcast.com",
    "quantserve.com",
    "quantcount.com",
    "rlcdn.com",
    "rubiconproject.com",
    "scorecardresearch.com",
    "serving-sys.com",
    "sharethrough.com",
    "smartadserver.com",
    "taboola.com",
    "tapad.com",
    "teads.tv",
    "turn.com",
    "yieldmo.com",
    "zedo.com",
];

/// A list of hosts. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockList(Arc<HashSet<Box<str>>>);

/// An error from parsing a file with hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseHostsError {
    /// A line has another format.
    #[error("line {0} is neither a host name nor an address with host names")]
    Line(usize),
    /// The file has more than a million hosts.
    #[error("it has more than {MAX_HOSTS} hosts")]
    TooMany,
}

impl BlockList {
    /// Returns the list of well-known hosts.
    pub fn built_in() -> BlockList {
        BlockList(Arc::new(
            BUILT_IN.iter().map(|host| (*host).into()).collect(),
        ))
    }

    /// Adds the hosts of a file in the format of `/etc/hosts`, or with one host in a line. Names
    /// without a dot are not added, because such files contain the names of the local machine.
    pub fn with_hosts(self, text: &str) -> Result<BlockList, ParseHostsError> {
        let mut hosts = Arc::unwrap_or_clone(self.0);
        for (index, line) in text.lines().enumerate() {
            let malformed = ParseHostsError::Line(index + 1);
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace().peekable();
            let has_address = words.next_if(|word| is_address(word)).is_some();
            let names: Vec<&str> = words.collect();
            if names.len() > 1 && !has_address {
                return Err(malformed);
            }
            for name in names.into_iter().filter(|name| !is_address(name)) {
                let Ok(Host::Name(name)) = Host::parse(name) else {
                    return Err(malformed);
                };
                if name.contains('.') {
                    hosts.insert(name.into());
                }
            }
            if hosts.len() > MAX_HOSTS {
                return Err(ParseHostsError::TooMany);
            }
        }
        Ok(BlockList(Arc::new(hosts)))
    }

    /// Returns the number of hosts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns true if the list has no hosts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if the list has the host, or a domain that contains it.
    pub(crate) fn contains(&self, host: &Host) -> bool {
        let Host::Name(name) = host else {
            return false;
        };
        let mut rest = Some(name.as_str());
        while let Some(domain) = rest {
            if self.0.contains(domain) {
                return true;
            }
            rest = domain.split_once('.').map(|(_, parent)| parent);
        }
        false
    }
}

/// Returns true for an address, which may have a zone.
fn is_address(word: &str) -> bool {
    let address = word.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &BlockList, host: &str) -> bool {
        list.contains(&Host::parse(host).expect("a host"))
    }

    #[test]
    fn the_built_in_hosts_are_names_with_a_dot_in_order() {
        for host in BUILT_IN {
            assert_eq!(Host::parse(host), Ok(Host::Name((*host).to_owned())));
            assert!(host.contains('.'), "{host}");
        }
        assert_eq!(BlockList::built_in().len(), BUILT_IN.len());
    }

    #[test]
    fn subdomains_are_blocked_and_parents_are_not() {
        let list = BlockList::built_in();
        for host in [
            "doubleclick.net",
            "ad.doubleclick.net",
            "A.B.DoubleClick.net.",
            "adservice.google.com",
        ] {
            assert!(contains(&list, host), "{host}");
        }
        for host in [
            "net",
            "google.com",
            "www.google.com",
            "notdoubleclick.net",
            "doubleclick.net.example",
            "93.184.216.34",
        ] {
            assert!(!contains(&list, host), "{host}");
        }
    }

    #[test]
    fn a_file_has_hosts_with_and_without_addresses() {
        let text = "# ads\r\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\nfe80::1%lo0 localhost\n\
                    0.0.0.0 0.0.0.0\n0.0.0.0 ads.example Track.Example # two\n\nplain.example\n";
        let list = BlockList::default().with_hosts(text).expect("a list");
        assert_eq!(list.len(), 3);
        for host in ["ads.example", "x.track.example", "plain.example"] {
            assert!(contains(&list, host), "{host}");
        }
        assert!(!contains(&list, "localhost"));
    }

    #[test]
    fn other_formats_are_errors_with_their_line() {
        for line in [
            "||ads.example^",
            "ads.example other.example",
            "http://a.example/",
            "*.a.example",
        ] {
            let text = format!("a.example\n{line}\n");
            let parsed = BlockList::default().with_hosts(&text);
            assert_eq!(parsed.err(), Some(ParseHostsError::Line(2)), "{line}");
        }
    }
}

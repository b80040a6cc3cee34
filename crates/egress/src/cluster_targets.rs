//! The targets that belong to the cluster of this server: the ports between its nodes, its database
//! and its object storage. Sessions cannot connect to them, whatever the settings allow.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use crate::authority::{Authority, Host};
use crate::self_ports::is_local_address;

/// The targets of a cluster, which change with its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterTargets {
    /// Addresses and ports.
    pub addresses: BTreeSet<SocketAddr>,
    /// Host names and ports. They are for targets that an upstream proxy resolves.
    pub names: BTreeSet<(String, u16)>,
}

/// The current targets. The policy reads them for every decision.
#[derive(Debug, Default)]
pub(crate) struct CurrentTargets(RwLock<ClusterTargets>);

impl CurrentTargets {
    pub(crate) fn replace(&self, targets: ClusterTargets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = targets;
    }

    /// Returns true if a target is named as one of the cluster.
    pub(crate) fn names(&self, target: &Authority) -> bool {
        let Host::Name(name) = &target.host else {
            return false;
        };
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut names = targets.names.iter();
        let name = name.trim_end_matches('.');
        names.any(|(other, port)| *port == target.port && other.eq_ignore_ascii_case(name))
    }

    /// Returns true if a socket address is one of the cluster. A port on one address of this
    /// machine counts on all of them, because listeners may have the wildcard address.
    pub(crate) fn contains(&self, socket: SocketAddr) -> bool {
        let socket = canonical(socket);
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if targets.addresses.contains(&socket) {
            return true;
        }
        let mut addresses = targets.addresses.iter();
        addresses.any(|other| other.port() == socket.port() && is_local_address(other.ip()))
            && is_local_address(socket.ip())
    }
}

fn canonical(socket: SocketAddr) -> SocketAddr {
    let address: IpAddr = socket.ip().to_canonical();
    SocketAddr::new(address, socket.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> CurrentTargets {
        let targets = CurrentTargets::default();
        let address = |text: &str| text.parse().expect("an address");
        targets.replace(ClusterTargets {
            addresses: BTreeSet::from([address("10.0.0.7:3011"), address("127.0.0.1:5432")]),
            names: BTreeSet::from([("db.internal".to_owned(), 5432)]),
        });
        targets
    }

    #[test]
    fn addresses_of_the_cluster_match_in_all_their_forms() {
        let targets = targets();
        for socket in [
            "10.0.0.7:3011",
            "[::ffff:10.0.0.7]:3011",
            "127.0.0.1:5432",
            "127.9.9.9:5432",
            "0.0.0.0:5432",
            "[::1]:5432",
        ] {
            let socket = socket.parse().expect("an address");
            assert!(targets.contains(socket), "{socket}");
        }
        for socket in ["10.0.0.7:3012", "10.0.0.8:3011", "127.0.0.1:3011"] {
            let socket = socket.parse().expect("an address");
            assert!(!targets.contains(socket), "{socket}");
        }
        targets.replace(ClusterTargets::default());
        assert!(!targets.contains("10.0.0.7:3011".parse().expect("an address")));
    }

    #[test]
    fn names_of_the_cluster_match_with_their_ports() {
        let targets = targets();
        let names = |text| targets.names(&Authority::parse(text, None).expect("an authority"));
        assert!(names("db.internal:5432"));
        assert!(names("DB.internal.:5432"));
        assert!(!names("db.internal:80"));
        assert!(!names("a.internal:5432"));
        assert!(!names("10.0.0.7:3011"));
    }
}

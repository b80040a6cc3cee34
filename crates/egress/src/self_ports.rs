//! The ports on which this server listens. Sessions cannot connect to them, whatever the settings
//! allow.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{PoisonError, RwLock};

use nix::ifaddrs::getifaddrs;

/// The ports of this server. The policy reads them for every decision.
#[derive(Debug, Default)]
pub(crate) struct SelfPorts(RwLock<BTreeSet<u16>>);

impl SelfPorts {
    pub(crate) fn add(&self, port: u16) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(port);
    }

    pub(crate) fn remove(&self, port: u16) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&port);
    }

    /// Returns whether this server listens on `socket`: one of its ports, on any address of this
    /// machine.
    pub(crate) fn contains(&self, socket: SocketAddr) -> bool {
        let is_port = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&socket.port());
        is_port && is_local_address(socket.ip())
    }
}

/// Returns whether a connection to the address stays on this machine. Queries the interfaces each
/// time, because they change.
pub(crate) fn is_local_address(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    // Some systems treat all of 0.0.0.0/8 as this machine.
    if matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 0) {
        return true;
    }
    // If the interfaces cannot be listed, treats the address as local, because a wrong denial is
    // the safer error.
    let Ok(interfaces) = getifaddrs() else {
        return true;
    };
    interfaces
        .filter_map(|interface| interface.address)
        .any(|own| {
            let v4 = own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip()));
            let v6 = own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip()));
            v4.or(v6) == Some(address)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_port_matches_every_address_of_the_machine_and_no_other() {
        let ports = SelfPorts::default();
        ports.add(3010);
        for socket in [
            "127.0.0.1:3010",
            "127.200.0.1:3010",
            "0.0.0.0:3010",
            "[::1]:3010",
            "[::]:3010",
            "[::ffff:127.0.0.1]:3010",
        ] {
            assert!(
                ports.contains(socket.parse().expect("an address")),
                "{socket}"
            );
        }
        for socket in ["127.0.0.1:3011", "93.184.216.34:3010"] {
            assert!(
                !ports.contains(socket.parse().expect("an address")),
                "{socket}"
            );
        }
        ports.remove(3010);
        assert!(!ports.contains("127.0.0.1:3010".parse().expect("an address")));
    }

    #[test]
    fn addresses_of_interfaces_are_local() {
        let ports = SelfPorts::default();
        ports.add(3010);
        let addresses = getifaddrs()
            .expect("interfaces")
            .filter_map(|interface| interface.address);
        let mut count = 0;
        for address in addresses.filter_map(|address| Some(address.as_sockaddr_in()?.ip())) {
            assert!(
                ports.contains(SocketAddr::new(IpAddr::V4(address), 3010)),
                "{address}"
            );
            count += 1;
        }
        assert!(count > 0, "at least loopback exists");
    }
}

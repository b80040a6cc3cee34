//! Checks that the server could listen on its address.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;

const CHECK: &str = "address";

/// The number of ports above a port in use that are tried for the suggested fix.
const NEIGHBOURS: u16 = 20;

/// Binds the address and releases it. `is_served` is true if a server uses the same data directory.
pub(super) fn address(listen: SocketAddr, is_served: bool) -> Finding {
    let bound = TcpListener::bind(listen).map(drop);
    let free = || free_neighbour(listen);
    evaluate_address(listen, bound, is_served, free)
}

fn free_neighbour(listen: SocketAddr) -> Option<SocketAddr> {
    let ports = listen.port().saturating_add(1)..=listen.port().saturating_add(NEIGHBOURS);
    ports
        .map(|port| SocketAddr::new(listen.ip(), port))
        .find(|address| TcpListener::bind(address).is_ok())
}

fn evaluate_address(
    listen: SocketAddr,
    bound: io::Result<()>,
    is_served: bool,
    free_neighbour: impl FnOnce() -> Option<SocketAddr>,
) -> Finding {
    let Err(error) = bound else {
        let free = if listen.port() == 0 {
            format!("{} with any port", listen.ip())
        } else {
            format!("{listen} is free")
        };
        return Finding::ok(CHECK, free);
    };
    match error.kind() {
        ErrorKind::AddrInUse if is_served => Finding::ok(
            CHECK,
            format!("{listen} is in use, apparently by the server on this data directory"),
        ),
        ErrorKind::AddrInUse => {
            let finding = Finding::failure(CHECK, format!("{listen} is in use by another program"));
            let finding = match free_neighbour() {
                Some(free) => {
                    finding.fixed_by(format!("set: HEARTH_LISTEN={free}   (a free port)"))
                }
                None => finding,
            };
            finding.fixed_by(format!(
                "run: ss -ltnp 'sport = :{}'   (shows which program)",
                listen.port()
            ))
        }
        ErrorKind::PermissionDenied => Finding::failure(
            CHECK,
            format!("{listen}: this user may not listen on privileged ports"),
        )
        .fixed_by("set: HEARTH_LISTEN to a port from 1024 on, behind a proxy")
        .fixed_by(format!(
            "run: sudo sysctl -w net.ipv4.ip_unprivileged_port_start={}",
            listen.port()
        )),
        ErrorKind::AddrNotAvailable => Finding::failure(
            CHECK,
            format!("{} is not an address of this machine", listen.ip()),
        )
        .fixed_by("run: ip -brief address   (lists the addresses that HEARTH_LISTEN can use)"),
        _ => Finding::failure(CHECK, format!("cannot listen on {listen}: {error}"))
            .fixed_by("set: HEARTH_LISTEN=127.0.0.1:3010"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn evaluate(kind: ErrorKind, is_served: bool) -> Finding {
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let free = SocketAddr::from(([127, 0, 0, 1], 81));
        evaluate_address(listen, Err(kind.into()), is_served, || Some(free))
    }

    #[test]
    fn a_port_of_another_program_fails_with_a_free_one() {
        let finding = evaluate(ErrorKind::AddrInUse, false);
        assert_eq!(finding.severity, Severity::Failure);
        assert!(
            finding.fixes[0].starts_with("set: HEARTH_LISTEN=127.0.0.1:81"),
            "{finding:?}"
        );
    }

    #[test]
    fn the_port_of_the_server_on_this_data_dir_is_ok() {
        assert_eq!(evaluate(ErrorKind::AddrInUse, true).severity, Severity::Ok);
    }

    #[test]
    fn every_other_error_fails_with_a_fix() {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::AddrNotAvailable,
            ErrorKind::Other,
        ] {
            let finding = evaluate(kind, true);
            assert_eq!(finding.severity, Severity::Failure, "{kind}");
            assert!(!finding.fixes.is_empty(), "{kind}");
        }
    }
}

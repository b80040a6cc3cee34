//! Checks that the server could listen on its address.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;
use crate::lifecycle::{explain, free_neighbour};

const CHECK: &str = "address";

/// Binds the address and releases it. `is_served` is true if a server uses the same data directory.
pub(super) fn address(listen: SocketAddr, is_served: bool) -> Finding {
    let bound = TcpListener::bind(listen).map(drop);
    evaluate_address(listen, bound, is_served, || free_neighbour(listen))
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
    if error.kind() == ErrorKind::AddrInUse && is_served {
        let about = "is in use, apparently by the server on this data directory";
        return Finding::ok(CHECK, format!("{listen} {about}"));
    }
    let (reason, fixes) = explain(listen, &error, free_neighbour);
    let fixes = fixes.iter().map(|fix| format!("fix: {fix}"));
    fixes.fold(Finding::failure(CHECK, reason), Finding::fixed_by)
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
            finding.fixes[0].starts_with("fix: set HEARTH_LISTEN=127.0.0.1:81"),
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

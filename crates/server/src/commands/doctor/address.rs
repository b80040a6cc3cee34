//! Whether the address to listen on can be had.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use super::finding::Finding;

const CHECK: &str = "address";

/// How many ports above a taken one are tried for the advice.
const NEIGHBOURS: u16 = 20;

/// Listens for a moment. `is_served` is whether a server uses the same data folder.
pub(super) fn address(listen: SocketAddr, is_served: bool) -> Finding {
    let tried = TcpListener::bind(listen).map(drop);
    let free = || free_neighbour(listen);
    judge_address(listen, tried, is_served, free)
}

fn free_neighbour(listen: SocketAddr) -> Option<SocketAddr> {
    let ports = listen.port().saturating_add(1)..=listen.port().saturating_add(NEIGHBOURS);
    ports
        .map(|port| SocketAddr::new(listen.ip(), port))
        .find(|address| TcpListener::bind(address).is_ok())
}

fn judge_address(
    listen: SocketAddr,
    tried: io::Result<()>,
    is_served: bool,
    free_neighbour: impl FnOnce() -> Option<SocketAddr>,
) -> Finding {
    let Err(error) = tried else {
        let free = if listen.port() == 0 {
            format!("{} with any port", listen.ip())
        } else {
            format!("{listen} is free")
        };
        return Finding::fine(CHECK, free);
    };
    match error.kind() {
        ErrorKind::AddrInUse if is_served => Finding::fine(
            CHECK,
            format!("{listen} is in use, by the server on this data folder as it seems"),
        ),
        ErrorKind::AddrInUse => {
            let finding = Finding::failure(CHECK, format!("{listen} is in use by another program"));
            let finding = match free_neighbour() {
                Some(free) => {
                    finding.mended_by(format!("set: HEARTH_LISTEN={free}   (which is free)"))
                }
                None => finding,
            };
            finding.mended_by(format!(
                "run: ss -ltnp 'sport = :{}'   (to see by which)",
                listen.port()
            ))
        }
        ErrorKind::PermissionDenied => Finding::failure(
            CHECK,
            format!("{listen}: this user may not listen on ports that low"),
        )
        .mended_by("set: HEARTH_LISTEN to a port from 1024 on, with a proxy in front of it")
        .mended_by(format!(
            "run: sudo sysctl -w net.ipv4.ip_unprivileged_port_start={}",
            listen.port()
        )),
        ErrorKind::AddrNotAvailable => Finding::failure(
            CHECK,
            format!("{} is no address of this machine", listen.ip()),
        )
        .mended_by("run: ip -brief address   (to see which are, for HEARTH_LISTEN)"),
        _ => Finding::failure(CHECK, format!("{listen} cannot be listened on: {error}"))
            .mended_by("set: HEARTH_LISTEN=127.0.0.1:3010"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    fn judge(kind: ErrorKind, is_served: bool) -> Finding {
        let listen = SocketAddr::from(([127, 0, 0, 1], 80));
        let free = SocketAddr::from(([127, 0, 0, 1], 81));
        judge_address(listen, Err(kind.into()), is_served, || Some(free))
    }

    #[test]
    fn a_port_of_another_program_fails_with_a_free_one() {
        let finding = judge(ErrorKind::AddrInUse, false);
        assert_eq!(finding.verdict, Verdict::Failure);
        assert!(
            finding.mends[0].starts_with("set: HEARTH_LISTEN=127.0.0.1:81"),
            "{finding:?}"
        );
    }

    #[test]
    fn the_port_of_our_own_server_is_fine() {
        assert_eq!(judge(ErrorKind::AddrInUse, true).verdict, Verdict::Fine);
    }

    #[test]
    fn every_other_reason_fails_and_has_a_mend() {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::AddrNotAvailable,
            ErrorKind::Other,
        ] {
            let finding = judge(kind, true);
            assert_eq!(finding.verdict, Verdict::Failure, "{kind}");
            assert!(!finding.mends.is_empty(), "{kind}");
        }
    }
}

//! The address of the server: binding it, and fixes for addresses that cannot be bound.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};

use crate::config::ConfigError;

/// The number of ports above a port in use that are tried for the suggested fix.
const NEIGHBOURS: u16 = 20;

/// Binds the address of the server.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, ConfigError> {
    let listener = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(|error| {
        let (reason, fixes) = explain(address, &error, || free_neighbour(address));
        ConfigError::new("HEARTH_LISTEN", format!("cannot listen: {reason}"))
            .fixed_by(fixes.join("\n       "))
    })
}

/// Returns the reason why an address cannot be bound, and fixes, the best first.
pub(crate) fn explain(
    listen: SocketAddr,
    error: &io::Error,
    free_neighbour: impl FnOnce() -> Option<SocketAddr>,
) -> (String, Vec<String>) {
    let port = listen.port();
    match error.kind() {
        ErrorKind::AddrInUse => {
            let free =
                free_neighbour().map(|free| format!("set HEARTH_LISTEN={free}   (a free port)"));
            let shown = format!("run `ss -ltnp 'sport = :{port}'`   (shows which program)");
            (
                format!("{listen} is in use by another program"),
                free.into_iter().chain([shown]).collect(),
            )
        }
        ErrorKind::PermissionDenied => (
            format!("{listen}: this user may not listen on privileged ports"),
            vec![
                "set HEARTH_LISTEN to a port from 1024 on, behind a proxy".to_owned(),
                format!("run `sudo sysctl -w net.ipv4.ip_unprivileged_port_start={port}`"),
            ],
        ),
        ErrorKind::AddrNotAvailable => (
            format!("{} is not an address of this machine", listen.ip()),
            vec![
                "run `ip -brief address`   (lists the addresses that HEARTH_LISTEN can use)"
                    .to_owned(),
            ],
        ),
        _ => (
            format!("{listen}: {error}"),
            vec!["set HEARTH_LISTEN=127.0.0.1:3010".to_owned()],
        ),
    }
}

/// Returns a free port above the port of an address, on the same interface.
pub(crate) fn free_neighbour(listen: SocketAddr) -> Option<SocketAddr> {
    let ports = listen.port().saturating_add(1)..=listen.port().saturating_add(NEIGHBOURS);
    ports
        .map(|port| SocketAddr::new(listen.ip(), port))
        .find(|address| TcpListener::bind(address).is_ok())
}

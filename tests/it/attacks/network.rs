//! S4, S7, S9, B10: attacks on the machine's network and sockets from running code.

use crate::attacks::row::{Row, contained, never};

pub const SCRIPT: &str = include_str!("../../fixtures/attacks/network.py");

pub const ROWS: &[Row] = &[
    contained(
        "S4",
        "connects by TCP to a service on loopback, under each of its addresses",
        &[
            "tcp_loopback",
            "tcp_other_loopback",
            "tcp_any_address",
            "tcp_loopback_v6",
            "tcp_mapped_v6",
            "tcp_without_waiting",
        ],
    ),
    contained("S4", "tries every loopback port", &["every_port"]),
    contained(
        "B10",
        "accepts connections: listens on every address, without binding one, and on the server's own port",
        &[
            "listen_everywhere",
            "listen_without_binding",
            "listen_beside_server",
        ],
    ),
    contained(
        "B10",
        "connects to a private address and to the metadata address",
        &["tcp_private_address", "tcp_metadata_address"],
    ),
    contained(
        "S4",
        "bypasses connection filters: TCP Fast Open in three ways, MPTCP, SCTP",
        &[
            "?tcp_fast_open",
            "?tcp_fast_open_message",
            "?tcp_fast_open_by_option",
            "?mptcp",
            "?sctp",
        ],
    ),
    contained(
        "B11",
        "sends datagrams, and queries name servers directly",
        &["udp", "udp_v6", "name_server"],
    ),
    contained(
        "R11",
        "opens raw, packet, ping and vsock sockets",
        &["raw_socket", "packet_socket", "?ping_socket", "?vsock"],
    ),
    contained(
        "B10",
        "requests loopback, private and metadata addresses over HTTP, and follows a redirect to one",
        &[
            "http_loopback",
            "http_localhost",
            "http_metadata",
            "http_private",
            "http_redirected",
        ],
    ),
    contained(
        "B10",
        "makes the proxy connect to loopback under each of its names and addresses, or to the metadata address",
        &[
            "tunnel_plain",
            "tunnel_name",
            "?tunnel_name_with_dot",
            "?tunnel_subdomain",
            "tunnel_v6",
            "tunnel_mapped",
            "tunnel_mapped_hex",
            "?tunnel_nat64",
            "tunnel_to_metadata",
        ],
    ),
    never(
        "B10",
        "writes loopback in unusual forms: as zero, as one number, in octal, with a user, a zone, brackets",
        &[
            "tunnel_zero",
            "tunnel_zeros",
            "tunnel_decimal",
            "tunnel_hexadecimal",
            "tunnel_octal",
            "tunnel_short",
            "tunnel_user",
            "tunnel_zone",
            "tunnel_brackets",
            "tunnel_wide",
        ],
    ),
    never(
        "S7",
        "reaches the server's own port through the proxy",
        &["http_server", "tunnel_to_server"],
    ),
    contained(
        "S4",
        "uses another session's proxy",
        &["proxy_of_neighbour"],
    ),
    contained(
        "S9",
        "connects to a world-accessible Unix socket, such as docker.sock or a session bus",
        &[
            "unix_stream",
            "unix_dgram",
            "unix_dgram_message",
            "unix_raw",
            "unix_by_a_planted_link",
        ],
    ),
    contained(
        "S9",
        "connects to an abstract Unix socket",
        &["unix_abstract"],
    ),
    contained(
        "S9",
        "reconnects one end of a socket pair to another process",
        &[
            "unix_pair_connected_again",
            "unix_pair_sent_elsewhere",
            "unix_raw_pair_connected_again",
        ],
    ),
];

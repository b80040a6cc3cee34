//! Connections between the nodes of a cluster: TLS with pinned certificates, and the forwarding of
//! HTTP requests and WebSockets. Knows no sessions, no axum and no SQL.
#![forbid(unsafe_code)]

//! Tests of connections between nodes over real sockets.

mod connections;
mod exchanges;
mod harness;
mod identities;
mod upgrades;

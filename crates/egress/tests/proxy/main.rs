//! Tests the proxy over real sockets. Two loopback addresses serve as an allowed and a blocked
//! target.

mod denials;
mod forwarding;
mod fuzz;
mod harness;
mod lifecycle;
mod session_rules;
mod smuggling;
mod tunnels;
mod upstream;

/// A short response that ends its connection.
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nX-Own: 1\r\n\r\nhello";

//! Limits of the server that are not settings.

use std::net::SocketAddr;
use std::time::Duration;

use hearth_egress::LookupLimits;

use super::error::ConfigError;

/// The variable with which tests lift these limits. It is not a setting, and no document names it.
const LIFT: &str = "HEARTH_TEST_LIFT_RESOURCE_LIMITS";

/// Limits on what clients and session code can make the server hold. Every server has the same,
/// except in tests, which prove with [`ServerLimits::LIFTED`] that their attacks need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerLimits {
    /// Connections of clients may use one of this many descriptors.
    pub descriptors_per_connection: u64,
    /// Connections of a session's programs to its browser.
    pub session_connections: usize,
    /// The size of a request's head. hyper also uses it as the size of its buffers.
    pub head_bytes: usize,
    /// The time for the head of a request, from its first byte, or from the start of the
    /// connection.
    pub head_time: Duration,
    /// The size of a body up to which malformed JSON is reported before a bad key. The key of a
    /// larger request is checked first, so that only clients with a key can make the server keep
    /// more.
    pub unchecked_body_bytes: usize,
    /// The time for the first part of a body.
    pub body_time: Duration,
    /// CDP calls above 1 MiB that are handled at a time.
    pub large_calls: usize,
    /// The size of a part in which a CDP client's frame is read. It is a multiple of four.
    pub frame_bytes: u64,
    /// Name lookups of sessions.
    pub lookups: LookupLimits,
    /// Descriptors that each watcher holds in reserve.
    pub reserved_descriptors: usize,
    /// Failed readings of a watcher in a row after which a limit counts as reached.
    pub failed_readings: u32,
    /// Executions that wait for a turn, per session and language.
    pub queued_executions: usize,
    /// The minimum number of bytes that a client must read in a period while more wait.
    pub min_read_bytes: u64,
    /// The time for the acknowledgement of sent data, in milliseconds. After it, the kernel drops
    /// the connection. 0 is the kernel's default. See `TCP_USER_TIMEOUT` in tcp(7).
    pub acknowledge_ms: u32,
    /// The time for reading a response after its session has ended.
    pub release_time: Duration,
    /// Log lines per second about requests without a key.
    pub unauthenticated_log_lines: u32,
    /// Log lines per second about other requests.
    pub log_lines: u32,
    /// Log lines about other requests after a pause.
    pub burst_log_lines: u32,
    /// The length of a path in the log.
    pub log_path_bytes: usize,
}

impl ServerLimits {
    /// The limits of every server that is not tested without them.
    pub const STANDARD: ServerLimits = ServerLimits {
        descriptors_per_connection: 4,
        session_connections: 32,
        head_bytes: 32 * 1024,
        head_time: Duration::from_secs(10),
        unchecked_body_bytes: 64 * 1024,
        body_time: Duration::from_secs(10),
        large_calls: 1,
        frame_bytes: 128 * 1024,
        lookups: LookupLimits::STANDARD,
        reserved_descriptors: 16,
        failed_readings: 2,
        queued_executions: 32,
        min_read_bytes: 80 * 1024,
        acknowledge_ms: 10_000,
        release_time: Duration::from_secs(10),
        unauthenticated_log_lines: 10,
        log_lines: 50,
        burst_log_lines: 2000,
        log_path_bytes: 256,
    };

    /// The limits when a test lifts them.
    const LIFTED: ServerLimits = ServerLimits {
        descriptors_per_connection: 1,
        session_connections: 1 << 20,
        head_bytes: 1 << 20,
        head_time: Duration::from_hours(1),
        unchecked_body_bytes: usize::MAX,
        body_time: Duration::from_hours(1),
        large_calls: 1 << 20,
        frame_bytes: u64::MAX,
        lookups: LookupLimits {
            all_sessions: 1 << 20,
            session: 1 << 20,
        },
        reserved_descriptors: 0,
        failed_readings: u32::MAX,
        queued_executions: 1 << 20,
        min_read_bytes: 0,
        acknowledge_ms: 0,
        release_time: Duration::from_hours(1),
        unauthenticated_log_lines: u32::MAX,
        log_lines: u32::MAX,
        burst_log_lines: u32::MAX,
        log_path_bytes: usize::MAX,
    };

    /// Returns the limits. Reads the environment.
    #[expect(clippy::disallowed_methods, reason = "settings are read here")]
    pub fn read() -> ServerLimits {
        if std::env::var_os(LIFT).is_some_and(|value| value == "true") {
            ServerLimits::LIFTED
        } else {
            ServerLimits::STANDARD
        }
    }

    /// Returns true for the name of the variable that lifts the limits.
    pub fn is_variable(name: &str) -> bool {
        name == LIFT
    }

    /// Returns true if a test has lifted the limits.
    pub fn are_lifted(self) -> bool {
        self == ServerLimits::LIFTED
    }

    /// Returns an error if the limits are lifted and other machines could reach the server.
    pub fn check_listen(self, listen: SocketAddr) -> Result<(), ConfigError> {
        if !self.are_lifted() || listen.ip().is_loopback() {
            return Ok(());
        }
        Err(ConfigError::new(
            LIFT,
            format!("{listen} can be reached from other machines: unset this variable"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifted_limits_are_only_for_loopback() {
        let everywhere = "0.0.0.0:3010".parse().expect("an address");
        let loopback = "127.0.0.1:0".parse().expect("an address");
        assert!(ServerLimits::LIFTED.check_listen(everywhere).is_err());
        assert!(ServerLimits::LIFTED.check_listen(loopback).is_ok());
        assert!(ServerLimits::STANDARD.check_listen(everywhere).is_ok());
    }
}

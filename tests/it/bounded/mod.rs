//! Resources of the server that clients and session code try to exhaust. The attacks run at
//! `default`, as root and as a plain user, while the server is measured from outside. They also run
//! against a server whose limits are lifted, where they must succeed; otherwise the other results
//! would prove nothing.

mod descriptors;
mod dns;
mod inside;
mod keyless;
mod large_calls;
pub(crate) mod load;
mod peak;
mod quotas;
mod requests;
mod row;
mod scenario;
pub(crate) mod watch;

use hearth_test_support::netns;
use hearth_test_support::process::raise_open_file_limit;

use self::row::Row;
use self::scenario::{assert_bounded, assert_unbounded};
use crate::attacks::level::Level;

/// Keys of two teams: the attackers, and others.
const KEY: &str = "key-a";
const OTHER_KEY: &str = "key-b";

/// The setting for the keys.
const KEYS: &str = "alpha:key-a,beta:key-b";

/// Returns all attacks, for the matrix.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    let groups = [keyless::ROWS, inside::ROWS, large_calls::ROWS];
    groups.into_iter().flatten()
}

/// Returns true if the test should continue. Only root can start servers as other users.
fn is_possible(test: &str) -> bool {
    if !netns::is_possible() {
        eprintln!("{test} is skipped: only root can start a server as another user");
        return false;
    }
    raise_open_file_limit();
    true
}

macro_rules! bounded {
    ($($(#[$attribute:meta])* $test:ident: $level:expr, $rows:expr;)*) => {
        $(
            $(#[$attribute])*
            #[tokio::test]
            async fn $test() {
                if is_possible(stringify!($test)) {
                    assert_bounded($level, $rows).await;
                }
            }
        )*
    };
}

bounded! {
    at_default_as_root_clients_without_a_key_cannot_exhaust_the_server: Level::Root, keyless::ROWS;
    at_default_as_root_sessions_cannot_exhaust_the_server: Level::Root, inside::ROWS;
    at_default_as_root_large_calls_cannot_exhaust_the_server: Level::Root, large_calls::ROWS;
    #[ignore = "needs the whole machine for a minute; for make soak"]
    at_default_as_a_plain_user_clients_without_a_key_cannot_exhaust_the_server:
        Level::Plain, keyless::ROWS;
    #[ignore = "needs the whole machine for a minute; for make soak"]
    at_default_as_a_plain_user_sessions_cannot_exhaust_the_server: Level::Plain, inside::ROWS;
    #[ignore = "needs the whole machine for a minute; for make soak"]
    at_default_as_a_plain_user_large_calls_cannot_exhaust_the_server:
        Level::Plain, large_calls::ROWS;
}

macro_rules! unbounded {
    ($($test:ident: $rows:expr;)*) => {
        $(
            #[tokio::test]
            #[ignore = "needs the whole machine for minutes; for make soak"]
            async fn $test() {
                if is_possible(stringify!($test)) {
                    assert_unbounded($rows).await;
                }
            }
        )*
    };
}

unbounded! {
    without_limits_clients_without_a_key_exhaust_the_server: keyless::ROWS;
    without_limits_sessions_exhaust_the_server: inside::ROWS;
    without_limits_large_calls_exhaust_the_server: large_calls::ROWS;
}

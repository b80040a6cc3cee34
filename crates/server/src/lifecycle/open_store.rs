//! Opening the store: the file in the data directory, or the database of a cluster.

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::prepare::bad_data_dir;
use crate::config::{ClusterSpec, Config, ConfigError};
use crate::store::{FILE, Store, StoreError, StorePlace, Writer};

/// The time for a database to answer when the server starts.
const DATABASE_TIMEOUT: Duration = Duration::from_mins(1);

/// The time between two attempts to reach the database.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Opens the store of a server.
pub(super) async fn open(config: &Config) -> Result<(Store, Writer), ConfigError> {
    if let Some(cluster) = &config.cluster {
        return open_database(cluster).await;
    }
    let dir = &config.data_dir;
    let opened = Store::open(StorePlace::Dir(dir)).await;
    opened.map_err(|error| store_error(dir, &error))
}

/// Opens the database of a cluster. Waits for it if it does not answer, because both may start at
/// the same time.
async fn open_database(cluster: &ClusterSpec) -> Result<(Store, Writer), ConfigError> {
    let place = StorePlace::Database {
        url: &cluster.database,
        node: &cluster.node_name,
    };
    let began = Instant::now();
    let mut is_waiting = false;
    loop {
        let error = match Store::open(place).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        if !error.is_temporary() || began.elapsed() >= DATABASE_TIMEOUT {
            return Err(database_error(&error));
        }
        if !is_waiting {
            tracing::warn!(%error, "database not reached; waiting for it");
            is_waiting = true;
        }
        sleep_until(Instant::now() + RETRY_INTERVAL).await;
    }
}

/// Returns the error about a store that was opened and cannot be used.
pub(super) fn statement_error(config: &Config, error: &StoreError) -> ConfigError {
    match config.cluster {
        Some(_) => database_error(error),
        None => store_error(&config.data_dir, error),
    }
}

/// Returns the error about a file that cannot be used.
fn store_error(dir: &Path, error: &StoreError) -> ConfigError {
    let file = dir.join(FILE);
    let bad = bad_data_dir(format!("cannot use the store: {error}"));
    match error {
        StoreError::Newer { .. } => bad,
        _ => bad.fixed_by(format!(
            "if it is damaged, move {} away: profiles stay, and the records of earlier sessions are lost",
            file.display()
        )),
    }
}

/// Returns the error about a database that cannot be used.
pub(crate) fn database_error(error: &StoreError) -> ConfigError {
    let bad = ConfigError::new("HEARTH_DATABASE_URL", error.to_string());
    match error {
        StoreError::Unusable { fix, .. } => bad.fixed_by(fix.clone()),
        _ if error.is_temporary() => bad
            .fixed_by("start PostgreSQL, or correct the host and the port in the URL")
            .temporary(),
        _ => bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClusterSecrets, DatabaseUrl, PeerTls};

    /// The clock is paused, so the minute passes at once.
    #[tokio::test(start_paused = true)]
    async fn a_database_that_does_not_answer_is_a_temporary_error_in_the_end() {
        // Nothing listens on port 1.
        let url = DatabaseUrl::parse("postgresql://me@127.0.0.1:1/hearth");
        let cluster = ClusterSpec {
            database: url.expect("valid"),
            node_name: "a".to_owned(),
            peer_listen: ([127, 0, 0, 1], 0).into(),
            peer_address: ([127, 0, 0, 1], 0).into(),
            peer_tls: PeerTls::Off,
            secrets: ClusterSecrets::parse(&"s".repeat(32)).expect("valid"),
            profile_store: None,
            drain: Duration::ZERO,
            retire_after_sessions: None,
        };
        let began = Instant::now();
        let error = open_database(&cluster).await.expect_err("nothing listens");
        assert!(began.elapsed() >= DATABASE_TIMEOUT);
        assert!(error.is_temporary && error.fix.is_some(), "{error}");
        let text = error.to_string();
        assert!(text.contains("cannot reach 127.0.0.1:1/hearth: "), "{text}");
    }
}

//! Connections of the pool, with a time limit.

/// Runs work on a connection. One that does not reply in time is closed, because waiting for its
/// reply would keep it from other statements.
macro_rules! on_connection {
    ($pool:expr, $connection:ident => $work:expr) => {{
        let mut $connection = $pool.acquire().await?;
        let result = timeout(BOUND, $work).await;
        if result.is_err() {
            drop($connection.detach());
        }
        result.unwrap_or(Err(crate::store::error::StoreError::NoReply))
    }};
}

pub(super) use on_connection;

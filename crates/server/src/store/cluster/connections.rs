//! Connections of the pool, with a time limit.

/// Runs work on a connection, and measures it as a statement of this kind. A connection that does
/// not reply in time is closed, because waiting for its reply would keep it from other statements.
macro_rules! on_connection {
    ($database:expr, $statement:ident, $connection:ident => $work:expr) => {{
        // Boxed, because the state of a statement is large.
        let working = Box::pin(async {
            let mut $connection = $database.pool().acquire().await?;
            let result = timeout(BOUND, $work).await;
            if result.is_err() {
                drop($connection.detach());
            }
            result.unwrap_or(Err(crate::store::error::StoreError::NoReply))
        });
        crate::store::measured::measured(
            $database.metrics(),
            crate::metrics::StoreStatement::$statement,
            working,
        )
        .await
    }};
}

pub(super) use on_connection;

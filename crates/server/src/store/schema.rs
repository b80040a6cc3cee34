//! The shape of the store, from its first form to today's, one file a step. A step that has been
//! released is never changed.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqlitePool};

use super::StoreError;

const STEPS: [(i64, &str, &str); 2] = [
    (
        1,
        "sessions and executions",
        include_str!("schema/0001_sessions_and_executions.sql"),
    ),
    (2, "profiles", include_str!("schema/0002_profiles.sql")),
];

/// The number of the last step.
pub(super) const LAST: usize = STEPS.len();

/// Brings the store to today's shape, and leaves one from the future alone.
pub(super) async fn bring_up_to_date(pool: &SqlitePool) -> Result<(), StoreError> {
    let steps = STEPS.map(|(version, description, sql)| {
        Migration::new(
            version,
            Cow::Borrowed(description),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(steps.to_vec());
    migrator.run(pool).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            StoreError::Newer {
                theirs: version,
                ours: STEPS.len(),
            }
        }
        error => StoreError::Schema(error),
    })
}

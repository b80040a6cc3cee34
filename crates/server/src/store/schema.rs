//! Migrations of the schema, one file each. A released migration is never changed.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqlitePool};

use super::error::StoreError;

const MIGRATIONS: [(i64, &str, &str); 3] = [
    (
        1,
        "sessions and executions",
        include_str!("schema/0001_sessions_and_executions.sql"),
    ),
    (2, "profiles", include_str!("schema/0002_profiles.sql")),
    (3, "scrapes", include_str!("schema/0003_scrapes.sql")),
];

/// The number of the last migration.
pub(super) const LAST: usize = MIGRATIONS.len();

/// Applies the missing migrations. Fails without a change if the schema is newer.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<(), StoreError> {
    let steps = MIGRATIONS.map(|(version, description, sql)| {
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
                ours: MIGRATIONS.len(),
            }
        }
        error => StoreError::Schema(error),
    })
}

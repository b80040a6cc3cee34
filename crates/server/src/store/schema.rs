//! Migrations of the schema, one file each. A released migration is never changed.
//!
//! Both engines have the same numbers. A migration for one engine is empty for the other one.

use std::borrow::Cow;

use sqlx::error::DatabaseError;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlSafeStr, SqlitePool};

use super::error::StoreError;
use super::statements;

/// A migration for both engines.
struct Step {
    version: i64,
    description: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

const STEPS: [Step; 5] = [
    shared(
        1,
        "sessions and executions",
        include_str!("schema/0001_sessions_and_executions.sql"),
    ),
    shared(2, "profiles", include_str!("schema/0002_profiles.sql")),
    shared(3, "scrapes", include_str!("schema/0003_scrapes.sql")),
    shared(4, "nodes", include_str!("schema/0004_nodes.sql")),
    Step {
        version: 5,
        description: "cluster",
        sqlite: "SELECT 1",
        postgres: include_str!("schema/0005_cluster.postgres.sql"),
    },
];

const fn shared(version: i64, description: &'static str, sql: &'static str) -> Step {
    Step {
        version,
        description,
        sqlite: sql,
        postgres: sql,
    }
}

/// Waits until no other node migrates. The lock ends with the transaction. Its number has no
/// meaning.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4217033086)";

/// The number of the last migration.
pub(super) const LAST: i64 = STEPS[STEPS.len() - 1].version;

fn migrator(sql_of: fn(&Step) -> &'static str) -> Migrator {
    let migrations = STEPS.iter().map(|step| {
        Migration::new(
            step.version,
            Cow::Borrowed(step.description),
            MigrationType::Simple,
            sql_of(step).into_sql_str(),
            false,
        )
    });
    Migrator::with_migrations(migrations.collect())
}

/// Applies the missing migrations. Fails without a change if the schema is newer.
pub(super) async fn migrate_sqlite(pool: &SqlitePool) -> Result<(), StoreError> {
    let migrated = migrator(|step| step.sqlite).run(pool).await;
    migrated.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            StoreError::Newer {
                theirs: version,
                ours: LAST,
            }
        }
        error => StoreError::Schema(error),
    })
}

/// Applies the missing migrations in one transaction. Leaves a newer schema unchanged, and fails
/// unless it is compatible with this version. Nodes of two versions share a database during an
/// upgrade.
pub(super) async fn migrate_postgres(connection: &mut PgConnection) -> Result<(), StoreError> {
    if check_postgres(connection).await? >= LAST {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    let mut migrator = migrator(|step| step.postgres);
    // Its lock would belong to a connection, which PgBouncer can give to others.
    migrator.set_locking(false);
    // A newer node may have migrated in the meantime.
    migrator.set_ignore_missing(true);
    let migrated = migrator.run_direct(None, &mut *transaction, false).await;
    migrated.map_err(StoreError::Schema)?;
    transaction.commit().await?;
    check_postgres(connection).await.map(drop)
}

/// Returns the number of the last migration, or 0 for an empty database. Fails if the schema is
/// newer and not compatible with this version.
pub(super) async fn check_postgres(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let last = sqlx::query_scalar(statements::LAST_MIGRATION)
        .fetch_one(&mut *connection)
        .await;
    let last = last_migration(last)?;
    if last <= LAST {
        return Ok(last);
    }
    let oldest: i64 = sqlx::query_scalar(statements::OLDEST_COMPATIBLE_MIGRATION)
        .fetch_one(connection)
        .await?;
    if oldest <= LAST {
        Ok(last)
    } else {
        Err(StoreError::Newer {
            theirs: last,
            ours: LAST,
        })
    }
}

/// Returns the result of [`LAST_MIGRATION`](statements::LAST_MIGRATION), or 0 without migrations.
pub(super) fn last_migration(result: Result<Option<i64>, sqlx::Error>) -> Result<i64, StoreError> {
    match result {
        Err(sqlx::Error::Database(error)) if is_missing_table(&*error) => Ok(0),
        last => Ok(last?.unwrap_or(0)),
    }
}

/// Returns true for PostgreSQL's code of a missing table, or SQLite's message, which has no code.
fn is_missing_table(error: &dyn DatabaseError) -> bool {
    error.code().as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

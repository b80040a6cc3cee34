//! The PostgreSQL database of a cluster: connections, errors, and the check before a start.

use std::fmt::Display;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgPool};
use tokio::time::timeout;

use super::error::StoreError;
use super::schema;
use crate::config::DatabaseUrl;

/// The number of connections for statements of sessions.
const MAX_CONNECTIONS: u32 = 4;

/// The time limit for a first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(2500);

/// The age at which a connection of the pool is replaced. After a failover, it can lead to a server
/// that answers but rejects every write.
const CONNECTION_LIFETIME: Duration = Duration::from_mins(5);

/// The time limit for the check before a start.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// The rights that a node needs, and a right that it should not have.
const RIGHTS: &str = "
    SELECT has_schema_privilege(current_schema(), 'CREATE'),
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)";

/// Selects the server's time in milliseconds since 1970.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The state of a database that a node could use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DatabaseState {
    /// The number of the last migration, or 0 for an empty database.
    pub schema: i64,
    /// True if the role of the URL is a superuser.
    pub is_superuser: bool,
    /// The server's time in milliseconds since 1970.
    pub now_ms: i64,
}

/// Connects to the database, and migrates its schema.
pub(super) async fn open(url: &DatabaseUrl) -> Result<PgPool, StoreError> {
    let options = options(url)?;
    // The pool would hide the reason of an error.
    let mut connection = connect(url, &options).await?;
    let migrated = schema::migrate_postgres(&mut connection).await;
    migrated.map_err(|error| describe_migration(url, error))?;
    let _ = connection.close().await;
    Ok(PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_lifetime(CONNECTION_LIFETIME)
        .connect_lazy_with(options))
}

async fn connect(
    url: &DatabaseUrl,
    options: &PgConnectOptions,
) -> Result<PgConnection, StoreError> {
    let connected = timeout(CONNECT_TIMEOUT, options.connect()).await;
    let connected = connected.unwrap_or_else(|_| {
        let seconds = CONNECT_TIMEOUT.as_secs();
        let reason = format!("no reply within {seconds} s");
        Err(io::Error::new(io::ErrorKind::TimedOut, reason).into())
    });
    connected.map_err(|error| describe(url, error))
}

pub(super) fn options(url: &DatabaseUrl) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url.as_str());
    let options = options.map_err(|error| describe(url, error))?;
    Ok(options
        .application_name("hearth")
        // PgBouncer rejects this parameter by default, and no statement has a float.
        .extra_float_digits(None)
        .disable_statement_logging())
}

/// Describes an error of a connection, and its fix.
fn describe(url: &DatabaseUrl, error: sqlx::Error) -> StoreError {
    let server = url.to_string();
    let unreachable = |reason: String| StoreError::Unreachable {
        server: url.to_string(),
        reason,
    };
    let tls_failed = |error: &dyn Display| {
        (
            format!("TLS failed: {error}"),
            "add sslrootcert=FILE to the URL, or sslmode=disable if nobody else can read the network"
                .to_owned(),
        )
    };
    let (reason, fix) = match error {
        // The certificate is not accepted.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => tls_failed(&error),
        sqlx::Error::Io(error) => return unreachable(error.to_string()),
        sqlx::Error::Database(error) => {
            let message = error.message().to_owned();
            let (role, database) = (url.role(), url.database());
            match error.code().as_deref().unwrap_or_default() {
                // It starts or stops, has too many connections, or is a replica.
                "57P01" | "57P02" | "57P03" | "53300" | "25006" => return unreachable(message),
                "28P01" | "28000" => (
                    message,
                    "correct the user and the password in HEARTH_DATABASE_URL, or allow the login in pg_hba.conf".to_owned(),
                ),
                "3D000" => (
                    message,
                    format!("run `createdb --owner={role} {database}` as a superuser, or correct the name"),
                ),
                "42501" => (
                    message,
                    format!("run `ALTER DATABASE {database} OWNER TO {role}` as a superuser"),
                ),
                _ => (message, "correct the database or HEARTH_DATABASE_URL".to_owned()),
            }
        }
        sqlx::Error::Tls(error) => tls_failed(&error),
        sqlx::Error::Configuration(error) => (
            error.to_string(),
            "correct the parameters of HEARTH_DATABASE_URL".to_owned(),
        ),
        // A proxy without a server closes the connection.
        sqlx::Error::Protocol(_) => {
            return unreachable("the reply is not one of PostgreSQL".to_owned());
        }
        error => (error.to_string(), "correct HEARTH_DATABASE_URL".to_owned()),
    };
    StoreError::Unusable {
        server,
        reason,
        fix,
    }
}

fn describe_migration(url: &DatabaseUrl, error: StoreError) -> StoreError {
    match error {
        StoreError::Statement(error)
        | StoreError::Schema(
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _),
        ) => describe(url, error),
        StoreError::Newer { theirs, ours } => StoreError::Unusable {
            server: url.to_string(),
            reason: format!(
                "a newer Hearth uses it (schema {theirs}, this version supports {ours})"
            ),
            fix: "start that version, or set HEARTH_DATABASE_URL to another database".to_owned(),
        },
        error => error,
    }
}

/// Checks that a node could use the database. Changes nothing.
pub(super) async fn check(url: &DatabaseUrl) -> Result<DatabaseState, StoreError> {
    let options = options(url)?;
    let mut connection = connect(url, &options).await?;
    let checked = timeout(CHECK_TIMEOUT, state_of(&mut connection)).await;
    let checked = checked.map_err(|_| StoreError::NoReply)?;
    let (state, may_create) = checked.map_err(|error| describe_migration(url, error))?;
    let _ = connection.close().await;
    if state.schema == 0 && !may_create {
        let database = url.database();
        let role = url.role();
        return Err(StoreError::Unusable {
            server: url.to_string(),
            reason: "the role of the URL may not create tables".to_owned(),
            fix: format!("run `ALTER DATABASE {database} OWNER TO {role}` as a superuser"),
        });
    }
    Ok(state)
}

/// Returns the state of a database, and true if its role may create tables.
async fn state_of(connection: &mut PgConnection) -> Result<(DatabaseState, bool), StoreError> {
    let schema = schema::check_postgres(connection).await?;
    let (may_create, is_superuser): (Option<bool>, Option<bool>) =
        sqlx::query_as(RIGHTS).fetch_one(&mut *connection).await?;
    let now_ms = sqlx::query_scalar(NOW).fetch_one(&mut *connection).await?;
    let state = DatabaseState {
        schema,
        is_superuser: is_superuser.unwrap_or(false),
        now_ms,
    };
    Ok((state, may_create.unwrap_or(false)))
}

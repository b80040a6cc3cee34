//! The two database engines behind the store, and statements that both run.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Database, Encode, Row, SqlitePool, Type};
use tokio::time::timeout;

use super::error::StoreError;
use super::measured::{ClusterDatabase, measured};
use crate::metrics::{StoreMetrics, StoreStatement};

/// The time limit for one statement of PostgreSQL. A server behind a broken network never answers.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time limit for one transaction of PostgreSQL.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections to one database.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool, StoreMetrics),
    Postgres(ClusterDatabase),
}

/// A statement of [`statements`](super::statements) with its parameters.
#[derive(Debug)]
pub(super) struct Statement {
    sql: &'static str,
    values: Vec<Value>,
}

/// A parameter. Both engines have columns of these types.
#[derive(Debug)]
pub(super) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
}

/// A row of either engine.
pub(super) trait Columns {
    /// Returns a text, unless it is NULL or not a text.
    fn text(&self, column: &str) -> Option<String>;

    /// Returns a number, unless it is NULL or not a number.
    fn number(&self, column: &str) -> Option<i64>;
}

/// Runs work on a connection, and measures it. A connection of PostgreSQL is closed when the time
/// limit is over, because waiting for its reply would keep it from other statements.
macro_rules! on_connection {
    ($pool:expr, $statement:ident, $limit:expr, $connection:ident => $work:expr) => {{
        // Boxed, because the state of a statement is large.
        let working = Box::pin(async move {
            match $pool {
                Pool::Sqlite(pool, _) => {
                    let mut $connection = pool.acquire().await?;
                    Ok($work.await?)
                }
                Pool::Postgres(database) => {
                    let mut $connection = database.pool().acquire().await?;
                    let result = timeout($limit, $work).await;
                    if result.is_err() {
                        drop($connection.detach());
                    }
                    Ok(result.map_err(|_| StoreError::NoReply)??)
                }
            }
        });
        measured($pool.metrics(), StoreStatement::$statement, working).await
    }};
}

impl Pool {
    pub fn metrics(&self) -> &StoreMetrics {
        match self {
            Pool::Sqlite(_, metrics) => metrics,
            Pool::Postgres(database) => database.metrics(),
        }
    }

    /// Runs a statement. Returns the number of changed rows.
    pub async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        on_connection!(self, Write, STATEMENT_TIMEOUT, connection => async {
            let done = statement.query().execute(&mut *connection).await?;
            Ok::<_, sqlx::Error>(done.rows_affected())
        })
    }

    /// Runs statements in one transaction.
    pub async fn execute_all(&self, statements: Vec<Statement>) -> Result<(), StoreError> {
        on_connection!(self, Write, TRANSACTION_TIMEOUT, connection => async {
            let mut transaction = connection.begin().await?;
            for statement in statements {
                statement.query().execute(&mut *transaction).await?;
            }
            transaction.commit().await
        })
    }

    /// Runs a query, and converts its rows with `read`. Skips rows that it does not convert.
    pub async fn fetch<T>(
        &self,
        statement: Statement,
        read: fn(&dyn Columns) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        on_connection!(self, Read, STATEMENT_TIMEOUT, connection => async {
            let rows = statement.query().fetch_all(&mut *connection).await?;
            Ok::<_, sqlx::Error>(rows.iter().filter_map(|row| read(row)).collect())
        })
    }
}

impl Statement {
    pub fn new(sql: &'static str) -> Statement {
        Statement {
            sql,
            values: Vec::new(),
        }
    }

    /// Adds the next parameter.
    pub fn bind(mut self, value: impl Into<Value>) -> Statement {
        self.values.push(value.into());
        self
    }

    fn query<'q, DB: Database>(self) -> Query<'q, DB, DB::Arguments>
    where
        Option<String>: for<'t> Encode<'t, DB> + Type<DB>,
        Option<i64>: for<'t> Encode<'t, DB> + Type<DB>,
        bool: for<'t> Encode<'t, DB> + Type<DB>,
    {
        let query = sqlx::query(self.sql);
        self.values
            .into_iter()
            .fold(query, |query, value| match value {
                Value::Text(text) => query.bind(text),
                Value::Number(number) => query.bind(number),
                Value::Flag(flag) => query.bind(flag),
            })
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Value {
        Value::Text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(Some(text))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Value {
        Value::Text(text.map(str::to_owned))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Value {
        Value::Number(number)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Number(Some(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

macro_rules! columns_of {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, column: &str) -> Option<String> {
                self.try_get::<Option<String>, _>(column).ok().flatten()
            }

            fn number(&self, column: &str) -> Option<i64> {
                self.try_get::<Option<i64>, _>(column).ok().flatten()
            }
        }
    };
}

columns_of!(SqliteRow);
columns_of!(PgRow);

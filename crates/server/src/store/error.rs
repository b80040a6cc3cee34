//! Errors of the store.

use std::path::PathBuf;

use sqlx::error::ErrorKind;
use thiserror::Error;

/// An error of the store.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The path of the file.
        path: PathBuf,
        /// SQLite's reason.
        source: sqlx::Error,
    },
    /// A newer version of Hearth wrote the file.
    #[error(
        "a newer Hearth wrote it (schema {theirs}, this version supports {ours}): start that version, or use another HEARTH_DATA_DIR"
    )]
    Newer {
        /// The schema version of the file.
        theirs: i64,
        /// The newest schema version that this Hearth supports.
        ours: i64,
    },
    /// The PostgreSQL server does not answer, or accepts no connections for now.
    #[error("cannot reach {server}: {reason}")]
    Unreachable {
        /// The server and the database.
        server: String,
        reason: String,
    },
    /// The PostgreSQL database cannot be used before somebody changes something.
    #[error("cannot use {server}: {reason}")]
    Unusable {
        /// The server and the database.
        server: String,
        reason: String,
        /// The fix as an instruction.
        fix: String,
    },
    /// The PostgreSQL server did not reply in time. It may have run the statement.
    #[error("the database did not reply in time")]
    NoReply,
    /// A migration failed.
    #[error("schema migration failed: {0}")]
    Schema(sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("{}", describe(.0))]
    Statement(#[from] sqlx::Error),
}

/// Returns the text of an error for people. The library's own text for a database that is away
/// sounds like a pool that is too small.
fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => "the database does not answer".to_owned(),
        error => error.to_string(),
    }
}

impl StoreError {
    /// Returns true if the same statement may succeed later without a change of settings.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Unreachable { .. } | StoreError::NoReply)
    }

    /// Returns true if another statement has taken a value that must be unique.
    pub fn is_conflict(&self) -> bool {
        matches!(self, StoreError::Statement(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Returns true if the store does not work. If it only rejects a statement, it works.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            // The store is full, stops, or has too many connections.
            StoreError::Statement(sqlx::Error::Database(error)) => error.kind() == ErrorKind::Other,
            StoreError::Statement(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::WorkerCrashed
            ),
            _ => true,
        }
    }

    /// Returns true if the statement may have been executed in spite of the error.
    pub(super) fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            StoreError::NoReply
                | StoreError::Statement(sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)
        )
    }
}

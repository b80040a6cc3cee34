//! Errors of the store.

use std::path::PathBuf;

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
        ours: usize,
    },
    /// A migration failed.
    #[error("schema migration failed: {0}")]
    Schema(sqlx::migrate::MigrateError),
    /// A statement failed.
    #[error("{0}")]
    Statement(#[from] sqlx::Error),
}

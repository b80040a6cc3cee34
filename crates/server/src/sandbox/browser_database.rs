//! The database from which Chromium reads further certificate authorities. A script creates it with
//! the library that Chromium uses too, in the sandbox of code.

use std::io;
use std::path::Path;

use hearth_sandbox::Exit;
use thiserror::Error;

use super::probes::run;
use super::session::SessionSandbox;
use super::trust::DatabaseFile;
use crate::toolchain::Runtime;

/// The name of the directory that the script creates in its working directory.
const DIR: &str = "database";

/// The reason why there is no database.
#[derive(Debug, Error)]
pub(crate) enum DatabaseError {
    #[error("{0}")]
    Rejected(String),
    #[error("cannot create the browser's database of certificates: {0}")]
    Script(#[from] io::Error),
}

/// Creates the database for the certificates in a file that programs of `sandbox` can read.
pub(crate) async fn create_database(
    sandbox: &SessionSandbox,
    runtime: &Runtime,
    file: &Path,
) -> Result<Vec<DatabaseFile>, DatabaseError> {
    let args = vec![
        "-I".to_owned(),
        runtime.certificate_database.display().to_string(),
        file.display().to_string(),
        DIR.to_owned(),
    ];
    let (exit, stdout, stderr) = run(&sandbox.code, sandbox, &runtime.python, args).await?;
    if exit != Exit::Code(0) {
        let last = stderr.trim().lines().last().unwrap_or("no output");
        return Err(DatabaseError::Rejected(last.to_owned()));
    }
    Ok(serde_json::from_str(&stdout).map_err(io::Error::from)?)
}

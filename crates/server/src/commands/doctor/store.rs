//! Checks that a server could use the store in the data directory.

use std::path::Path;

use super::finding::Finding;
use crate::store::{FILE, Store, StoreError};

const CHECK: &str = "store";

/// Returns a failure if a server could not use the store in `data_dir`. Do not call this while a
/// server uses it.
pub(super) async fn store(data_dir: &Path) -> Option<Finding> {
    let error = Store::check(data_dir).await.err()?;
    let path = data_dir.join(FILE);
    let finding = Finding::failure(CHECK, format!("cannot use {}: {error}", path.display()));
    Some(match error {
        StoreError::Newer { .. } => finding,
        _ => finding.fixed_by(format!(
            "run: mv {0} {0}.old   (profiles stay; records of earlier sessions are lost)",
            path.display()
        )),
    })
}

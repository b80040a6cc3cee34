//! The store: whether a server could go on with what is in the data folder.

use std::path::Path;

use super::finding::Finding;
use crate::store::{FILE, Store, StoreError};

const CHECK: &str = "store";

/// What keeps a server from using the store in `data_dir`, if anything does. Not to be asked while
/// a server runs there.
pub(super) async fn store(data_dir: &Path) -> Option<Finding> {
    let error = Store::look(data_dir).await.err()?;
    let path = data_dir.join(FILE);
    let finding = Finding::failure(CHECK, format!("{} cannot be used: {error}", path.display()));
    Some(match error {
        StoreError::Newer { .. } => finding,
        _ => finding.mended_by(format!(
            "run: mv {0} {0}.old   (profiles stay; what is known of earlier sessions goes)",
            path.display()
        )),
    })
}

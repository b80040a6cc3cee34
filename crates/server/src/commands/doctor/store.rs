//! Checks that a server could use its store.

use std::path::Path;

use super::finding::Finding;
use crate::clock;
use crate::config::ClusterSpec;
use crate::lifecycle::database_error;
use crate::store::{FILE, Store, StoreError};

const CHECK: &str = "store";

/// The difference between two clocks from which on a note is worthwhile.
const CLOCK_DIFFERENCE_MS: u64 = 5000;

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

/// Checks the database of a cluster without changing it.
pub(super) async fn database(cluster: &ClusterSpec) -> Vec<Finding> {
    let state = match Store::check_database(&cluster.database).await {
        Ok(state) => state,
        Err(error) => return vec![Finding::of_error(CHECK, &database_error(&error))],
    };
    let server = &cluster.database;
    let mut findings = vec![match state.schema {
        0 => Finding::ok(CHECK, format!("{server} is empty and can be used")),
        schema => Finding::ok(CHECK, format!("{server} has schema {schema}")),
    }];
    if state.is_superuser {
        findings.push(
            Finding::note(CHECK, "the role of HEARTH_DATABASE_URL is a superuser").fixed_by(
                format!(
                    "run: createuser hearth && psql -c 'ALTER DATABASE {} OWNER TO hearth'",
                    server.database()
                ),
            ),
        );
    }
    let difference = state.now_ms.abs_diff(clock::now().as_millisecond());
    if difference >= CLOCK_DIFFERENCE_MS {
        findings.push(
            Finding::note(
                CHECK,
                format!("its clock and the clock here differ by {difference} ms"),
            )
            .fixed_by("synchronize the clocks of both machines, for example with chrony"),
        );
    }
    findings
}

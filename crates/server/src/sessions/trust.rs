//! Makes new sessions trust the certificate authorities of `HEARTH_CA_FILE`.

use std::io;
use std::path::Path;
use std::sync::Arc;

use hearth_sandbox::has_processes;
use tokio_util::task::TaskTracker;

use super::registry::Registry;
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::ConfigError;
use crate::sandbox::browser_database::{DatabaseError, create_database};
use crate::sandbox::plan::Ports;
use crate::sandbox::session::{SandboxSpec, SessionSandbox};
use crate::sandbox::trust::TrustStore;

/// The name of the directory in which the browser's database is created. It is beside the
/// directories of sessions.
const DIR: &str = "ca";

impl Registry {
    /// Makes new sessions trust `authorities` besides those of the machine. After an error they
    /// trust the same as before. Programs of active sessions see the change when they start;
    /// browsers do not.
    pub async fn trust(
        self: &Arc<Self>,
        data_dir: &Path,
        authorities: Option<&CertificateAuthorities>,
    ) -> Result<(), ConfigError> {
        let trust = match authorities {
            None => TrustStore::of_machine(),
            Some(authorities) => self.create_trust(data_dir, authorities).await?,
        };
        self.spec.isolation.trust.set(trust);
        self.replace_warm_sessions();
        Ok(())
    }

    /// Creates the files with authorities. The script for the browser's database runs in the
    /// sandbox of code.
    async fn create_trust(
        &self,
        data_dir: &Path,
        authorities: &CertificateAuthorities,
    ) -> Result<TrustStore, ConfigError> {
        let mut trust =
            TrustStore::draft(data_dir, authorities).map_err(|error| not_written(&error))?;
        let isolation = self.spec.isolation.trusting(trust.clone());
        let uid_lease = match isolation.user_ids() {
            None => None,
            Some(ids) => {
                let is_unused = |index| has_processes(ids, index).is_ok_and(|has_any| !has_any);
                let mut lease = self.uid_pool.lease(is_unused);
                if lease.is_none() {
                    self.discard_warm_sessions().await;
                    lease = self.uid_pool.lease(is_unused);
                }
                Some(lease.ok_or_else(no_user_ids)?)
            }
        };
        let spec = SandboxSpec {
            isolation: &isolation,
            browser: &self.spec.config.browser.path,
            runtime: &self.spec.runtime,
            // The script needs no connection.
            ports: Ports {
                cdp: 0,
                egress: Vec::new(),
            },
        };
        let tasks = TaskTracker::new();
        let created = SessionSandbox::create(self.sessions_dir(), DIR, spec, uid_lease, &tasks);
        let sandbox = created.map_err(|error| not_written(&error))?;
        let own = trust.own_file().unwrap_or_default();
        let database = create_database(&sandbox, &self.spec.runtime, &own).await;
        tasks.close();
        tasks.wait().await;
        sandbox.remove().await;
        trust.set_database(database.map_err(|error| bad_file(&error))?);
        let written = trust.write_bundle(authorities);
        written.map_err(|error| not_written(&error))?;
        tracing::info!(
            certificates = authorities.len(),
            "certificate authorities trusted"
        );
        Ok(trust)
    }
}

fn not_written(error: &io::Error) -> ConfigError {
    let reason = format!("cannot replace the files for HEARTH_CA_FILE: {error}");
    ConfigError::new("HEARTH_DATA_DIR", reason)
}

fn no_user_ids() -> ConfigError {
    ConfigError::new("HEARTH_UIDS", "all user ids are in use")
        .fixed_by("try again when a session has ended")
}

fn bad_file(error: &DatabaseError) -> ConfigError {
    ConfigError::new("HEARTH_CA_FILE", error.to_string())
        .fixed_by("check each certificate of the file with `openssl x509 -noout -text`")
}

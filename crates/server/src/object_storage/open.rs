//! Creates a bucket from its settings.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Uid;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::bucket::Bucket;
use super::error::OpenBucketError;
use super::transport::Transport;
use crate::certificate_authorities::CertificateAuthorities;
use crate::config::{ProfileStoreSpec, S3Spec};
use crate::metrics::Metrics;
use crate::outgoing::TlsTrust;

/// Repetitions of one request. Operations are repeated by their callers, who know how long a
/// client waits.
const MAX_RETRIES: usize = 2;
const RETRY_BOUND: Duration = Duration::from_secs(20);

impl Bucket {
    /// Creates the client of a bucket, without a request to it. Creates the directory if it is one.
    /// Trusts the authorities of the machine and `own`. Blocks.
    pub fn open(
        spec: &ProfileStoreSpec,
        own: Option<&CertificateAuthorities>,
        metrics: Arc<Metrics>,
    ) -> Result<Bucket, OpenBucketError> {
        match spec {
            ProfileStoreSpec::Dir(dir) => {
                let store = open_dir(dir)?;
                let name = format!("file://{}", dir.display());
                Ok(Bucket::new(Arc::new(store), "", name, None, metrics))
            }
            ProfileStoreSpec::S3(spec) => {
                let trust = TlsTrust::new(own);
                let store = open_s3(spec, &trust)?;
                let name = format!("s3://{}/{}", spec.bucket, spec.prefix);
                Ok(Bucket::new(store, &spec.prefix, name, Some(trust), metrics))
            }
        }
    }
}

/// Opens or creates a directory, which only the server's user can read.
fn open_dir(dir: &Path) -> Result<LocalFileSystem, OpenBucketError> {
    let opening = || {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        // Profiles contain logins, and the files below get the usual mode.
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        LocalFileSystem::new_with_prefix(dir).map_err(io::Error::other)
    };
    let store = opening().map_err(|reason| OpenBucketError::Dir {
        dir: dir.display().to_string(),
        user: Uid::effective().as_raw(),
        reason,
    })?;
    Ok(store.with_fsync(true))
}

fn open_s3(spec: &S3Spec, trust: &TlsTrust) -> Result<Arc<dyn ObjectStore>, OpenBucketError> {
    let is_plain = spec
        .endpoint
        .as_ref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    if !is_plain {
        trust.check()?;
    }
    let mut builder = match &spec.keys {
        None => AmazonS3Builder::from_env(),
        Some(keys) => {
            let builder = AmazonS3Builder::new()
                .with_access_key_id(&keys.access_key_id)
                .with_secret_access_key(&keys.secret_access_key);
            match &keys.session_token {
                Some(token) => builder.with_token(token),
                None => builder,
            }
        }
    };
    if let Some(endpoint) = &spec.endpoint {
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    if let Some(region) = &spec.region {
        builder = builder.with_region(region);
    }
    let store = builder
        .with_bucket_name(&spec.bucket)
        // Servers of other makers have no names for their buckets.
        .with_virtual_hosted_style_request(false)
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_retry(RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: MAX_RETRIES,
            retry_timeout: RETRY_BOUND,
        })
        .with_http_connector(Transport::new(trust.clone()))
        .build()
        .map_err(|error| OpenBucketError::Settings(error.to_string()))?;
    Ok(Arc::new(store))
}

//! Checks that a node can write, read and delete profiles.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::finding::Finding;
use super::subject::Subject;
use crate::metrics::Metrics;
use crate::object_storage::{Bucket, BucketError};

const CHECK: &str = "profile store";

/// The content of the object of the check.
const CONTENT: &[u8] = b"hearth doctor";

/// Writes, reads and deletes an object. Returns `None` if there is no object storage.
pub(super) async fn profile_store(subject: &Subject) -> Option<Finding> {
    let place = subject.config.cluster.as_ref()?.profile_store.as_ref()?;
    let open = |path: &std::path::Path| File::open(path);
    let authorities = subject.config.certificates.read(&open).ok()?;
    let metrics = Arc::new(Metrics::new(subject.level().as_str()));
    let checked = match Bucket::open(place, authorities.as_ref(), metrics) {
        Ok(bucket) => check(&bucket)
            .await
            .map(|()| bucket.name().to_owned())
            .map_err(|error| format!("{}: {error}", bucket.name())),
        Err(error) => Err(error.to_string()),
    };
    Some(evaluate_profile_store(checked))
}

async fn check(bucket: &Bucket) -> Result<(), BucketError> {
    let key = format!("doctor/{}", Uuid::now_v7());
    bucket.put(&key, Bytes::from_static(CONTENT)).await?;
    let read = bucket.read(&key, CONTENT.len() as u64).await;
    bucket.delete(&key).await?;
    if read? == CONTENT {
        Ok(())
    } else {
        let reason = "it returned another content than was written";
        Err(BucketError::Unavailable(reason.to_owned()))
    }
}

/// Returns the finding for the URL of the object storage, or for the reason why it is unusable.
fn evaluate_profile_store(checked: Result<String, String>) -> Finding {
    match checked {
        Ok(name) => Finding::ok(CHECK, format!("{name} stores and deletes objects")),
        Err(error) => Finding::failure(CHECK, format!("cannot use it: {error}")).fixed_by(
            "set: HEARTH_PROFILE_STORE, HEARTH_S3_ENDPOINT and HEARTH_S3_KEYS_FILE so that this machine can write, read and delete objects",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Severity;

    #[test]
    fn an_unusable_bucket_is_a_failure() {
        let bad = evaluate_profile_store(Err("s3://b/: refused".to_owned()));
        assert_eq!(bad.severity, Severity::Failure);
        assert_eq!(bad.text, "cannot use it: s3://b/: refused");
        let fine = evaluate_profile_store(Ok("s3://b/p".to_owned()));
        assert_eq!(fine.severity, Severity::Ok);
    }
}

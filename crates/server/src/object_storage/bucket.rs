//! A bucket, whose operations have time limits and are measured.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::path::Path as ObjectPath;
use object_store::{
    CopyOptions, GetOptions, GetResultPayload, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use super::error::BucketError;
use crate::certificate_authorities::CertificateAuthorities;
use crate::metrics::{Metrics, ObjectOperation};
use crate::outgoing::{TlsTrust, TrustError};

/// The size of the parts of an upload. S3 accepts at least 5 MiB, and 10,000 parts.
const PART_BYTES: u64 = 8 << 20;

/// The maximum number of parts that are in memory.
const MAX_PARTS: usize = 4;

/// The time limit of one request, with its repetitions.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// The time limit of a download. It is the maximum size of a profile at 10 MB/s, roughly.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(5);

/// A bucket, or a directory that replaces one. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// The start of all keys.
    prefix: ObjectPath,
    /// The URL, for people.
    name: Arc<str>,
    /// The authorities of a server with HTTPS.
    trust: Option<TlsTrust>,
    /// Held while a part of an upload is in memory.
    parts: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

/// An object, as a list contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredObject {
    /// The key below the prefix of the bucket.
    pub key: String,
    pub bytes: u64,
    /// The time of the object storage's clock, or of the machine that wrote the file.
    pub modified_at: Timestamp,
}

impl Bucket {
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        prefix: &str,
        name: String,
        trust: Option<TlsTrust>,
        metrics: Arc<Metrics>,
    ) -> Bucket {
        Bucket {
            store,
            prefix: ObjectPath::from(prefix),
            name: name.into(),
            trust,
            parts: Arc::new(Semaphore::new(MAX_PARTS)),
            metrics,
        }
    }

    /// Returns the URL, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes new connections trust the authorities of the machine and `own`. Blocks.
    pub fn trust(&self, own: Option<&CertificateAuthorities>) -> Result<(), TrustError> {
        self.trust
            .as_ref()
            .map_or(Ok(()), |trust| trust.replace(own))
    }

    /// Writes a small object, or replaces it.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<(), BucketError> {
        let path = self.path(key);
        let putting = self
            .store
            .put_opts(&path, PutPayload::from(content), PutOptions::default());
        self.measure(ObjectOperation::Put, bounded(putting)).await?;
        Ok(())
    }

    /// Writes the whole content of `file` to a new object. The object exists when all of it does.
    pub async fn upload(&self, key: &str, file: File) -> Result<u64, BucketError> {
        let path = self.path(key);
        let uploading = async {
            let bytes = file.metadata()?.len();
            if bytes <= PART_BYTES {
                let _permit = self.parts.acquire().await;
                let content = read_part(file, 0).await?.1;
                let putting = self
                    .store
                    .put_opts(&path, content.into(), PutOptions::default());
                bounded(putting).await?;
            } else {
                self.upload_parts(&path, file, bytes).await?;
            }
            Ok(bytes)
        };
        self.measure(ObjectOperation::Put, uploading).await
    }

    async fn upload_parts(
        &self,
        path: &ObjectPath,
        file: File,
        bytes: u64,
    ) -> Result<(), BucketError> {
        let beginning = self
            .store
            .put_multipart_opts(path, PutMultipartOptions::default());
        let mut upload = bounded(beginning).await?;
        let outcome = self.put_parts(upload.as_mut(), file, bytes).await;
        if outcome.is_err() {
            // The storage would keep the parts.
            let _ = bounded(upload.abort()).await;
        }
        outcome
    }

    async fn put_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        mut file: File,
        bytes: u64,
    ) -> Result<(), BucketError> {
        let mut position = 0;
        while position < bytes {
            let _permit = self.parts.acquire().await;
            let (rest, part) = read_part(file, position).await?;
            file = rest;
            if part.is_empty() {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            position += part.len() as u64;
            bounded(upload.put_part(part.into())).await?;
        }
        bounded(upload.complete()).await?;
        Ok(())
    }

    /// Reads an object of at most `max_bytes`.
    pub async fn read(&self, key: &str, max_bytes: u64) -> Result<Bytes, BucketError> {
        let path = self.path(key);
        let reading = async {
            let got = self.store.get_opts(&path, GetOptions::default()).await?;
            if got.meta.size > max_bytes {
                return Err(BucketError::TooLarge(max_bytes));
            }
            let content = got.bytes().await?;
            // A file can grow while it is read.
            if content.len() as u64 > max_bytes {
                return Err(BucketError::TooLarge(max_bytes));
            }
            Ok(content)
        };
        self.measure(ObjectOperation::Get, limited(REQUEST_TIMEOUT, reading))
            .await
    }

    /// Reads the first `bytes` of an object, or all of it if it is shorter.
    pub async fn read_start(&self, key: &str, bytes: u64) -> Result<Bytes, BucketError> {
        let path = self.path(key);
        let reading = async {
            let options = GetOptions::default().with_range(Some(0..bytes));
            let got = self.store.get_opts(&path, options).await?;
            Ok(got.bytes().await?)
        };
        self.measure(ObjectOperation::Get, limited(REQUEST_TIMEOUT, reading))
            .await
    }

    /// Writes an object of at most `max_bytes` to `target`, and returns it at its start.
    pub async fn download(
        &self,
        key: &str,
        target: File,
        max_bytes: u64,
    ) -> Result<File, BucketError> {
        let path = self.path(key);
        let reading = async {
            let got = self.store.get_opts(&path, GetOptions::default()).await?;
            let bytes = got.meta.size;
            if bytes > max_bytes {
                return Err(BucketError::TooLarge(max_bytes));
            }
            match got.payload {
                GetResultPayload::File(file, _) => copy_file(file, target, bytes).await,
                GetResultPayload::Stream(stream) => receive(stream, target, bytes).await,
            }
        };
        self.measure(ObjectOperation::Get, limited(DOWNLOAD_TIMEOUT, reading))
            .await
    }

    /// Deletes an object, if it exists.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        let path = self.path(key);
        let deleting = async {
            match bounded(self.store.delete(&path)).await {
                Err(BucketError::NotFound) => Ok(()),
                outcome => outcome,
            }
        };
        self.measure(ObjectOperation::Delete, deleting).await
    }

    /// Copies an object inside of the storage.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), BucketError> {
        let (from, to) = (self.path(from), self.path(to));
        let copying = self.store.copy_opts(&from, &to, CopyOptions::default());
        self.measure(ObjectOperation::Put, bounded(copying)).await
    }

    /// Writes a small object, and returns the time of the object storage's clock.
    pub async fn touch(&self, key: &str) -> Result<Timestamp, BucketError> {
        let path = self.path(key);
        self.put(key, Bytes::from_static(b"hearth")).await?;
        let reading = async { Ok(bounded(self.store.head(&path)).await?.last_modified) };
        let modified_at = self.measure(ObjectOperation::Get, reading).await?;
        Timestamp::from_second(modified_at.timestamp())
            .map_err(|_| BucketError::Unavailable("it has no valid clock".to_owned()))
    }

    /// Lists the objects below `dir`, in parts. The caller limits the time.
    pub fn list(&self, dir: &str) -> BoxStream<'static, Result<StoredObject, BucketError>> {
        let prefix = self.path(dir);
        let root = self.prefix.clone();
        self.store
            .list(Some(&prefix))
            .map_err(BucketError::from)
            .try_filter_map(move |meta| {
                let object = listed(&root, &meta);
                async move { Ok(object) }
            })
            .boxed()
    }

    fn path(&self, key: &str) -> ObjectPath {
        let parts = key.split('/').filter(|part| !part.is_empty());
        parts.fold(self.prefix.clone(), ObjectPath::join)
    }

    async fn measure<T>(
        &self,
        operation: ObjectOperation,
        running: impl Future<Output = Result<T, BucketError>>,
    ) -> Result<T, BucketError> {
        let began = Instant::now();
        let outcome = running.await;
        let failed = matches!(outcome, Err(BucketError::Unavailable(_)));
        self.metrics
            .profile_store()
            .finished(operation, began.elapsed(), failed);
        outcome
    }
}

/// Returns an object of a list, unless it is not below `root`.
fn listed(root: &ObjectPath, meta: &ObjectMeta) -> Option<StoredObject> {
    let parts: Vec<String> = meta
        .location
        .prefix_match(root)?
        .map(|part| part.as_ref().to_owned())
        .collect();
    Some(StoredObject {
        key: parts.join("/"),
        bytes: meta.size,
        modified_at: Timestamp::from_second(meta.last_modified.timestamp()).ok()?,
    })
}

/// Runs one request with its time limit.
async fn bounded<T>(
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, BucketError> {
    let request = async { Ok(request.await?) };
    limited(REQUEST_TIMEOUT, request).await
}

async fn limited<T>(
    limit: Duration,
    running: impl Future<Output = Result<T, BucketError>>,
) -> Result<T, BucketError> {
    timeout(limit, running)
        .await
        .unwrap_or_else(|_| Err(BucketError::timed_out(limit.as_secs())))
}

/// Reads a part of a file, and returns the file with it.
async fn read_part(mut file: File, position: u64) -> Result<(File, Bytes), BucketError> {
    let reading = spawn_blocking(move || {
        file.seek(SeekFrom::Start(position))?;
        let mut part = Vec::new();
        (&file).take(PART_BYTES).read_to_end(&mut part)?;
        Ok::<_, io::Error>((file, Bytes::from(part)))
    });
    Ok(reading.await.map_err(io::Error::other)??)
}

/// Copies a file of a shared directory.
async fn copy_file(source: File, mut target: File, bytes: u64) -> Result<File, BucketError> {
    let copying = spawn_blocking(move || {
        let copied = io::copy(&mut source.take(bytes), &mut target)?;
        target.seek(SeekFrom::Start(0))?;
        Ok::<_, io::Error>((target, copied))
    });
    let (target, copied) = copying.await.map_err(io::Error::other)??;
    complete(target, copied, bytes)
}

/// Writes a stream to a file.
async fn receive(
    mut stream: BoxStream<'static, object_store::Result<Bytes>>,
    target: File,
    bytes: u64,
) -> Result<File, BucketError> {
    let mut file = tokio::fs::File::from_std(target);
    let mut received = 0;
    while let Some(part) = stream.next().await {
        let part = part?;
        received += part.len() as u64;
        if received > bytes {
            return Err(BucketError::Unavailable(format!(
                "it sent more than the {bytes} bytes of the object"
            )));
        }
        file.write_all(&part).await?;
    }
    file.flush().await?;
    let mut target = file.into_std().await;
    target.seek(SeekFrom::Start(0))?;
    complete(target, received, bytes)
}

/// Returns the file if it contains the whole object.
fn complete(file: File, received: u64, bytes: u64) -> Result<File, BucketError> {
    if received == bytes {
        Ok(file)
    } else {
        Err(BucketError::Unavailable(format!(
            "it sent {received} of {bytes} bytes"
        )))
    }
}

//! Object storage: a bucket of an S3-compatible server, or a directory that all nodes share.
//!
//! `bucket` reads and writes objects, `open` creates a bucket from its settings, `transport` sends
//! its requests with `outgoing`, and `error` tells a missing object from a silent server. Every
//! request has a time limit, and a large object passes in parts, so that it is never in memory as a
//! whole.

mod bucket;
mod error;
mod open;
mod transport;

pub(crate) use self::bucket::{Bucket, StoredObject};
pub(crate) use self::error::{BucketError, OpenBucketError};

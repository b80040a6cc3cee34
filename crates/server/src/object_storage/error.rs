//! Errors of object storage.

use std::io;

use thiserror::Error;

use crate::outgoing::TrustError;

/// The maximum length of a reason. Some servers answer with whole pages.
const MAX_REASON_CHARS: usize = 300;

/// A reason why an object could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum BucketError {
    /// The object does not exist.
    #[error("the object does not exist")]
    NotFound,
    /// The object is larger than the caller accepts.
    #[error("the object has more than {0} bytes")]
    TooLarge(u64),
    /// The object storage does not answer, or rejects the request. It may have carried it out.
    #[error("the profile store failed: {0}")]
    Unavailable(String),
    /// The object storage is another one than that of the cluster's profiles.
    #[error(
        "{0} does not contain the profiles of this cluster; mount the directory, or correct HEARTH_PROFILE_STORE"
    )]
    Unmarked(String),
    /// The file on this machine cannot be read or written.
    #[error(transparent)]
    File(#[from] io::Error),
}

impl BucketError {
    /// Returns the error of an operation that took too long.
    pub(super) fn timed_out(seconds: u64) -> BucketError {
        BucketError::Unavailable(format!("no response within {seconds} s"))
    }
}

impl From<object_store::Error> for BucketError {
    fn from(error: object_store::Error) -> BucketError {
        match error {
            object_store::Error::NotFound { .. } => BucketError::NotFound,
            // The name of the library's own type says nothing to people.
            object_store::Error::Generic { source, .. } => {
                BucketError::Unavailable(shorten(&source.to_string()))
            }
            error => BucketError::Unavailable(shorten(&error.to_string())),
        }
    }
}

impl From<BucketError> for io::Error {
    fn from(error: BucketError) -> io::Error {
        let kind = match error {
            BucketError::File(error) => return error,
            BucketError::NotFound => io::ErrorKind::NotFound,
            BucketError::TooLarge(_) => io::ErrorKind::FileTooLarge,
            BucketError::Unavailable(_) | BucketError::Unmarked(_) => {
                io::ErrorKind::HostUnreachable
            }
        };
        io::Error::new(kind, error)
    }
}

/// Returns one line of bounded length.
fn shorten(reason: &str) -> String {
    let mut chars = reason.chars();
    let mut line: String = chars
        .by_ref()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(MAX_REASON_CHARS)
        .collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// A reason why a bucket cannot be used at all.
#[derive(Debug, Error)]
pub(crate) enum OpenBucketError {
    /// The directory does not exist or cannot be created, or belongs to another user.
    #[error("cannot use {dir} as user id {user}: {reason}")]
    Dir {
        dir: String,
        user: u32,
        reason: io::Error,
    },
    /// The settings do not describe a bucket.
    #[error("{0}")]
    Settings(String),
    /// No TLS connection can be trusted.
    #[error("cannot use HTTPS: {0}")]
    Trust(#[from] TrustError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(shorten("a\nb"), "a b");
        let long = shorten(&"x".repeat(1000));
        assert_eq!(long.chars().count(), MAX_REASON_CHARS + 1);
        assert!(long.ends_with('…'));
    }
}

//! The place for profiles of a cluster.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// The place for profiles of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ProfileStoreSpec {
    /// A bucket of an S3-compatible server.
    S3(S3Spec),
    /// A directory that all nodes share.
    Dir(PathBuf),
}

/// A bucket, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct S3Spec {
    pub bucket: String,
    /// The start of all keys, without slashes at its ends. May be empty.
    pub prefix: String,
    /// The URL of the server, or `None` for Amazon S3.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// The keys of the file, or `None` for those of the environment.
    pub keys: Option<S3Keys>,
}

/// Keys for a bucket.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct S3Keys {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
}

impl ProfileStoreSpec {
    /// Parses `s3://bucket/prefix` or `file:///directory`. The other settings apply to buckets.
    pub fn parse(
        url: &str,
        endpoint: Option<&str>,
        region: Option<&str>,
        keys: Option<S3Keys>,
    ) -> Result<ProfileStoreSpec, String> {
        let parsed = Url::parse(url).map_err(|error| format!("{url:?} is not a URL: {error}"))?;
        match parsed.scheme() {
            "file" => {
                let dir = parsed.to_file_path();
                let dir = dir.map_err(|()| format!("{url:?} is not the path of a directory"))?;
                Ok(ProfileStoreSpec::Dir(dir))
            }
            "s3" => {
                let bucket = parsed.host_str().filter(|bucket| !bucket.is_empty());
                let bucket = bucket.ok_or_else(|| format!("{url:?} does not name a bucket"))?;
                if let Some(endpoint) = endpoint {
                    check_endpoint(endpoint)?;
                }
                Ok(ProfileStoreSpec::S3(S3Spec {
                    bucket: bucket.to_owned(),
                    prefix: parsed.path().trim_matches('/').to_owned(),
                    endpoint: endpoint.map(|url| url.trim_end_matches('/').to_owned()),
                    region: region.map(str::to_owned),
                    keys,
                }))
            }
            _ => Err(format!("{url:?} starts with neither s3:// nor file:///")),
        }
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let is_http = Url::parse(endpoint)
        .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    if is_http {
        Ok(())
    } else {
        Err(format!(
            "HEARTH_S3_ENDPOINT: {endpoint:?} is not a URL such as http://minio:9000"
        ))
    }
}

impl S3Keys {
    /// Parses the first keys of an AWS credentials file.
    pub fn parse(text: &str) -> Result<S3Keys, String> {
        let value = |name: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let mut values = pairs
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().to_owned());
            values.next().filter(|value| !value.is_empty())
        };
        let required = |name: &str| value(name).ok_or_else(|| format!("{name} is missing"));
        Ok(S3Keys {
            access_key_id: required("aws_access_key_id")?,
            secret_access_key: required("aws_secret_access_key")?,
            session_token: value("aws_session_token"),
        })
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("S3Keys { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<ProfileStoreSpec, String> {
        ProfileStoreSpec::parse(url, None, None, None)
    }

    #[test]
    fn a_place_is_a_bucket_or_a_directory() {
        let Ok(ProfileStoreSpec::S3(spec)) = parse("s3://profiles/team/a/") else {
            panic!("not a bucket");
        };
        assert_eq!((&*spec.bucket, &*spec.prefix), ("profiles", "team/a"));
        assert_eq!(
            parse("file:///shared/profiles"),
            Ok(ProfileStoreSpec::Dir("/shared/profiles".into()))
        );
        for url in ["/shared", "s3:///prefix", "https://bucket", "file://host/x"] {
            assert!(parse(url).is_err(), "{url}");
        }
        let endpoint = ProfileStoreSpec::parse("s3://b", Some("minio:9000"), None, None);
        assert!(endpoint.is_err());
    }

    #[test]
    fn keys_are_read_from_a_credentials_file() {
        let keys =
            S3Keys::parse("[default]\naws_access_key_id = id\nAWS_SECRET_ACCESS_KEY=a/b=c\n")
                .expect("valid");
        assert_eq!(
            (&*keys.access_key_id, &*keys.secret_access_key),
            ("id", "a/b=c")
        );
        assert!(!format!("{keys:?}").contains("a/b"));
        assert!(S3Keys::parse("aws_access_key_id=id\naws_secret_access_key=\n").is_err());
    }
}

//! Settings of a cluster: several servers that share a PostgreSQL database.

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::addresses::parse_listen;
use super::error::ConfigError;
use super::isolation::IsolationLevel;
use super::keys::{OpenFile, read_file, trimmed};
use super::number::{number, seconds};
use super::text::parse_trimmed;

mod database;
mod profile_store;
mod secrets;

pub(crate) use self::database::DatabaseUrl;
pub(crate) use self::profile_store::{ProfileStoreSpec, S3Keys, S3Spec};
pub(crate) use self::secrets::ClusterSecrets;

pub(super) const DATABASE_URL: &str = "HEARTH_DATABASE_URL";
pub(super) const DATABASE_URL_FILE: &str = "HEARTH_DATABASE_URL_FILE";
const SECRET: &str = "HEARTH_CLUSTER_SECRET";
const SECRET_FILE: &str = "HEARTH_CLUSTER_SECRET_FILE";
const NODE_NAME: &str = "HEARTH_NODE_NAME";
const PEER_ADDRESS: &str = "HEARTH_PEER_ADDRESS";
const PROFILE_STORE: &str = "HEARTH_PROFILE_STORE";

/// The flag that allows sessions without a sandbox on a node.
const ALLOW_UNSANDBOXED: &str = "HEARTH_DANGEROUSLY_ALLOW_UNSANDBOXED_CLUSTER";

/// The name of the machine (`uname(2)`).
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The maximum length of a node's name, which is that of a host name.
const MAX_NAME_BYTES: usize = 253;

#[derive(Clone, Args)]
#[command(next_help_heading = "Cluster")]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(crate) struct ClusterSettings {
    /// PostgreSQL database for the store, such as postgresql://user:password@host/hearth. Makes
    /// this server a node of a cluster, which consists of all servers with the same database.
    /// Unless the host is loopback or a socket, `sslmode` is `verify-full` if the URL has none
    /// [default: none, a SQLite file in the data directory]
    #[arg(
        long,
        env = "HEARTH_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    database_url: Option<String>,

    /// File with the URL of the database. Excludes HEARTH_DATABASE_URL
    #[arg(long, env = "HEARTH_DATABASE_URL_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    database_url_file: Option<PathBuf>,

    /// Secret that all nodes share, of at least 32 bytes. During a change, the new one and the old
    /// one, separated by a comma. Required in a cluster
    #[arg(
        long,
        env = "HEARTH_CLUSTER_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    cluster_secret: Option<String>,

    /// File with the secret of the cluster. Excludes HEARTH_CLUSTER_SECRET
    #[arg(long, env = "HEARTH_CLUSTER_SECRET_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    cluster_secret_file: Option<PathBuf>,

    /// Name of this node, which no other node has. If a second process takes it over, the sessions
    /// of the first one end [default: the host name]
    #[arg(long, env = "HEARTH_NODE_NAME", value_name = "NAME",
          value_parser = parse_trimmed::<String>)]
    node_name: Option<String>,

    /// Address and port on which other nodes connect to this one
    #[arg(long, env = "HEARTH_PEER_LISTEN", value_name = "ADDRESS",
          default_value = "127.0.0.1:3011", value_parser = parse_listen)]
    peer_listen: SocketAddr,

    /// Address or host name, and port, under which other nodes reach this one [default:
    /// HEARTH_PEER_LISTEN]
    #[arg(long, env = "HEARTH_PEER_ADDRESS", value_name = "ADDRESS",
          value_parser = parse_trimmed::<String>)]
    peer_address: Option<String>,

    /// Encryption between nodes: `pinned` (TLS 1.3 with certificates that the nodes make and pin),
    /// or `off` for a network that is encrypted already, such as WireGuard or a service mesh
    #[arg(long, env = "HEARTH_PEER_TLS", value_name = "MODE", default_value = "pinned",
          value_parser = peer_tls_modes())]
    peer_tls: PeerTls,

    /// Place for profiles in a cluster: s3://BUCKET/PREFIX, or file:///DIRECTORY for a directory
    /// that all nodes share. Without it, requests with a profile get a 503 as soon as two nodes can
    /// have sessions
    #[arg(long, env = "HEARTH_PROFILE_STORE", value_name = "URL",
          value_parser = parse_trimmed::<String>)]
    profile_store: Option<String>,

    /// URL of an S3-compatible server, such as http://minio:9000 [default: Amazon S3]
    #[arg(long, env = "HEARTH_S3_ENDPOINT", value_name = "URL",
          value_parser = parse_trimmed::<String>)]
    s3_endpoint: Option<String>,

    /// Region of the bucket [default: AWS_REGION, or us-east-1]
    #[arg(long, env = "HEARTH_S3_REGION", value_name = "NAME",
          value_parser = parse_trimmed::<String>)]
    s3_region: Option<String>,

    /// File with the keys for the bucket, in the format of an AWS credentials file [default: the
    /// AWS_* variables or the role of the machine]
    #[arg(long, env = "HEARTH_S3_KEYS_FILE", value_name = "PATH",
          value_parser = parse_trimmed::<PathBuf>)]
    s3_keys_file: Option<PathBuf>,

    /// Seconds for which sessions may continue after SIGTERM or SIGINT before
    /// HEARTH_STOP_GRACE_SECONDS begins. Meanwhile new sessions go to other nodes. Applies to nodes
    /// of a cluster
    #[arg(long = "drain-seconds", env = "HEARTH_DRAIN_SECONDS", value_name = "SECONDS",
          default_value = "0", value_parser = seconds(0..=86_400))]
    drain: Duration,

    /// Number of sessions after which the node drains and stops, for nodes that run one session
    /// each [default: none]
    #[arg(long, env = "HEARTH_RETIRE_AFTER_SESSIONS", value_name = "NUMBER",
          value_parser = number(1..=1_000_000_000))]
    retire_after_sessions: Option<u64>,

    /// Run a node of a cluster with HEARTH_ISOLATION=none. Session code can then read the secret of
    /// the cluster and the password of the database
    #[arg(long, env = ALLOW_UNSANDBOXED, value_name = "BOOLEAN", default_value = "false",
          action = clap::ArgAction::Set)]
    dangerously_allow_unsandboxed_cluster: bool,
}

impl std::fmt::Debug for ClusterSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClusterSettings { .. }")
    }
}

/// The settings of a node of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct ClusterSpec {
    pub database: DatabaseUrl,
    pub node_name: String,
    pub peer_listen: SocketAddr,
    /// The address for other nodes. Its port is 0 if it is `peer_listen` and that has port 0; the
    /// port of the listener replaces it.
    pub peer_address: SocketAddr,
    pub peer_tls: PeerTls,
    pub secrets: ClusterSecrets,
    pub profile_store: Option<ProfileStoreSpec>,
    pub drain: Duration,
    pub retire_after_sessions: Option<u64>,
}

/// The encryption between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerTls {
    /// TLS with pinned certificates.
    Pinned,
    /// None, because the network is encrypted.
    Off,
}

/// The other settings of a server on which a cluster depends.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClusterNeeds {
    pub has_keys: bool,
    pub has_public_url: bool,
    pub isolation: IsolationLevel,
}

impl ClusterSettings {
    /// Returns the settings of a node, if the server is one. Reads the files with secrets with
    /// `open`.
    pub fn read(
        &self,
        open: OpenFile<'_>,
        needs: ClusterNeeds,
    ) -> Result<Option<ClusterSpec>, ConfigError> {
        let database = value_or_file(
            open,
            (DATABASE_URL, self.database_url.as_ref()),
            (DATABASE_URL_FILE, self.database_url_file.as_ref()),
        )?;
        let Some((variable, url)) = database else {
            return self.check_unused().map(|()| None);
        };
        let database = DatabaseUrl::parse(&url).map_err(|reason| {
            ConfigError::new(variable, reason).fixed_by(format!(
                "set {variable} to a URL such as postgresql://user:password@host:5432/hearth"
            ))
        })?;
        self.check_needs(needs)?;
        Ok(Some(ClusterSpec {
            database,
            node_name: self.node_name()?,
            peer_listen: self.peer_listen,
            peer_address: self.peer_address()?,
            peer_tls: self.peer_tls,
            secrets: self.secrets(open)?,
            profile_store: self.profile_store(open)?,
            drain: self.drain,
            retire_after_sessions: self.retire_after_sessions,
        }))
    }

    /// Returns an error about a setting that has no effect without a database.
    fn check_unused(&self) -> Result<(), ConfigError> {
        let given = [
            (SECRET, trimmed(self.cluster_secret.as_ref()).is_some()),
            (SECRET_FILE, self.cluster_secret_file.is_some()),
            (NODE_NAME, self.node_name.is_some()),
            (PEER_ADDRESS, self.peer_address.is_some()),
            (PROFILE_STORE, self.profile_store.is_some()),
            ("HEARTH_S3_ENDPOINT", self.s3_endpoint.is_some()),
            ("HEARTH_S3_REGION", self.s3_region.is_some()),
            ("HEARTH_S3_KEYS_FILE", self.s3_keys_file.is_some()),
            (
                "HEARTH_RETIRE_AFTER_SESSIONS",
                self.retire_after_sessions.is_some(),
            ),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            None => Ok(()),
            Some((variable, _)) => Err(ConfigError::new(
                *variable,
                format!("{DATABASE_URL} is not set"),
            )
            .fixed_by(format!("set {DATABASE_URL}, or remove {variable}"))),
        }
    }

    fn check_needs(&self, needs: ClusterNeeds) -> Result<(), ConfigError> {
        if !needs.has_keys {
            return Err(
                ConfigError::new("HEARTH_API_KEYS", "a cluster needs API keys")
                    .fixed_by("set HEARTH_API_KEYS or HEARTH_API_KEYS_FILE, the same on all nodes"),
            );
        }
        if !needs.has_public_url {
            return Err(ConfigError::new(
                "HEARTH_PUBLIC_URL",
                "a cluster needs the origin under which clients reach it",
            )
            .fixed_by("set HEARTH_PUBLIC_URL to the origin of the load balancer, such as https://hearth.example"));
        }
        if needs.isolation == IsolationLevel::None && !self.dangerously_allow_unsandboxed_cluster {
            return Err(ConfigError::new(
                "HEARTH_ISOLATION",
                "level none lets session code read the secret of the cluster and the password of the database",
            )
            .fixed_by(format!(
                "set HEARTH_ISOLATION=auto, or {ALLOW_UNSANDBOXED}=true"
            )));
        }
        Ok(())
    }

    fn node_name(&self) -> Result<String, ConfigError> {
        let name = match &self.node_name {
            Some(name) => Ok(name.clone()),
            None => fs::read_to_string(HOST_NAME)
                .map_err(|error| format!("cannot read the host name: {error}")),
        };
        name.and_then(|name| parse_node_name(&name))
            .map_err(|reason| {
                ConfigError::new(NODE_NAME, reason)
                    .fixed_by(format!("set {NODE_NAME} to a unique name, such as node-1"))
            })
    }

    fn peer_address(&self) -> Result<SocketAddr, ConfigError> {
        let (variable, address) = match &self.peer_address {
            None => ("HEARTH_PEER_LISTEN", self.peer_listen),
            Some(given) => {
                let resolved = given.to_socket_addrs().map_err(|error| {
                    ConfigError::new(PEER_ADDRESS, format!("cannot resolve {given:?}: {error}"))
                        .fixed_by(format!(
                            "set {PEER_ADDRESS}=10.0.0.5:3011, with the address of this machine"
                        ))
                })?;
                let mut addresses: Vec<SocketAddr> = resolved.collect();
                addresses.sort_by_key(SocketAddr::is_ipv6);
                let first = addresses.first().copied();
                let address = first.ok_or_else(|| {
                    ConfigError::new(PEER_ADDRESS, format!("{given:?} has no address"))
                })?;
                (PEER_ADDRESS, address)
            }
        };
        if address.ip().is_unspecified() {
            let reason = format!("other nodes cannot connect to {address}");
            return Err(ConfigError::new(variable, reason).fixed_by(format!(
                "set {PEER_ADDRESS}=10.0.0.5:{}, with the address of this machine",
                address.port()
            )));
        }
        Ok(address)
    }

    fn secrets(&self, open: OpenFile<'_>) -> Result<ClusterSecrets, ConfigError> {
        let fix = "set it to the output of `openssl rand -hex 32`, the same on all nodes";
        let given = value_or_file(
            open,
            (SECRET, self.cluster_secret.as_ref()),
            (SECRET_FILE, self.cluster_secret_file.as_ref()),
        )?;
        let Some((variable, text)) = given else {
            return Err(ConfigError::new(SECRET, "a cluster needs a secret").fixed_by(fix));
        };
        ClusterSecrets::parse(&text)
            .map_err(|reason| ConfigError::new(variable, reason).fixed_by(fix))
    }

    fn profile_store(&self, open: OpenFile<'_>) -> Result<Option<ProfileStoreSpec>, ConfigError> {
        let Some(url) = &self.profile_store else {
            return Ok(None);
        };
        let keys = match &self.s3_keys_file {
            None => None,
            Some(path) => {
                let bad = |reason: String| ConfigError::new("HEARTH_S3_KEYS_FILE", reason);
                let text = read_file(open, path, bad)?;
                let keys = S3Keys::parse(&text).map_err(|reason| {
                    bad(format!("{}: {reason}", path.display()))
                        .fixed_by("write the lines aws_access_key_id=… and aws_secret_access_key=…")
                })?;
                Some(keys)
            }
        };
        ProfileStoreSpec::parse(
            url,
            self.s3_endpoint.as_deref(),
            self.s3_region.as_deref(),
            keys,
        )
        .map(Some)
        .map_err(|reason| {
            ConfigError::new(PROFILE_STORE, reason).fixed_by(format!(
                "set {PROFILE_STORE}=s3://bucket/prefix, or {PROFILE_STORE}=file:///directory"
            ))
        })
    }
}

/// Returns the value of a setting and the variable that it comes from, which may name a file.
pub(super) fn value_or_file(
    open: OpenFile<'_>,
    (variable, value): (&'static str, Option<&String>),
    (file_variable, file): (&'static str, Option<&PathBuf>),
) -> Result<Option<(&'static str, String)>, ConfigError> {
    match (trimmed(value), file) {
        (None, None) => Ok(None),
        (Some(value), None) => Ok(Some((variable, value.to_owned()))),
        (None, Some(path)) => {
            let text = read_file(open, path, |error| ConfigError::new(file_variable, error))?;
            let text = text.trim().trim_start_matches('\u{feff}');
            if text.is_empty() {
                let reason = format!("{} is empty", path.display());
                return Err(ConfigError::new(file_variable, reason)
                    .fixed_by(format!("write the value of {variable} into the file")));
            }
            Ok(Some((file_variable, text.to_owned())))
        }
        (Some(_), Some(_)) => Err(ConfigError::new(
            file_variable,
            format!("{variable} is set as well"),
        )
        .fixed_by(format!("keep {file_variable}, and remove {variable}"))),
    }
}

fn parse_node_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(is_plain) {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "{name:?} is not a name of at most {MAX_NAME_BYTES} letters, digits, hyphens, dots and underscores"
        ))
    }
}

fn peer_tls_modes() -> impl TypedValueParser<Value = PeerTls> {
    PossibleValuesParser::new(["pinned", "off"]).map(|mode| match mode.as_str() {
        "off" => PeerTls::Off,
        _ => PeerTls::Pinned,
    })
}

#[cfg(test)]
mod tests;

//! Every setting, as a flag and a `HEARTH_*` variable.
//!
//! [`Config`] declares each setting once: its type, default, bounds and help text. clap parses it,
//! and `hearth serve --help` and docs/CONFIGURATION.md print it. [`parse`] reads the command line.

mod addresses;
mod blocking;
mod certificates;
mod changes;
mod cluster;
mod country_proxies;
mod data_dir;
mod database_options;
mod describe;
mod destinations;
mod egress;
mod env_file;
mod error;
mod firecrawl;
mod isolation;
mod keys;
mod limits;
mod local_server;
mod log;
mod number;
mod parse;
mod paths;
mod profiles;
mod retention;
mod scrape;
mod server_limits;
mod server_options;
mod settings;
mod sites;
mod suggest;
mod test_mode;
mod text;
mod values;
mod warm;
mod workbench;

pub(crate) use self::changes::{Change, adopt_reloadable, changes};
#[cfg(test)]
pub(crate) use self::cluster::S3Keys;
pub(crate) use self::cluster::{
    ClusterSecrets, ClusterSpec, DatabaseUrl, PeerTls, ProfileStoreSpec, S3Spec,
};
pub(crate) use self::data_dir::DataDir;
pub(crate) use self::database_options::DatabaseOptions;
pub(crate) use self::describe::{Described, describe};
pub(crate) use self::env_file::EnvFile;
pub(crate) use self::error::ConfigError;
pub(crate) use self::firecrawl::{FirecrawlSpec, ScrapeServer};
pub(crate) use self::isolation::IsolationLevel;
#[cfg(test)]
pub(crate) use self::limits::tests::LIMITS as ZERO_LIMITS;
pub(crate) use self::limits::{CurrentLimits, Limits};
pub(crate) use self::log::LogSettings;
pub(crate) use self::parse::{
    ParseError, Unused, arguments, deprecated_variables, parse, parse_again, parse_leniently,
    read_env_file, unknown_variables, unused_in_file, wants_no_color,
};
pub(crate) use self::retention::Retention;
pub(crate) use self::server_limits::ServerLimits;
pub(crate) use self::server_options::ServerOptions;
pub(crate) use self::settings::Config;
pub(crate) use self::warm::WarmSettings;
pub(crate) use self::workbench::ExecutionHistory;

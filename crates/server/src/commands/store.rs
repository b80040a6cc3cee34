//! `hearth store`: repairs of the store.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Subcommand;

use super::exit::report;
use crate::config::{Config, ConfigError};
use crate::metrics::Metrics;
use crate::object_storage::Bucket;
use crate::profiles::rebuild_records;
use crate::store::cluster::ProfileLeases;
use crate::store::{Store, StorePlace};
use crate::telemetry;

#[derive(Debug, Subcommand)]
#[expect(
    clippy::doc_markdown,
    reason = "the comments are the text of --help, which shows no markup"
)]
pub(super) enum StoreCommand {
    /// Record the profiles of HEARTH_PROFILE_STORE in a database that has lost them. Profiles that
    /// the database has stay as they are, so servers may run meanwhile
    Rebuild(Box<Config>),
}

pub(super) fn run(command: StoreCommand) -> ExitCode {
    let StoreCommand::Rebuild(config) = command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start");
    let outcome = runtime.and_then(|runtime| runtime.block_on(rebuild(*config)));
    outcome.unwrap_or_else(|error| report(&error))
}

async fn rebuild(config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(&config.log)?;
    let cluster = config.read_cluster(&config.keys()?)?.ok_or_else(|| {
        ConfigError::new("HEARTH_DATABASE_URL", "is not set, so this server is alone")
            .fixed_by("set the settings of a node; a single server finds its profiles by itself")
    })?;
    let place = cluster.profile_store.as_ref().ok_or_else(|| {
        ConfigError::new("HEARTH_PROFILE_STORE", "is not set")
            .fixed_by("set HEARTH_PROFILE_STORE to the value that the servers have")
    })?;
    let authorities = config.certificates.read(&|path| File::open(path))?;
    let metrics = Arc::new(Metrics::new(config.isolation.level.as_str()));
    let bucket = Bucket::open(place, authorities.as_ref(), metrics)
        .map_err(|error| ConfigError::new("HEARTH_PROFILE_STORE", error.to_string()))?;
    let (store, _writer) = Store::open(StorePlace::Database {
        url: &cluster.database,
        node: &cluster.node_name,
    })
    .await
    .context("cannot use the database")?;
    let database = store.postgres().context("a cluster has a database")?;
    let rebuilt = rebuild_records(&bucket, &ProfileLeases::new(database.clone())).await?;
    store.close().await;
    let line = format!(
        "{}: {} profiles recorded, {} known already, {} damaged",
        bucket.name(),
        rebuilt.recorded,
        rebuilt.known,
        rebuilt.damaged
    );
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")?;
    Ok(if rebuilt.damaged == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! `hearth nodes` and `hearth drain`: the nodes of a cluster.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::exit::report;
use super::print::{print, table};
use crate::config::{ConfigError, DatabaseOptions};
use crate::lifecycle::database_error;
use crate::store::Store;
use crate::store::cluster::{MemberConnection, NodeRecord};

#[derive(Debug, Args)]
pub(super) struct NodesOptions {
    #[command(flatten)]
    database: DatabaseOptions,
}

#[derive(Debug, Args)]
pub(super) struct DrainOptions {
    /// Name of the node, as `hearth nodes` prints it
    name: String,

    #[command(flatten)]
    database: DatabaseOptions,
}

/// Prints all nodes, also those that have ended in the last 24 hours.
pub(super) fn list(options: &NodesOptions) -> ExitCode {
    run(async {
        let mut connection = connect(&options.database).await?;
        let nodes = connection
            .all()
            .await
            .map_err(|error| database_error(&error))?;
        print(node_table(&nodes).trim_end());
        Ok(ExitCode::SUCCESS)
    })
}

/// Tells a node to drain. It stops when its last session has ended.
pub(super) fn drain(options: &DrainOptions) -> ExitCode {
    run(async {
        let DrainOptions { name, database } = options;
        let mut connection = connect(database).await?;
        if connection
            .drain_named(name)
            .await
            .map_err(|error| database_error(&error))?
        {
            print(&format!("{name} is draining"));
            return Ok(ExitCode::SUCCESS);
        }
        anyhow::bail!(
            "cannot drain {name}: no node with this name is alive; `hearth nodes` lists all"
        );
    })
}

/// Connects to the database of a cluster. A check comes first, because its errors have a fix.
async fn connect(database: &DatabaseOptions) -> anyhow::Result<MemberConnection> {
    let url = database.url()?;
    let checked = Store::check_database(&url).await;
    let state = checked.map_err(|error| database_error(&error))?;
    if state.schema == 0 {
        let empty = ConfigError::new("HEARTH_DATABASE_URL", "the database has no cluster");
        return Err(empty
            .fixed_by("start a node with it, or correct the URL")
            .into());
    }
    MemberConnection::to(&url).map_err(|error| database_error(&error).into())
}

/// Runs a command to its end.
fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start");
    let outcome = runtime.and_then(|runtime| runtime.block_on(command));
    outcome.unwrap_or_else(|error| report(&error))
}

/// Returns a table with one line per node.
fn node_table(nodes: &[NodeRecord]) -> String {
    const TITLES: [&str; 7] = [
        "NAME", "STATE", "NUMBER", "SESSIONS", "READY", "ADDRESS", "VERSION",
    ];
    let rows = nodes.iter().map(|node| {
        let is_alive = node.state.is_alive();
        let or_dash = |text: String| if is_alive { text } else { "-".to_owned() };
        let load = node.load;
        [
            node.life.name.clone(),
            node.state.as_str().to_owned(),
            or_dash(node.number.to_string()),
            or_dash(format!("{}/{}", load.sessions, load.max_sessions)),
            or_dash(if load.ready { "yes" } else { "no" }.to_owned()),
            node.address.clone(),
            node.version.clone(),
        ]
    });
    table(TITLES, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cluster::{Life, NodeLoad, NodeState};

    #[test]
    fn the_table_shows_every_node_with_its_load() {
        let node = |name: &str, state| NodeRecord {
            life: Life {
                name: name.to_owned(),
                epoch: 1,
            },
            number: 12,
            address: "10.0.0.1:3011".to_owned(),
            fingerprint: String::new(),
            proof: String::new(),
            version: "1.2.3".to_owned(),
            protocol: 1,
            state,
            beat: 1,
            load: NodeLoad {
                sessions: 3,
                max_sessions: 8,
                ready: true,
            },
        };
        let nodes = [node("a", NodeState::Up), node("long-name", NodeState::Dead)];
        assert_eq!(
            node_table(&nodes),
            "NAME       STATE  NUMBER  SESSIONS  READY  ADDRESS        VERSION\n\
             a          up     12      3/8       yes    10.0.0.1:3011  1.2.3\n\
             long-name  dead   -       -         -      10.0.0.1:3011  1.2.3\n"
        );
        assert_eq!(node_table(&[]).lines().count(), 1);
    }
}

//! Runs the server of any test behind another node, which owns no session. `HEARTH_TEST_CLUSTER=2`
//! selects that for all tests of a run: what clients see must not depend on it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use tokio::sync::OnceCell;

use crate::cluster::{key_of, lock, wait_for_nodes, with_cluster};
use crate::postgres::{TestPostgres, free_port};
use crate::server::TestServer;
use crate::server_builder::ServerBuilder;

/// The variable that selects the number of nodes.
const VARIABLE: &str = "HEARTH_TEST_CLUSTER";

/// Started once per process, and ends with it.
static POSTGRES: OnceCell<TestPostgres> = OnceCell::const_new();

/// The databases of servers that use the same data dir one after the other.
static DATABASES: Mutex<Option<HashMap<PathBuf, String>>> = Mutex::new(None);

/// Returns true if tests run behind another node.
pub(crate) fn is_wanted() -> bool {
    match std::env::var(VARIABLE).as_deref() {
        Err(_) | Ok("" | "0" | "1") => false,
        Ok("2") => true,
        Ok(other) => panic!("{VARIABLE}={other}: the value is 1 or 2"),
    }
}

/// Starts a server and a node in front of it.
pub(crate) async fn start(builder: ServerBuilder) -> TestServer {
    let postgres = POSTGRES.get_or_init(TestPostgres::start).await;
    let database = database(postgres, &builder);
    let public_port = free_port();
    let (builder, key) = key_of(builder);
    let reader = metrics_key(&builder).map(str::to_owned);
    let environment = builder.environment.clone();
    let owner = with_public_url(builder, &database, "owner", public_port);
    let mut entry = TestServer::builder();
    for (name, value) in &environment {
        entry = entry.setting(name, value);
    }
    let entry = with_public_url(entry, &database, "entry", public_port)
        .setting("HEARTH_LISTEN", &format!("127.0.0.1:{public_port}"))
        .setting("HEARTH_MAX_SESSIONS", "0");
    let owner = owner.start_alone().await;
    let entry = entry.start_alone().await;
    let api = match &key {
        Some(key) => entry.with_key(key),
        None => entry.clone(),
    };
    // Keys in files are those of tests about keys.
    if let Some(reader) = reader {
        wait_for_nodes(&entry.with_key(&reader), 2).await;
    }
    owner.behind(entry, api)
}

/// Returns a key with which metrics can be read.
fn metrics_key(builder: &ServerBuilder) -> Option<&str> {
    let operator = builder.value("HEARTH_OPERATOR_KEY");
    operator.or_else(|| {
        let first = builder.value("HEARTH_API_KEYS")?.split(',').next()?;
        Some(first.rsplit(':').next().unwrap_or(first))
    })
}

/// Makes a server a node, and keeps the public origin that its test has set.
fn with_public_url(
    builder: ServerBuilder,
    database: &str,
    name: &str,
    public_port: u16,
) -> ServerBuilder {
    let given = builder.value("HEARTH_PUBLIC_URL").map(str::to_owned);
    let node = with_cluster(builder, database, name, public_port)
        // Tests of single servers turn the sandbox off.
        .setting("HEARTH_DANGEROUSLY_ALLOW_UNSANDBOXED_CLUSTER", "true");
    match given {
        Some(url) => node.setting("HEARTH_PUBLIC_URL", &url),
        None => node,
    }
}

/// Returns the database of a server. A server with the data dir of an earlier one has that of the
/// earlier one.
fn database(postgres: &TestPostgres, builder: &ServerBuilder) -> String {
    let Some(dir) = builder.given_data_dir() else {
        return postgres.create_database();
    };
    let mut databases = lock(&DATABASES);
    let databases = databases.get_or_insert_default();
    databases
        .entry(dir.to_owned())
        .or_insert_with(|| postgres.create_database())
        .clone()
}

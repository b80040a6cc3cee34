//! Runs the server of any test behind another node, which owns no session. `HEARTH_TEST_CLUSTER=2`
//! selects that for all tests of a run: what clients see must not depend on it.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use nix::unistd::geteuid;
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::cluster::{key_of, lock, wait_for_nodes, with_cluster};
use crate::plain_user;
use crate::postgres::{TestPostgres, free_port};
use crate::server::{Entry, TestServer};
use crate::server_builder::{ServerBuilder, new_data_dir};

/// The variable that selects the number of nodes.
const VARIABLE: &str = "HEARTH_TEST_CLUSTER";

/// The first user id of a server whose test selects none.
const FIRST_UID: &str = "60706";

/// Removes its arguments when its input ends. Tries again while other processes still write.
const REMOVE: &str = "read -r _; for _ in 1 2 3 4 5; do rm -rf -- \"$@\" && exit; sleep 0.5; done";

/// Started once per process, and ends with it.
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// The stores of servers that use the same data dir one after the other.
static STORES: Mutex<Option<HashMap<PathBuf, Store>>> = Mutex::new(None);

/// The server of all databases, and the parent of all dirs with profiles.
struct Shared {
    postgres: TestPostgres,
    profiles: TempDir,
    /// Removes the files of both, because nothing drops a static value.
    _remover: Child,
}

/// The database and the profiles of the two nodes of a test.
#[derive(Clone)]
struct Store {
    database: String,
    profiles: PathBuf,
}

impl Shared {
    async fn start() -> Shared {
        let (postgres, profiles) = (TestPostgres::start().await, new_data_dir());
        // Servers reach their own dir in it.
        fs::set_permissions(profiles.path(), Permissions::from_mode(0o711))
            .expect("the dir belongs to this process");
        let remover = Command::new("setsid")
            .args(["sh", "-c", REMOVE, "sh"])
            .args([postgres.dir(), profiles.path()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Shared {
            postgres,
            profiles,
            _remover: remover.expect("util-linux is installed"),
        }
    }

    /// Creates an empty store for a server with these settings.
    fn create_store(&self, builder: &ServerBuilder) -> Store {
        let database = self.postgres.create_database();
        let name = database.rsplit('/').next().expect("a URL has a path");
        let profiles = self.profiles.path().join(name);
        fs::create_dir(&profiles).expect("its name is new");
        if builder.runs_as_plain_user() {
            plain_user::give(&profiles);
        } else if geteuid().is_root() {
            let uids = builder.value("HEARTH_UIDS").unwrap_or(FIRST_UID);
            let first = uids.split('-').next().and_then(|first| first.parse().ok());
            // Settings that are wrong by intention have no first user id.
            chown(&profiles, first, None).expect("root may change owners");
        }
        Store { database, profiles }
    }
}

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
    let store = store(SHARED.get_or_init(Shared::start).await, &builder);
    let public_port = free_port();
    let (builder, key) = key_of(builder);
    let reader = metrics_key(&builder).map(str::to_owned);
    let environment = builder.environment.clone();
    let owner = with_store(builder, &store, "owner", public_port);
    let mut entry = TestServer::builder();
    for (name, value) in &environment {
        entry = entry.setting(name, value);
    }
    let entry = with_store(entry, &store, "entry", public_port)
        .setting("HEARTH_LISTEN", &format!("127.0.0.1:{public_port}"))
        .setting("HEARTH_MAX_SESSIONS", "0")
        .setting("HEARTH_WARM_SESSIONS", "0");
    let owner = owner.start_alone().await;
    let node = entry.start_alone().await;
    // Keys in files are those of tests about keys.
    if let Some(reader) = reader {
        wait_for_nodes(&node.with_key(&reader), 2).await;
    }
    owner.behind(Entry {
        node,
        key,
        profiles: store.profiles,
    })
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
fn with_store(
    builder: ServerBuilder,
    store: &Store,
    name: &str,
    public_port: u16,
) -> ServerBuilder {
    let given = builder.value("HEARTH_PUBLIC_URL").map(str::to_owned);
    let profiles = format!("file://{}", store.profiles.display());
    let node = with_cluster(builder, &store.database, name, public_port)
        .setting("HEARTH_PROFILE_STORE", &profiles)
        // Tests of single servers turn the sandbox off.
        .setting("HEARTH_DANGEROUSLY_ALLOW_UNSANDBOXED_CLUSTER", "true");
    match given {
        Some(url) => node.setting("HEARTH_PUBLIC_URL", &url),
        None => node,
    }
}

/// Returns the store of a server. A server with the data dir of an earlier one has that of the
/// earlier one.
fn store(shared: &Shared, builder: &ServerBuilder) -> Store {
    let Some(dir) = builder.given_data_dir() else {
        return shared.create_store(builder);
    };
    let mut stores = lock(&STORES);
    let stores = stores.get_or_insert_default();
    stores
        .entry(dir.to_owned())
        .or_insert_with(|| shared.create_store(builder))
        .clone()
}

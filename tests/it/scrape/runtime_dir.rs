//! The runtime of a server that has given up root privileges.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use hearth_test_support::plain_user::PlainUser;
use hearth_test_support::{Site, TestServer, binary};
use serde_json::json;

use super::Scenario;

/// A checkout can be in a directory that only root can enter, such as one of `mktemp -d`.
#[tokio::test]
async fn a_server_scrapes_with_a_runtime_that_its_user_cannot_reach() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let files = PlainUser::new(
        &binary(),
        &hearth_test_support::repository().join("runtime"),
    );
    set_permissions(files.dir(), Permissions::from_mode(0o700)).expect("it belongs to root");
    let runtime = files.runtime();
    let runtime = runtime.to_str().expect("paths of tests are UTF-8");
    let builder = TestServer::builder().setting("HEARTH_RUNTIME_DIR", runtime);
    let (server, site) = tokio::join!(builder.start(), Site::start());
    let scenario = Scenario { server, site };
    let data = scenario.scrape("/title/Closed", &json!({})).await;
    assert_eq!(data["metadata"]["title"], "Closed");
    scenario.server.stop().await;
}

//! The key of the client. On the machine of the server none has to be given.

use hearth_test_support::{TestServer, new_data_dir};

use super::run_with;

async fn with_keys() -> TestServer {
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "shop:first,second");
    builder.start().await
}

#[tokio::test]
async fn a_client_needs_one_of_the_keys() {
    let server = with_keys().await;
    let url = ("HEARTH_URL", server.origin());
    run_with(&["ls"], &[url, ("HEARTH_API_KEY", "second")])
        .await
        .ok();
    run_with(&["ls", "--api-key", "first"], &[url]).await.ok();
    let missing = run_with(&["ls"], &[url]).await;
    missing.failed(1, "Unauthorized", "set HEARTH_API_KEY to a key");
    let wrong = run_with(&["ls"], &[url, ("HEARTH_API_KEY", "third")]).await;
    wrong.failed(1, "Invalid token", "does not know this one");
    assert!(!wrong.stderr.contains("third"));
    server.stop().await;
}

#[tokio::test]
async fn the_settings_of_the_server_suffice_on_its_machine() {
    let server = with_keys().await;
    let listen = ("HEARTH_LISTEN", server.address());
    run_with(&["ls"], &[listen, ("HEARTH_API_KEYS", "shop:first,second")])
        .await
        .ok();
    let dir = new_data_dir();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_string_lossy().into_owned()
    };
    let keys = write("keys", "shop:first\nsecond\n");
    run_with(&["ls"], &[listen, ("HEARTH_API_KEYS_FILE", &keys)])
        .await
        .ok();
    let settings = format!("HEARTH_LISTEN={}\nHEARTH_API_KEYS_FILE={keys}\n", listen.1);
    let settings = write("settings", &settings);
    run_with(&["new"], &[("HEARTH_ENV_FILE", &settings)])
        .await
        .ok();
    run_with(&["files", "ls"], &[("HEARTH_ENV_FILE", &settings)])
        .await
        .ok();
    run_with(&["ls"], &[("HEARTH_ENV_FILE", &settings)])
        .await
        .ok();
    server.stop().await;
}

#[tokio::test]
async fn the_keys_of_this_machine_are_not_sent_to_another_server() {
    let server = with_keys().await;
    let environment = [
        ("HEARTH_URL", server.origin()),
        ("HEARTH_API_KEYS", "shop:first,second"),
    ];
    let ran = run_with(&["ls"], &environment).await;
    ran.failed(1, "Unauthorized", "set HEARTH_API_KEY");
    server.stop().await;
}

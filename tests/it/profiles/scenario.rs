//! A server whose sessions have profiles, a page that stores data, and helpers to read both.

use hearth_test_support::{Execution, Session, Site, TestServer};
use serde_json::{Value, json};

/// Returns a request body for a session with a profile that it saves.
pub fn saving(name: &str) -> Value {
    json!({"profile": {"name": name}})
}

/// Returns a request body for a session with a profile that it only reads.
pub fn reading(name: &str) -> Value {
    json!({"profile": {"name": name, "saveChanges": false}})
}

/// Opens the site's page in the session and runs `script` in it.
pub async fn on_page(session: &Session, site: &Site, script: &str) -> Execution {
    let url = site.url("/title/kept");
    session
        .node(&format!(
            "await page.goto('{url}'); await page.evaluate(async () => {{ {script} }})"
        ))
        .await
}

/// Stores `value` where pages keep data: local storage and cookies of both kinds.
pub async fn keep(session: &Session, site: &Site, value: &str) {
    let script = format!(
        "localStorage.kept = '{value}'; document.cookie = 'session={value}'; document.cookie = 'lasting={value}; max-age=9999'; return 1"
    );
    on_page(session, site, &script).await.ok();
}

/// Reads these three stores.
pub async fn kept(session: &Session, site: &Site) -> Value {
    let cookie = "(name) => document.cookie.split('; ').find((one) => one.startsWith(name + '='))?.split('=')[1] ?? null";
    let script = format!(
        "const cookie = {cookie}; return [localStorage.kept ?? null, cookie('session'), cookie('lasting')]"
    );
    on_page(session, site, &script).await.ok().json()
}

/// Reads the three stores in a temporary, read-only session.
pub async fn saved(server: &TestServer, site: &Site, name: &str) -> Value {
    let session = server.session_with(&reading(name)).await;
    let found = kept(&session, site).await;
    session.delete().await;
    found
}

/// Returns the expected content of the stores when each holds `value`.
pub fn all(value: &str) -> Value {
    json!([value, value, value])
}

/// Returns the expected content of empty stores.
pub fn nothing() -> Value {
    json!([null, null, null])
}

/// Lists the files of profiles by name and length. Their format is private to the server, which may
/// remove a temporary file meanwhile.
pub fn files(server: &TestServer) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(server.data_dir().join("profiles")).expect("a dir of profiles");
    let about = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().expect("ASCII");
        Some((name, entry.metadata().ok()?.len()))
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| about(entry.expect("an entry")))
        .collect();
    files.sort();
    files
}

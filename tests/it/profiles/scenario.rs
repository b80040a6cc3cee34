//! A server whose sessions have profiles, a page that stores data, and helpers to read both.

use std::collections::BTreeSet;
use std::path::Path;

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
/// remove a temporary file meanwhile. In a cluster, each profile has a dir with its versions, the
/// previous one included.
pub fn files(server: &TestServer) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    let mut dirs = vec![server.profiles_dir()];
    while let Some(dir) = dirs.pop() {
        // The dirs of a cluster exist only with files.
        for entry in std::fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => dirs.push(path),
                Ok(metadata) => files.push((name_of(server, &path), metadata.len())),
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}

/// Returns the name of a file below the dir of profiles.
fn name_of(server: &TestServer, path: &Path) -> String {
    let name = path.strip_prefix(server.profiles_dir());
    let name = name.expect("it is below the dir").to_str();
    name.expect("ASCII").to_owned()
}

/// Returns the ids of all profiles that have files.
pub fn ids(server: &TestServer) -> BTreeSet<String> {
    let names = files(server).into_iter().map(|(name, _)| name);
    names
        .filter_map(|name| name.split('/').next().map(str::to_owned))
        .collect()
}

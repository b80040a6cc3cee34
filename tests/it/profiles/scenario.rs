//! A server whose sessions have profiles, a page that keeps things, and what can be seen of both.

use hearth_test_support::{Execution, Session, Site, TestServer};
use serde_json::{Value, json};

/// The body of a request for a session with a profile that it saves.
pub fn saving(name: &str) -> Value {
    json!({"profile": {"name": name}})
}

/// The same with one that it only reads.
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

/// Puts `value` where a page keeps things: local storage and cookies of both kinds.
pub async fn keep(session: &Session, site: &Site, value: &str) {
    let script = format!(
        "localStorage.kept = '{value}'; document.cookie = 'session={value}'; document.cookie = 'lasting={value}; max-age=9999'; return 1"
    );
    on_page(session, site, &script).await.ok();
}

/// What is in these three places.
pub async fn kept(session: &Session, site: &Site) -> Value {
    let cookie = "(name) => document.cookie.split('; ').find((one) => one.startsWith(name + '='))?.split('=')[1] ?? null";
    let script = format!(
        "const cookie = {cookie}; return [localStorage.kept ?? null, cookie('session'), cookie('lasting')]"
    );
    on_page(session, site, &script).await.ok().json()
}

/// The same in a session that only looks, and is gone again.
pub async fn saved(server: &TestServer, site: &Site, name: &str) -> Value {
    let session = server.session_with(&reading(name)).await;
    let found = kept(&session, site).await;
    session.delete().await;
    found
}

/// The three places when `value` is in each.
pub fn all(value: &str) -> Value {
    json!([value, value, value])
}

/// The three places when nothing is there.
pub fn nothing() -> Value {
    json!([null, null, null])
}

/// The files of profiles, by name and length. What is in them is nobody's business but the
/// server's.
pub fn files(server: &TestServer) -> Vec<(String, u64)> {
    let entries =
        std::fs::read_dir(server.data_dir().join("profiles")).expect("a folder of profiles");
    let about = |entry: std::fs::DirEntry| {
        (
            entry.file_name().into_string().expect("ASCII"),
            entry.metadata().expect("about it").len(),
        )
    };
    let mut files: Vec<_> = entries
        .map(|entry| about(entry.expect("an entry")))
        .collect();
    files.sort();
    files
}

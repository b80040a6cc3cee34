//! Starts the MCP server as the configuration files in docs/clients.md describe it, and uses its
//! tools.
//!
//! A fenced block `json tested` is such a file. Only the server's address and the key are replaced.

use std::fs;
use std::os::unix::fs::symlink;

use hearth_test_support::{ClientHome, Site, TestServer, repository};
use serde_json::{Value, json};

use super::call::{Call, CallResult};
use super::client::Client;
use super::elsewhere::Elsewhere;
use super::readme::blocks;

/// The address in the document, which is the server's default.
const ADDRESS: &str = "http://127.0.0.1:3010";

/// Runs every file against a server, with its key if it has one.
pub async fn run_all(server: &TestServer, key: Option<&str>, site: &Site, elsewhere: &Elsewhere) {
    let document = fs::read_to_string(repository().join("docs/clients.md")).unwrap();
    let files = blocks(&document, "json tested");
    assert_eq!(files.len(), 2, "one for each format: {files:#?}");
    for file in files {
        let file: Value = serde_json::from_str(file).unwrap();
        let mut described = server_in(&file).clone();
        let env = described["env"].as_object_mut().unwrap();
        let address = env.insert("FIRECRAWL_API_URL".to_owned(), json!(server.origin()));
        assert_eq!(address, Some(json!(ADDRESS)));
        let placeholder = env.remove("FIRECRAWL_API_KEY").unwrap();
        assert_is_prompted(&file, placeholder.as_str().unwrap());
        if let Some(key) = key {
            env.insert("FIRECRAWL_API_KEY".to_owned(), json!(key));
        }
        let client = Client::of_mcp_server(&described, home_with_server(), elsewhere).await;
        assert_works(client, site).await;
    }
}

/// Returns the only MCP server that a file describes.
fn server_in(file: &Value) -> &Value {
    let servers = file.get("mcpServers").or(file.get("servers"));
    let servers = servers.and_then(Value::as_object).unwrap();
    let [(_, server)] = &servers.iter().collect::<Vec<_>>()[..] else {
        panic!("not one server: {file}")
    };
    server
}

/// Asserts that a file which refers to an input also describes it.
fn assert_is_prompted(file: &Value, placeholder: &str) {
    let input = placeholder
        .strip_prefix("${input:")
        .and_then(|rest| rest.strip_suffix('}'));
    assert_eq!(
        file["inputs"][0]["id"].as_str(),
        input,
        "the key is {placeholder}"
    );
}

/// Creates a home dir in which `npx` finds the pinned MCP server, as if it had been downloaded.
fn home_with_server() -> ClientHome {
    let home = ClientHome::default();
    let modules = repository().join("tests/official/node_modules");
    symlink(modules, home.path().join("node_modules")).unwrap();
    home
}

/// Opens a page with the server's tools, runs code in it and stops the session.
async fn assert_works(mut client: Client<'_>, site: &Site) {
    let listed = returned(&mut client, &Call::Special("tools", json!({}))).await;
    let tools = listed["tools"].as_array().unwrap();
    for tool in [
        "firecrawl_scrape",
        "firecrawl_interact",
        "firecrawl_interact_stop",
    ] {
        assert!(tools.contains(&json!(tool)), "{listed}");
    }
    let input = json!({"url": site.url("/title/Warm"), "code": "await page.title()"});
    let ran = returned(&mut client, &Call::Special("open", input)).await;
    assert_eq!(ran["result"], "Warm", "{ran}");
    let stop = Call::Stop(ran["scrapeId"].as_str().unwrap());
    let stopped = returned(&mut client, &stop).await;
    assert_eq!(stopped["status"], "stopped", "{stopped}");
    client.leave().await;
}

/// Makes a call with the key of the file.
async fn returned(client: &mut Client<'_>, call: &Call<'_>) -> Value {
    match client.call(None, call).await {
        CallResult::Returned(value) => value,
        other => panic!("{call:?}: {other:?}"),
    }
}

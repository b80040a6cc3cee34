//! Sessions from their creation to their end.

use std::process::Command;

use hearth_test_support::{TestServer, binary};
use serde_json::{Value, json};

use super::{environment, run};

#[tokio::test]
async fn a_session_is_created_listed_opened_and_ended() {
    let server = TestServer::start().await;
    let id = run(&server, &["new", "--ttl", "120"]).await.ok();
    let status = server.status(&id).await.ok();
    assert_eq!(status["status"], "active");

    let listed = run(&server, &["ls"]).await.ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].starts_with("ID ") && lines[1].starts_with(&id),
        "{listed}"
    );
    assert!(lines[1].contains(" active ") && lines[1].ends_with('Z'));

    let url = run(&server, &["open"]).await.ok();
    assert_eq!(status["interactiveLiveViewUrl"], json!(url));
    let watched = run(&server, &["open", "--watch-only", &id]).await.ok();
    assert_eq!(status["liveViewUrl"], json!(watched));
    let page = reqwest::get(&url).await.expect("the live view answers");
    assert_eq!(page.status(), 200);

    assert_eq!(run(&server, &["rm", &id]).await.ok(), id);
    assert_eq!(run(&server, &["ls"]).await.ok().lines().count(), 1);
    let all = run(&server, &["ls", "--all"]).await.ok();
    assert!(all.contains(&id) && all.contains(" destroyed "), "{all}");
    run(&server, &["open", &id])
        .await
        .failed(1, "has ended", "`hearth ls`");
    run(&server, &["open"])
        .await
        .failed(1, "no session is active", "`hearth new`");
    server.stop().await;
}

#[tokio::test]
async fn the_options_of_a_session_reach_the_server() {
    let server = TestServer::start().await;
    let options = [
        "--profile",
        "cli",
        "--activity-ttl",
        "60",
        "--country",
        "de",
    ];
    let new = run(&server, &[&["new"][..], &options].concat()).await;
    let warning = "hearth: The server has no proxy in this country";
    assert!(new.stderr.starts_with(warning), "{new:?}");
    let id = new.stdout.trim_end().to_owned();
    let zone = ["exec", "Intl.DateTimeFormat().resolvedOptions().timeZone"];
    assert_eq!(run(&server, &zone).await.ok(), "Europe/Berlin");
    let busy = run(&server, &["new", "--profile", "cli"]).await;
    busy.failed(1, "Another session saves to the profile", "");
    let reader = run(&server, &["new", "--profile", "cli", "--no-save"])
        .await
        .ok();
    let mut ended = run(&server, &["rm", "--all"]).await.ok();
    ended.push('\n');
    assert!(ended.contains(&id) && ended.contains(&reader), "{ended}");
    let invalid = run(&server, &["new", "--ttl", "5"]).await;
    invalid.failed(1, "cannot create a session: Bad Request: ttl", "");
    server.stop().await;
}

#[tokio::test]
async fn json_is_the_response_of_the_server() {
    let server = TestServer::start().await;
    let parse = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
    let created = parse(run(&server, &["new", "--json"]).await.ok());
    let id = created["id"].as_str().expect("an id");
    let listed = parse(run(&server, &["ls", "--json"]).await.ok());
    assert_eq!(listed["sessions"][0]["id"], id);
    let ran = parse(run(&server, &["exec", "--json", "1 + 1"]).await.ok());
    assert_eq!((&ran["result"], &ran["exitCode"]), (&json!("2"), &json!(0)));
    let shown = parse(run(&server, &["open", "--json"]).await.ok());
    assert_eq!(shown["cdpUrl"], created["cdpUrl"]);
    let ended = parse(run(&server, &["rm", "--json", id]).await.ok());
    assert_eq!(ended["status"], "stopped");
    server.stop().await;
}

#[tokio::test]
async fn in_a_terminal_a_new_session_shows_where_it_can_be_watched() {
    let server = TestServer::start().await;
    let shown = Command::new("/usr/bin/script")
        .args(["-qec", &format!("{} new", binary().display()), "/dev/null"])
        .env_clear()
        .envs(environment(&server))
        .output()
        .expect("script is a part of every Debian system");
    let shown = String::from_utf8(shown.stdout).expect("text");
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let status = server.status(lines[0]).await.ok();
    let line = |name: &str, key: &str| {
        let value = status[key].as_str().expect("a text");
        format!("  {name:9}  {value}")
    };
    assert_eq!(lines[1], line("live view", "interactiveLiveViewUrl"));
    assert_eq!(lines[2], line("CDP", "cdpUrl"));
    assert!(lines[3].starts_with("  ends at    20"), "{shown}");
    server.stop().await;
}

//! Sessions of an earlier server, as the next server reports them. The earlier server may have been
//! stopped or killed.

use std::time::Duration;

use hearth_test_support::{Api, Session, Site, TestServer, new_data_dir};
use reqwest::Method;
use serde_json::json;

const BOUND: Duration = Duration::from_secs(2);

async fn started(dir: &tempfile::TempDir) -> TestServer {
    let builder = TestServer::builder()
        .data_dir(dir.path())
        .setting("HEARTH_API_KEYS", "one:key-1,two:key-2");
    // A checkpoint would make the cookies newer than the rest.
    builder
        .setting("HEARTH_PROFILE_CHECKPOINT_SECONDS", "0")
        .start()
        .await
}

/// Asserts that `server` reports an earlier server's session as ended for this reason in every
/// call, and as forbidden for other teams.
async fn assert_ended(server: &TestServer, session: &Session, reason: &str) {
    let (own, other) = (server.with_key("key-1"), server.with_key("key-2"));
    let status = own.status(session.id()).await.ok();
    assert_eq!(
        (&status["status"], &status["destroyedReason"]),
        (&json!("destroyed"), &json!(reason)),
        "{status}"
    );
    assert_eq!(
        status["expiresAt"], session.created["expiresAt"],
        "{status}"
    );
    for link in ["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"] {
        assert_eq!(status[link], "", "{status}");
    }
    let rejection = own.execute(session.id(), &json!({"code": "1"})).await;
    assert_eq!(
        (rejection.status, &rejection.body["error"]),
        (410, &json!("Browser session has been destroyed."))
    );
    let deleted = own.delete(session.id()).await.ok();
    assert_eq!(deleted["sessionDurationMs"], status["sessionDurationMs"]);
    let listed = own.list("?status=destroyed").await.ok();
    let found = listed["sessions"]
        .as_array()
        .and_then(|list| list.iter().find(|one| one["id"] == session.id()));
    assert_eq!(found.expect("the session is listed")["streamWebView"], true);
    assert_eq!(own.list("?status=active").await.ok()["sessions"], json!([]));
    assert_eq!(other.status(session.id()).await.status, 403);
    assert_eq!(other.list("").await.ok()["sessions"], json!([]));
}

#[tokio::test]
async fn a_session_of_a_killed_server_has_ended_with_it() {
    let dir = new_data_dir();
    let mut killed = started(&dir).await;
    let session = killed.with_key("key-1").session().await;
    session.bash("echo x").await.ok();
    killed.kill_hard().await;
    killed.assert_nothing_runs(BOUND).await;
    let next = started(&dir).await;
    assert_ended(&next, &session, "server_lost").await;
    next.stop().await;
}

#[tokio::test]
async fn sessions_that_had_ended_before_a_restart_keep_their_reason_and_their_duration() {
    let dir = new_data_dir();
    let first = started(&dir).await;
    let api = first.with_key("key-1");
    let (deleted, stopped) = (api.session().await, api.session().await);
    let answer = deleted.delete().await;
    let limited = api.session_with(&json!({"streamWebView": true})).await;
    let mut first = first;
    // The server is killed right after the response, because an acknowledged end must be stored.
    let last = limited.delete().await;
    first.kill_hard().await;
    first.assert_nothing_runs(BOUND).await;
    let second = started(&dir).await;
    assert_ended(&second, &deleted, "deleted").await;
    assert_ended(&second, &limited, "deleted").await;
    assert_ended(&second, &stopped, "server_lost").await;
    for (session, answer) in [(&deleted, answer), (&limited, last)] {
        let status = second.with_key("key-1").status(session.id()).await.ok();
        assert_eq!(status["sessionDurationMs"], answer["sessionDurationMs"]);
    }
    let late = second.with_key("key-1").session().await;
    second.stop().await;
    let third = started(&dir).await;
    let api = third.with_key("key-1");
    assert_eq!(
        api.status(late.id()).await.ok()["destroyedReason"],
        "server_stopped"
    );
    assert_eq!(
        api.status(deleted.id()).await.ok()["destroyedReason"],
        "deleted"
    );
    let listed = api.list("").await.ok();
    let ids: Vec<&str> = listed["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert_eq!(
        ids,
        [late.id(), limited.id(), stopped.id(), deleted.id()],
        "newest first"
    );
    third.stop().await;
}

#[tokio::test]
async fn live_view_links_give_the_sessions_end_and_other_links_are_rejected() {
    let dir = new_data_dir();
    let mut killed = started(&dir).await;
    let session = killed.with_key("key-1").session().await;
    killed.kill_hard().await;
    killed.assert_nothing_runs(BOUND).await;
    let next = started(&dir).await;
    for link in ["liveViewUrl", "interactiveLiveViewUrl"] {
        let link = session.created[link].as_str().unwrap();
        let path = &link[link.find("/live/").unwrap()..];
        let socket = path.replacen('?', "/socket?", 1);
        let reply = next.send(next.request_outside(Method::GET, &socket)).await;
        assert_eq!(reply.status, 410, "{reply:?}");
        assert!(
            reply.body["error"]
                .as_str()
                .unwrap()
                .contains("server that owned the session is gone"),
            "{reply:?}"
        );
        let forged = format!("{}0", &socket[..socket.len() - 1]);
        let forged = if forged == socket {
            format!("{}1", &socket[..socket.len() - 1])
        } else {
            forged
        };
        assert_eq!(
            next.send(next.request_outside(Method::GET, &forged))
                .await
                .status,
            401
        );
    }
    next.stop().await;
}

#[tokio::test]
async fn code_that_was_run_is_never_stored() {
    let dir = new_data_dir();
    let server = started(&dir).await;
    let session = server.with_key("key-1").session().await;
    for language in ["bash", "python", "node"] {
        let code = if language == "node" {
            "console.log('MARKER-code')"
        } else {
            "echo = 'MARKER-code'; print(echo)"
        };
        session.run(language, code).await;
    }
    let links = ["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"]
        .map(|link| session.created[link].as_str().unwrap());
    let secrets: Vec<&str> = links
        .iter()
        .map(|link| link.split("token=").nth(1).unwrap())
        .collect();
    session.delete().await;
    server.stop().await;
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap().flatten() {
        let Ok(bytes) = std::fs::read(entry.path()) else {
            continue;
        };
        let has = |text: &str| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        assert!(
            !has("MARKER-code") && !has("key-1") && !secrets.iter().any(|secret| has(secret)),
            "{entry:?}"
        );
        files += usize::from(has(session.id()));
    }
    assert_eq!(files, 1, "the number of files that contain the session");
}

#[tokio::test]
async fn a_server_that_is_killed_at_any_moment_knows_what_it_acknowledged() {
    killed_at_any_moment(6).await;
}

#[tokio::test]
#[ignore = "takes some minutes: make soak"]
async fn a_server_that_is_killed_a_hundred_times_knows_what_it_acknowledged() {
    killed_at_any_moment(100).await;
}

/// Kills a server at a random moment of a session's life. The next server must report every
/// acknowledged end and have every saved profile.
async fn killed_at_any_moment(rounds: u64) {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let mut lives = Lives {
        url: site.url("/title/kept"),
        ..Lives::default()
    };
    for round in 0..rounds {
        let mut server = started(&dir).await;
        let api = server.with_key("key-1");
        lives.check(&api).await;
        // The kill happens between the first creation and several sessions later, at a different
        // moment in each round.
        let _ = tokio::time::timeout(
            Duration::from_millis(60 + round * 137 % 3100),
            lives.live(&api),
        )
        .await;
        server.kill_hard().await;
        server.assert_nothing_runs(BOUND).await;
    }
    let server = started(&dir).await;
    lives.check(&server.with_key("key-1")).await;
    server.stop().await;
}

/// A series of sessions, each of which increments a counter in its profile.
#[derive(Default)]
struct Lives {
    url: String,
    created: Vec<String>,
    /// The sessions whose deletion was requested, and those whose deletion was acknowledged.
    asked: Vec<String>,
    deleted: Vec<String>,
    /// The last number that was sent to a session, and the last number of a session whose deletion
    /// was acknowledged.
    counted: u64,
    saved: u64,
}

impl Lives {
    /// Creates and deletes sessions until the server is gone.
    async fn live(&mut self, api: &Api) {
        loop {
            let body = json!({"profile": {"name": "p"}});
            let Ok(reply) = api.request(Method::POST, "").json(&body).send().await else {
                return;
            };
            let Ok(body) = reply.json::<serde_json::Value>().await else {
                return;
            };
            let id = body["id"]
                .as_str()
                .unwrap_or_else(|| panic!("not created: {body}"))
                .to_owned();
            assert_eq!(body.get("warning"), None, "{body}");
            self.created.push(id.clone());
            self.counted += 1;
            let code = format!(
                "await page.goto('{}'); await page.evaluate((it) => {{ localStorage.count = it; document.cookie = `count=${{it}}; max-age=9999` }}, {})",
                self.url, self.counted
            );
            let run = api
                .request(Method::POST, &format!("/{id}/execute"))
                .json(&json!({"code": code}));
            let Ok(reply) = run.send().await else { return };
            let Ok(body) = reply.json::<serde_json::Value>().await else {
                return;
            };
            assert_eq!(body["exitCode"], 0, "{body}");
            self.asked.push(id.clone());
            let Ok(reply) = api.request(Method::DELETE, &format!("/{id}")).send().await else {
                return;
            };
            let Ok(body) = reply.json::<serde_json::Value>().await else {
                return;
            };
            assert_eq!(body.get("warning"), None, "{body}");
            self.saved = self.counted;
            self.deleted.push(id);
        }
    }

    /// Asserts that the next server reports these sessions and has the last saved profile.
    async fn check(&self, api: &Api) {
        for id in &self.created {
            let reason = api.status(id).await.ok()["destroyedReason"].clone();
            match (self.asked.contains(id), self.deleted.contains(id)) {
                (_, true) => assert_eq!(reason, "deleted"),
                (false, _) => assert_eq!(reason, "server_lost"),
                // No client received a response.
                (true, false) => {
                    assert!(reason == "deleted" || reason == "server_lost", "{reason}");
                }
            }
        }
        let session = api
            .session_with(&json!({"profile": {"name": "p", "saveChanges": false}}))
            .await;
        assert_eq!(session.created.get("warning"), None, "{}", session.created);
        let code = format!(
            "await page.goto('{}'); await page.evaluate(() => [localStorage.count ?? '0', document.cookie.split('=')[1] ?? '0'])",
            self.url
        );
        let counts = session.node(&code).await.ok().json();
        session.delete().await;
        let [storage, cookie] = [0, 1].map(|at| {
            counts[at]
                .as_str()
                .and_then(|count| count.parse::<u64>().ok())
        });
        assert_eq!(storage, cookie, "local storage and cookie differ");
        let count = storage.expect("a number");
        assert!(
            (self.saved..=self.counted).contains(&count),
            "{count} is not from {} to {}",
            self.saved,
            self.counted
        );
    }
}

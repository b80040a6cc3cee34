//! The session of a scrape: one for all interactions, of one team, until it ends.

use hearth_test_support::{Site, TestServer, new_data_dir};
use serde_json::{Value, json};

use super::{JOB, assert_error, interact, listed, run_at, stop};

const GONE: &str = "Browser session has been destroyed.";

#[tokio::test]
async fn interactions_share_a_session_until_it_is_stopped() {
    let (server, site) = (TestServer::start().await, Site::start().await);
    let first = run_at(
        &server,
        JOB,
        &site.url("/title/page"),
        "globalThis.kept = 7; await page.title()",
    )
    .await;
    assert_eq!(first["result"], "page");
    let id = first["sessionId"].as_str().expect("an id");
    assert_eq!(listed(&server, "active").await, [id]);
    let status = server.status(id).await.ok();
    for link in ["cdpUrl", "liveViewUrl", "interactiveLiveViewUrl"] {
        assert_eq!(status[link], first[link], "{link}");
    }
    // The page is not opened again, and the address is not needed any more.
    let second = interact(&server, JOB, &json!({"code": "globalThis.kept"})).await;
    assert_eq!(
        (&second.json()["result"], second.status),
        (&json!("7"), 200)
    );
    let failing = json!({"code": "echo bad >&2; exit 3", "language": "bash"});
    let failed = interact(&server, JOB, &failing).await.json();
    assert_eq!(
        (&failed["success"], &failed["exitCode"], &failed["error"]),
        (&json!(false), &json!(3), &json!("bad"))
    );
    let stopped = stop(&server, JOB).await.json();
    assert_eq!(stopped["success"], true, "{stopped}");
    assert_eq!(stop(&server, JOB).await.json(), stopped);
    assert_error(
        &interact(&server, JOB, &json!({"code": "1"})).await,
        410,
        GONE,
    );
    let again = json!({"code": "1", "url": site.url("/title/page")});
    assert_error(&interact(&server, JOB, &again).await, 410, GONE);
    assert_eq!(server.status(id).await.ok()["destroyedReason"], "deleted");
    server.stop().await;
}

#[tokio::test]
async fn the_page_of_a_scrape_belongs_to_its_team() {
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "one:key-1,two:key-2");
    let (server, site) = (builder.start().await, Site::start().await);
    let (own, other) = (server.with_key("key-1"), server.with_key("key-2"));
    run_at(&own, JOB, &site.url("/title/page"), "1").await;
    let code = json!({"code": "1", "url": site.url("/title/page")});
    assert_error(&interact(&other, JOB, &code).await, 403, "Forbidden.");
    assert_error(&stop(&other, JOB).await, 403, "Forbidden.");
    assert_eq!(stop(&own, JOB).await.status, 200);
    assert_error(&interact(&other, JOB, &code).await, 403, "Forbidden.");
    server.stop().await;
}

#[tokio::test]
async fn an_existing_session_is_used_as_it_is() {
    let builder = TestServer::builder().setting("HEARTH_API_KEYS", "one:key-1,two:key-2");
    let (server, site) = (builder.start().await, Site::start().await);
    let (own, other) = (server.with_key("key-1"), server.with_key("key-2"));
    let session = own.session().await;
    let open = format!("await page.goto('{}')", site.url("/title/own"));
    session.node(&open).await.ok();
    let body = |id: &str| json!({"code": "await page.title()", "existingSessionId": id, "url": site.url("/title/page")});
    let reply = interact(&own, JOB, &body(session.id())).await.json();
    assert_eq!(
        (&reply["result"], &reply["sessionId"]),
        (&json!("own"), &json!(session.id()))
    );
    // A session of another team and an unknown one are ignored.
    let (job, foreign) = ("01920000-0000-7000-8000-00000000000b", body(session.id()));
    let foreign = interact(&other, job, &foreign).await.json();
    assert_eq!(foreign["result"], "page", "{foreign}");
    assert_ne!(foreign["sessionId"], json!(session.id()));
    let unknown = interact(
        &own,
        "01920000-0000-7000-8000-00000000000c",
        &body("nothing"),
    )
    .await;
    assert_eq!(unknown.json()["result"], "page", "{}", unknown.text);
    // The session ends with the interactions.
    assert_eq!(stop(&own, JOB).await.status, 200);
    session.assert_destroyed("deleted").await;
    server.stop().await;
}

#[tokio::test]
async fn a_session_of_an_earlier_server_has_ended() {
    let (dir, site) = (new_data_dir(), Site::start().await);
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    let first: Value = run_at(&server, JOB, &site.url("/title/page"), "1").await;
    server.stop().await;
    let server = TestServer::builder().data_dir(dir.path()).start().await;
    let again = json!({"code": "1", "url": site.url("/title/page")});
    assert_error(&interact(&server, JOB, &again).await, 410, GONE);
    let stopped = stop(&server, JOB).await.json();
    let id = first["sessionId"].as_str().expect("an id");
    let status = server.status(id).await.ok();
    assert_eq!(stopped["sessionDurationMs"], status["sessionDurationMs"]);
    server.stop().await;
}

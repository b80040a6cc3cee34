//! The live view's links over plain HTTP, as requested by programs, and by browsers before the
//! page's script runs.

use hearth_test_support::{Exchange, Session, TestServer};
use reqwest::Method;
use serde_json::json;

const UNKNOWN_ID: &str = "01920000-0000-7000-8000-000000000000";

/// Returns the two links of a session, from the path on.
fn links(session: &Session) -> [String; 2] {
    ["liveViewUrl", "interactiveLiveViewUrl"].map(|name| {
        let link = session.created[name].as_str().expect("a link");
        link[link.find("/live/").expect("a path")..].to_owned()
    })
}

fn socket(link: &str) -> String {
    link.replacen('?', "/socket?", 1)
}

async fn get(server: &TestServer, path: &str) -> Exchange {
    Exchange::of(server.request_outside(Method::GET, path)).await
}

#[tokio::test]
async fn the_page_is_the_same_for_every_link_and_its_status_gives_the_links_state() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let session = server.with_key("secret").session().await;
    let [watching, control] = links(&session);
    let page = get(&server, &watching).await;
    assert_eq!(page.status, 200, "{}", page.text);
    let bare = watching.split('?').next().expect("a path").to_owned();
    let token = watching.split_once("token=").expect("a token").1;
    let unknown = watching.replace(session.id(), UNKNOWN_ID);
    let no_text = format!("/live/%ff?token={token}");
    let cdp_token = session.cdp_url().split_once("token=").expect("a token").1;
    let others = [
        (control, 200),
        (bare.clone(), 401),
        (format!("{watching}x"), 401),
        (format!("{bare}?token={cdp_token}"), 401),
        (unknown, 404),
        (no_text, 404),
    ];
    for (path, status) in others {
        let other = get(&server, &path).await;
        assert_eq!((other.status, &other.text), (status, &page.text), "{path}");
    }
    session.delete().await;
    assert_eq!(get(&server, &watching).await.status, 410);
    server.stop().await;
}

#[tokio::test]
async fn the_socket_gives_the_links_state_over_plain_http() {
    let server = TestServer::builder()
        .setting("HEARTH_API_KEYS", "secret")
        .start()
        .await;
    let session = server.with_key("secret").session().await;
    let [watching, control] = links(&session).map(|link| socket(&link));
    for link in [&watching, &control] {
        assert_eq!(get(&server, link).await.status, 426);
    }
    let cases = [
        (watching.split('?').next().expect("a path").to_owned(), 401),
        (format!("{watching}x"), 401),
        (watching.replace(session.id(), UNKNOWN_ID), 404),
        (watching.replace(session.id(), "%ff"), 404),
    ];
    for (path, status) in cases {
        assert_eq!(get(&server, &path).await.status, status, "{path}");
    }
    let foreign = server
        .request_outside(Method::GET, &watching)
        .header("origin", "https://elsewhere.example");
    assert_eq!(Exchange::of(foreign).await.status, 403);
    session.delete().await;
    let ended = get(&server, &watching).await;
    assert_eq!(
        (ended.status, &ended.json()["success"]),
        (410, &json!(false))
    );
    assert!(
        ended.text.contains("The session was deleted."),
        "{}",
        ended.text
    );
    server.stop().await;
}

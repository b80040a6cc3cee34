//! The live view's socket: authorization and the pace of frames, tested with headless viewers.

use hearth_test_support::{Exchange, Session, TestServer, Viewer};
use reqwest::Method;
use serde_json::json;

/// A page that changes 60 times a second, with enough text for frames of 50 kB and more.
const ANIMATION: &str = "\
await page.setContent(`<style>@keyframes move { from { left: 0 } to { left: 900px } }
div { position: absolute; width: 150px; height: 150px; background: tomato; animation: move 1s infinite alternate }</style>
<div></div><p>${'Text as pages have it. '.repeat(300)}</p>`); 1";

/// Stops the animation, at a frame of a few kilobytes.
const REST: &str = "await page.evaluate(() => { document.body.innerHTML = ''; document.body.style.background = 'green' }); 1";

/// Smaller than every frame of [`ANIMATION`].
const SMALL_BYTES: usize = 20_000;

fn link<'a>(session: &'a Session, name: &str) -> &'a str {
    session.created[name].as_str().expect("a link is a string")
}

#[tokio::test]
async fn a_viewer_that_draws_nothing_gets_two_frames_and_blocks_no_other() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node(ANIMATION).await.ok();
    let mut idle = Viewer::connect(link(&session, "liveViewUrl")).await;
    let (first, second) = (idle.frame().await, idle.frame().await);
    let mut quick = Viewer::connect(link(&session, "liveViewUrl")).await;
    let mut last = quick.watch().await;
    for _ in 0..20 {
        let next = quick.watch().await;
        assert!(next.number > last.number, "{next:?} after {last:?}");
        last = next;
    }
    // A message that the server had sent to the idle viewer meanwhile would arrive before this one.
    idle.draw(second.number).await;
    let third = idle.frame().await;
    assert!(
        third.number > last.number - 2,
        "the idle viewer did not skip frames: {first:?}, {second:?}, then {third:?}; {last:?}"
    );
    assert_eq!(third.size, (1280, 720));
    server.stop().await;
}

#[tokio::test]
async fn the_last_frame_shows_the_final_page_even_to_slow_viewers() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node(ANIMATION).await.ok();
    let mut viewer = Viewer::connect(link(&session, "liveViewUrl")).await;
    let moving = [viewer.frame().await, viewer.frame().await];
    assert!(moving[1].bytes > SMALL_BYTES, "{moving:?}");
    // By now Chromium waits for an acknowledgement and drops new frames.
    session.node(REST).await.ok();
    viewer.draw(moving[1].number).await;
    while viewer.watch().await.bytes > SMALL_BYTES {}
    server.stop().await;
}

#[tokio::test]
async fn the_screencast_restarts_when_a_viewer_returns() {
    let server = TestServer::start().await;
    let session = server.session().await;
    session.node(ANIMATION).await.ok();
    let mut viewer = Viewer::connect(link(&session, "liveViewUrl")).await;
    let mut before = viewer.watch().await;
    while before.bytes <= SMALL_BYTES {
        before = viewer.watch().await;
    }
    drop(viewer);
    session.node(REST).await.ok();
    let mut viewer = Viewer::connect(link(&session, "liveViewUrl")).await;
    let mut now = viewer.watch().await;
    while now.bytes > SMALL_BYTES {
        now = viewer.watch().await;
    }
    assert!(now.number > before.number, "{now:?} after {before:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_frame_that_was_not_sent_cannot_be_drawn() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let mut viewer = Viewer::connect(link(&session, "interactiveLiveViewUrl")).await;
    viewer.draw(7).await;
    let (code, reason) = viewer.closed().await.expect("a reason is given");
    assert_eq!(
        (code, reason.as_str()),
        (1008, "this frame was not sent, or was already drawn")
    );
    server.stop().await;
}

#[tokio::test]
async fn an_invalid_message_closes_the_connection() {
    let server = TestServer::start().await;
    let session = server.session().await;
    for message in [
        json!({"type": "evaluate", "code": "1"}),
        json!([]),
        json!({"type": "key", "kind": "down"}),
    ] {
        let mut viewer = Viewer::connect(link(&session, "interactiveLiveViewUrl")).await;
        viewer.say(&message).await;
        let (code, reason) = viewer.closed().await.expect("a reason is given");
        assert_eq!(
            (code, reason.as_str()),
            (1008, "not a live view message"),
            "{message}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_open_it() {
    let server = TestServer::builder()
        .setting("HEARTH_PUBLIC_URL", "https://hearth.example")
        .start()
        .await;
    let session = server.session().await;
    let link =
        link(&session, "interactiveLiveViewUrl").replace("https://hearth.example", server.origin());
    let port = server
        .address()
        .split_once(':')
        .expect("an address has a port")
        .1;
    let foreign = [
        "https://evil.example",
        "null",
        &format!("http://127.0.0.1.evil.example:{port}"),
        "http://127.0.0.1",
        "",
    ];
    for origin in foreign {
        let Err((status, body)) = Viewer::connect_from(&link, origin).await else {
            panic!("{origin} is accepted")
        };
        assert_eq!(
            (status, &body["success"]),
            (403, &json!(false)),
            "{origin}: {body}"
        );
        assert!(
            body["error"]
                .as_str()
                .expect("a sentence")
                .contains("HEARTH_PUBLIC_URL"),
            "{body}"
        );
    }
    for origin in [server.origin(), "https://hearth.example"] {
        Viewer::connect_from(&link, origin)
            .await
            .expect("a session page")
            .frame()
            .await;
    }
    server.stop().await;
}

#[tokio::test]
async fn the_setting_says_which_sites_may_frame_it() {
    for (setting, sources) in [
        (None, "*"),
        (
            Some("'self'  https://app.example"),
            "'self' https://app.example",
        ),
    ] {
        let builder = TestServer::builder();
        let server = match setting {
            Some(setting) => {
                builder
                    .setting("HEARTH_FRAME_ANCESTORS", setting)
                    .start()
                    .await
            }
            None => builder.start().await,
        };
        let session = server.session().await;
        let path = link(&session, "liveViewUrl").trim_start_matches(server.origin());
        let page = Exchange::of(server.request_outside(Method::GET, path)).await;
        let policy = page.headers["content-security-policy"]
            .to_str()
            .expect("text");
        assert!(
            policy.ends_with(&format!("; frame-ancestors {sources}")),
            "{policy}"
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn pressed_keys_are_released_when_a_viewer_disconnects() {
    let server = TestServer::start().await;
    let session = server.session().await;
    let page = "await page.setContent(`<body style='height: 700px'><script>seen = [];
for (const name of ['mousedown', 'mouseup', 'keydown', 'keyup']) addEventListener(name, () => seen.push(name));</script>`); 1";
    session.node(page).await.ok();
    let sees = async |names: &str| {
        let code = format!(
            "await page.waitForFunction((names) => seen.join() === names, '{names}', {{ timeout: 10000 }}); 1"
        );
        session.node(&code).await.ok();
    };
    let mut viewer = Viewer::connect(link(&session, "interactiveLiveViewUrl")).await;
    viewer.watch().await;
    viewer
        .say(&json!({"type": "mouse", "kind": "down", "x": 9, "y": 9, "button": "left", "buttons": 1, "clicks": 1, "modifiers": 0}))
        .await;
    viewer
        .say(&json!({"type": "key", "kind": "down", "key": "a", "code": "KeyA", "keyCode": 65, "location": 0, "repeat": false, "modifiers": 0}))
        .await;
    sees("mousedown,keydown").await;
    drop(viewer);
    sees("mousedown,keydown,keyup,mouseup").await;
    server.stop().await;
}

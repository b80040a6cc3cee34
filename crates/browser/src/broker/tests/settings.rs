//! Tests what clients emulate on shared pages, and contexts that belong to one client.

use super::*;

/// A command as method, params and session.
fn described(command: &Value) -> (String, Value, String) {
    let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
    (text("method"), command["params"].clone(), text("sessionId"))
}

/// Attaches two clients to the tab `T`, on the sessions `SA` and `SB`.
async fn two_on_a_page() -> (BrokerFixture, Connection, Connection) {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("A").await;
    let mut two = fixture.client("B").await;
    fixture.tab_opens("T", "default");
    fixture.child(&mut one, "A", "SA", "T").await;
    fixture.child(&mut two, "B", "SB", "T").await;
    (fixture, one, two)
}

/// Sends a call on a session and returns what the browser gets.
fn sends(
    fixture: &mut BrokerFixture,
    client: &Connection,
    session: &str,
    method: &str,
    params: &Value,
) -> Value {
    client.send(&json!({"id": 1, "method": method, "params": params, "sessionId": session}));
    let (sent, params, on) = described(&fixture.command());
    assert_eq!((&*sent, &*on), (method, session));
    params
}

const MEDIA: &str = "Emulation.setEmulatedMedia";
const VIEWPORT: &str = "Emulation.setDeviceMetricsOverride";
const TOUCH: &str = "Emulation.setTouchEmulationEnabled";
const USER_AGENT: &str = "Emulation.setUserAgentOverride";
const NETWORK: &str = "Network.emulateNetworkConditions";

fn dark() -> Value {
    json!([{"name": "prefers-color-scheme", "value": "dark"}])
}

/// The media that Playwright sends when it attaches.
fn usual_media() -> Value {
    json!({"media": "", "features": [
        {"name": "prefers-color-scheme", "value": "light"},
        {"name": "prefers-reduced-motion", "value": "no-preference"},
        {"name": "forced-colors", "value": "none"},
        {"name": "prefers-contrast", "value": "no-preference"},
    ]})
}

/// The viewport that Puppeteer sends for each page.
fn usual_viewport() -> Value {
    json!({"mobile": false, "width": 800, "height": 600, "deviceScaleFactor": 1,
        "screenOrientation": {"angle": 0, "type": "portraitPrimary"}})
}

/// Rule E1.
#[tokio::test]
async fn values_that_clients_send_on_their_own_are_not_applied() {
    let (mut fixture, one, mut two) = two_on_a_page().await;
    let print = json!({"media": "print", "features": dark()});
    assert_eq!(sends(&mut fixture, &one, "SA", MEDIA, &print), print);
    assert_eq!(
        sends(&mut fixture, &two, "SB", MEDIA, &usual_media()),
        json!({"media": "print", "features": []})
    );
    for (method, params) in [
        (VIEWPORT, usual_viewport()),
        (TOUCH, json!({"enabled": false})),
    ] {
        two.send(&json!({"id": 7, "method": method, "params": params, "sessionId": "SB"}));
        assert_eq!(
            two.message().await,
            json!({"id": 7, "result": {}, "sessionId": "SB"})
        );
    }
    // A user who asks for it gets it.
    let usual = usual_viewport();
    assert_eq!(sends(&mut fixture, &two, "SB", VIEWPORT, &usual), usual);
}

/// Rule E1.
#[tokio::test]
async fn a_client_sets_the_viewport_of_a_tab_that_it_opens() {
    let mut fixture = BrokerFixture::new().await;
    let mut one = fixture.client("A").await;
    one.send(&json!({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}));
    let create = fixture.command();
    fixture.tab_opens("T", "default");
    fixture.child(&mut one, "A", "SA", "T").await;
    fixture
        .browser_sends(&json!({"id": create["id"], "result": {"targetId": "T"}, "sessionId": "A"}));
    let usual = usual_viewport();
    assert_eq!(sends(&mut fixture, &one, "SA", VIEWPORT, &usual), usual);
}

/// Rule E2.
#[tokio::test]
async fn values_of_the_remaining_sessions_are_sent_again() {
    let (mut fixture, one, two) = two_on_a_page().await;
    let media = json!({"media": "", "features": dark()});
    let size = json!({"width": 500, "height": 400});
    let offline = json!({"offline": true, "latency": 0});
    for (method, params) in [(MEDIA, &media), (VIEWPORT, &size), (NETWORK, &offline)] {
        assert_eq!(&sends(&mut fixture, &one, "SA", method, params), params);
    }
    let larger = json!({"width": 900, "height": 700});
    sends(&mut fixture, &two, "SB", VIEWPORT, &larger);
    drop(two);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    let again = [
        (MEDIA, media),
        (NETWORK, offline.clone()),
        ("Emulation.clearDeviceMetricsOverride", json!({})),
        (VIEWPORT, size),
    ];
    for (method, params) in again {
        let expected = (method.to_owned(), params, "SA".to_owned());
        assert_eq!(described(&fixture.command()), expected);
    }
    // A value that the browser rejected, and one that its client withdraws.
    one.send(&json!({"id": 8, "method": MEDIA, "params": {"media": "x"}, "sessionId": "SA"}));
    let call = fixture.command();
    fixture.browser_sends(
        &json!({"id": call["id"], "error": {"code": -32602, "message": "no"}, "sessionId": "SA"}),
    );
    let online = json!({"offline": false, "latency": 0});
    sends(&mut fixture, &one, "SA", NETWORK, &online);
    let mut third = fixture.client("C").await;
    fixture.child(&mut third, "C", "SC", "T").await;
    drop(third);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    fixture.pass(&one, "SA", "A.after", &json!({}));
}

/// Rule E2.
#[tokio::test]
async fn the_end_of_one_session_restores_what_others_have_set() {
    let (mut fixture, one, mut two) = two_on_a_page().await;
    let touch = json!({"enabled": true, "maxTouchPoints": 2});
    sends(&mut fixture, &one, "SA", TOUCH, &touch);
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "SB"}, "sessionId": "B"}),
    );
    assert_eq!(two.message().await["method"], "Target.detachedFromTarget");
    let expected = (TOUCH.to_owned(), touch, "SA".to_owned());
    assert_eq!(described(&fixture.command()), expected);
}

/// Makes the browser of a fixture emulate a mobile device.
async fn emulate_mobile(fixture: &mut BrokerFixture) {
    let broker = Arc::clone(&fixture.broker);
    let answering = async {
        let version = fixture.command();
        assert_eq!(version["method"], "Browser.getVersion");
        let agent = "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/156.0.0.0 Safari/537.36";
        fixture.browser_sends(
            &json!({"id": version["id"], "result": {"product": "HeadlessChrome/156.0.0.0",
            "protocolVersion": "1.3", "revision": "@1", "userAgent": agent, "jsVersion": "15"}}),
        );
        tokio::task::yield_now().await;
        for method in [VIEWPORT, TOUCH, USER_AGENT] {
            let call = fixture.command();
            assert_eq!(
                (&call["method"], &call["sessionId"]),
                (&json!(method), &json!("own-T"))
            );
            fixture.browser_sends(&json!({"id": call["id"], "result": {}, "sessionId": "own-T"}));
        }
    };
    // The first one sends its call before the second one reads.
    let (emulated, ()) = tokio::join!(biased; broker.emulate_mobile(), answering);
    emulated.expect("the browser has accepted it");
}

/// Rule E5.
#[tokio::test]
async fn a_mobile_device_returns_when_no_client_replaces_it() {
    let (mut fixture, one, two) = two_on_a_page().await;
    emulate_mobile(&mut fixture).await;
    let on_own = |command: &Value| {
        let (method, params, on) = described(command);
        assert_eq!(on, "own-T");
        (method, params)
    };
    // The values of a client count until it withdraws them or leaves.
    let size = json!({"width": 500, "height": 400});
    sends(&mut fixture, &one, "SA", VIEWPORT, &size);
    let clear = "Emulation.clearDeviceMetricsOverride";
    sends(&mut fixture, &one, "SA", clear, &json!({}));
    assert_eq!(on_own(&fixture.command()), (clear.to_owned(), json!({})));
    let (method, params) = on_own(&fixture.command());
    assert_eq!((&*method, &params["mobile"]), (VIEWPORT, &json!(true)));
    sends(&mut fixture, &one, "SA", VIEWPORT, &size);
    drop(two);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    let (method, params) = on_own(&fixture.command());
    assert_eq!((&*method, &params["enabled"]), (TOUCH, &json!(true)));
    // The other client's viewport stays.
    fixture.pass(&one, "SA", "A.after", &json!({}));
    drop(one);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    assert_eq!(on_own(&fixture.command()).0, TOUCH);
    assert_eq!(on_own(&fixture.command()).0, clear);
    assert_eq!(on_own(&fixture.command()).0, VIEWPORT);
}

/// Rule E5.
#[tokio::test]
async fn new_tabs_of_the_default_context_emulate_the_mobile_device() {
    let (mut fixture, one, _two) = two_on_a_page().await;
    emulate_mobile(&mut fixture).await;
    fixture.tab_opens("U", "default");
    for method in [VIEWPORT, TOUCH, USER_AGENT] {
        let (sent, _, on) = described(&fixture.command());
        assert_eq!((&*sent, &*on), (method, "own-U"));
    }
    fixture.tab_opens("V", "C1");
    fixture.pass(&one, "SA", "A.after", &json!({}));
}

/// Rule E3.
#[tokio::test]
async fn permissions_of_the_remaining_clients_are_granted_again() {
    let (mut fixture, one, two) = two_on_a_page().await;
    let grant = |origin: &str| json!({"origin": origin, "permissions": ["geolocation"]});
    let method = "Browser.grantPermissions";
    fixture.pass(&one, "A", method, &grant("https://a.example"));
    fixture.pass(&two, "B", method, &grant("https://b.example"));
    drop(two);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    let expected = (
        method.to_owned(),
        grant("https://a.example"),
        "A".to_owned(),
    );
    assert_eq!(described(&fixture.command()), expected);
    // Permissions that a client has reset are not granted again.
    fixture.pass(&one, "A", "Browser.resetPermissions", &json!({}));
    let three = fixture.client("C").await;
    fixture.pass(&three, "C", method, &grant("https://c.example"));
    drop(three);
    assert_eq!(fixture.command()["method"], "Target.detachFromTarget");
    fixture.pass(&one, "A", "A.after", &json!({}));
}

/// A target in the context `C1`.
fn private(target: &str) -> Value {
    json!({"targetId": target, "type": "page", "browserContextId": "C1"})
}

/// Rule M20.
#[tokio::test]
async fn targets_in_contexts_of_other_clients_are_hidden() {
    let (mut fixture, mut one, mut two) = two_on_a_page().await;
    one.send(&json!({"id": 1, "method": "Target.createBrowserContext"}));
    let create = fixture.command();
    fixture.browser_sends(
        &json!({"id": create["id"], "result": {"browserContextId": "C1"}, "sessionId": "A"}),
    );
    one.message().await;
    fixture.tab_opens("P", "C1");
    let attached = |parent: &str, session: &str| {
        json!({"method": "Target.attachedToTarget", "sessionId": parent, "params": {
            "sessionId": session, "targetInfo": private("P"), "waitingForDebugger": true}})
    };
    fixture.browser_sends(&attached("A", "PA"));
    assert_eq!(one.message().await["params"]["sessionId"], "PA");
    // The other client's session ends, and the page does not wait for it.
    fixture.browser_sends(&attached("B", "PB"));
    let (method, _, on) = described(&fixture.command());
    assert_eq!((&*method, &*on), ("Runtime.runIfWaitingForDebugger", "PB"));
    let expected = (
        "Target.detachFromTarget".to_owned(),
        json!({"sessionId": "PB"}),
        "B".to_owned(),
    );
    assert_eq!(described(&fixture.command()), expected);
    fixture.browser_sends(
        &json!({"method": "Target.detachedFromTarget", "params": {"sessionId": "PB"}, "sessionId": "B"}),
    );
    for method in ["Target.targetCreated", "Target.targetInfoChanged"] {
        fixture.browser_sends(
            &json!({"method": method, "params": {"targetInfo": private("P")}, "sessionId": "B"}),
        );
    }
    two.send(&json!({"id": 2, "method": "Target.getTargets"}));
    let list = fixture.command();
    let shared = json!({"targetId": "T", "type": "page", "browserContextId": "default"});
    fixture.browser_sends(
        &json!({"id": list["id"], "result": {"targetInfos": [private("P"), shared]}, "sessionId": "B"}),
    );
    assert_eq!(
        two.message().await["result"],
        json!({"targetInfos": [shared]})
    );
    assert_eq!(fixture.broker.current_shared_tab().as_deref(), Some("T"));

    // A client that names the page gets it.
    two.send(&json!({"id": 3, "method": "Target.attachToTarget", "params": {"targetId": "P", "flatten": true}}));
    assert_eq!(fixture.command()["method"], "Target.attachToTarget");
    fixture.browser_sends(&attached("B", "PB2"));
    assert_eq!(two.message().await["params"]["sessionId"], "PB2");
}

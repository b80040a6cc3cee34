//! Tests denied calls on a real browser: the broker denies them, and the browser stays alive.

use serde_json::{Value, json};

use crate::support::{BrowserFixture, Connection};

/// Rules M1, M2: also on a page's session, where Chromium would execute them.
#[tokio::test]
async fn no_session_reaches_beyond_its_client() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut stays = Connection::to(&browser).await;
    let mut client = Connection::to(&browser).await;
    let page = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    for session in [None, Some(page.as_str())] {
        for (method, params) in [
            ("Browser.crash", json!({})),
            ("Browser.crashGpuProcess", json!({})),
            (
                "Browser.executeBrowserCommand",
                json!({"commandId": "openTabSearch"}),
            ),
            (
                "Target.setRemoteLocations",
                json!({"locations": [{"host": "127.0.0.1", "port": 9}]}),
            ),
            (
                "Target.exposeDevToolsProtocol",
                json!({"targetId": browser.current_tab()}),
            ),
            ("Extensions.loadUnpacked", json!({"path": "/tmp"})),
            ("PWA.getOsAppState", json!({"manifestId": "x"})),
            ("Tethering.bind", json!({"port": 9999})),
        ] {
            let reason = client.denied(session, method, params).await;
            assert!(reason.contains(method), "{reason}");
        }
    }
    client.call(Some(&page), "Browser.close", json!({})).await;
    assert_eq!(client.close().await.0, 1000);
    stays.call(None, "Browser.getVersion", json!({})).await;
    browser.close().await;
}

/// Rules M3, M4.
#[tokio::test]
async fn nothing_bypasses_the_broker() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let tab = browser.current_tab().expect("a tab");
    let page = client.session_on(&tab).await;
    for session in [None, Some(page.as_str())] {
        client
            .denied(session, "Target.attachToTarget", json!({"targetId": tab}))
            .await;
        let auto = json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": false});
        client.denied(session, "Target.setAutoAttach", auto).await;
        let inner = json!({"sessionId": page, "message": r#"{"id":1,"method":"Browser.close"}"#});
        client
            .denied(session, "Target.sendMessageToTarget", inner)
            .await;
    }
    assert_eq!(client.evaluate(&page, "1 + 1").await, json!(2));
    browser.close().await;
}

/// Rule M12.
#[tokio::test]
async fn files_of_the_machine_are_not_opened_or_uploaded() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    std::fs::write(
        fixture.dir().join("own.html"),
        "<title>own</title><input type=file>",
    )
    .expect("written");
    let own = fixture.dir().join("own.html");
    let mut client = Connection::to(&browser).await;
    let page = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    for address in [
        "file:///etc/hostname",
        "view-source:file:///etc/hostname",
        "chrome://version",
        "FILE:/etc/hostname",
    ] {
        client
            .denied(Some(&page), "Page.navigate", json!({"url": address}))
            .await;
        client
            .denied(None, "Target.createTarget", json!({"url": address}))
            .await;
    }
    client
        .navigate(&page, &format!("file://{}", own.display()))
        .await;
    assert_eq!(client.evaluate(&page, "document.title").await, json!("own"));
    let input = client
        .call(
            Some(&page),
            "Runtime.evaluate",
            json!({"expression": "document.querySelector('input')"}),
        )
        .await;
    let files = |path: &str| json!({"files": [path], "objectId": input["result"]["objectId"]});
    client
        .denied(Some(&page), "DOM.setFileInputFiles", files("/etc/hostname"))
        .await;
    let climbing = format!("{}/../../etc/hostname", fixture.dir().display());
    client
        .denied(Some(&page), "DOM.setFileInputFiles", files(&climbing))
        .await;
    let path = own.to_string_lossy();
    client
        .call(Some(&page), "DOM.setFileInputFiles", files(&path))
        .await;
    assert_eq!(
        client
            .evaluate(&page, "document.querySelector('input').files[0].name")
            .await,
        json!("own.html")
    );
    browser.close().await;
}

/// Rule M12: a request cannot be redirected to a file.
#[tokio::test]
async fn an_intercepted_request_cannot_become_a_file() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut client = Connection::to(&browser).await;
    let page = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    client.call(Some(&page), "Fetch.enable", json!({})).await;
    client.send(
        Some(&page),
        "Page.navigate",
        &json!({"url": "http://127.0.0.1:9/"}),
    );
    let paused = client
        .first(|event| event["method"] == "Fetch.requestPaused")
        .await;
    let go_on = json!({"requestId": paused["params"]["requestId"], "url": "file:///etc/hostname"});
    let id = client.send(Some(&page), "Fetch.continueRequest", &go_on);
    client.reply(id).await;
    client.call(Some(&page), "Fetch.disable", json!({})).await;
    let hostname = std::fs::read_to_string("/etc/hostname").expect("there");
    let text = client
        .evaluate(&page, "document.documentElement.innerText")
        .await;
    assert!(
        !text
            .as_str()
            .is_some_and(|text| text.contains(hostname.trim())),
        "{text}"
    );
    browser.close().await;
}

/// Rule M5.
#[tokio::test]
async fn connections_of_other_clients_are_not_targets() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let (mut one, mut two) = (
        Connection::to(&browser).await,
        Connection::to(&browser).await,
    );
    let info = two.call(None, "Target.getTargetInfo", json!({})).await;
    let target = info["targetInfo"]["targetId"].clone();
    assert!(target.is_string(), "{info}");
    one.denied(
        None,
        "Target.attachToTarget",
        json!({"targetId": target, "flatten": true}),
    )
    .await;
    browser.close().await;
}

/// Rules M6, S9.
#[tokio::test]
async fn resources_of_a_client_go_with_it() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let mut stays = Connection::to(&browser).await;
    let (targets, contexts) = (targets_in(&mut stays).await, contexts_in(&mut stays).await);
    for says_goodbye in [true, false] {
        let mut leaves = Connection::to(&browser).await;
        let context = leaves
            .call(None, "Target.createBrowserContext", json!({}))
            .await;
        let params = json!({"url": "about:blank", "browserContextId": context["browserContextId"]});
        leaves.call(None, "Target.createTarget", params).await;
        if says_goodbye {
            leaves.call(None, "Browser.close", json!({})).await;
        }
        drop(leaves);
        assert_eq!(contexts_in(&mut stays).await, contexts);
        assert_eq!(targets_in(&mut stays).await, targets);
    }
    browser.close().await;
}

async fn targets_in(client: &mut Connection) -> Vec<Value> {
    let targets = client.call(None, "Target.getTargets", json!({})).await;
    let infos = targets["targetInfos"].as_array().expect("a list");
    infos.iter().map(|info| info["targetId"].clone()).collect()
}

async fn contexts_in(client: &mut Connection) -> Value {
    client
        .call(None, "Target.getBrowserContexts", json!({}))
        .await["browserContextIds"]
        .take()
}

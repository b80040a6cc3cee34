//! Tests several clients with different settings on one page.

use std::path::Path;

use hearth_browser::Browser;
use serde_json::{Value, json};

use crate::support::{BrowserFixture, Connection};

/// Attaches a client with a session on the first tab that receives its events.
async fn on_the_tab(browser: &Browser) -> (Connection, String) {
    let mut client = Connection::to(browser).await;
    let session = client
        .session_on(&browser.current_tab().expect("a tab"))
        .await;
    client.call(Some(&session), "Page.enable", json!({})).await;
    (client, session)
}

/// Opens a dialog and does not wait for its answer.
async fn ask(client: &mut Connection, session: &str) {
    client
        .evaluate(
            session,
            "setTimeout(() => { window.answer = confirm('really?') }); 0",
        )
        .await;
    client
        .first(|event| event["method"] == "Page.javascriptDialogOpening")
        .await;
}

/// Rule M14.
#[tokio::test]
async fn observer_gets_no_dialog() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let (mut idler, idlers) = on_the_tab(&browser).await;
    let (mut driver, drivers) = on_the_tab(&browser).await;
    ask(&mut driver, &drivers).await;
    driver
        .call(
            Some(&drivers),
            "Page.handleJavaScriptDialog",
            json!({"accept": true}),
        )
        .await;
    assert_eq!(driver.evaluate(&drivers, "answer").await, json!(true));
    assert!(driver.has_received("Page.javascriptDialogClosed"));
    assert_eq!(idler.evaluate(&idlers, "answer").await, json!(true));
    assert!(
        !idler.has_received("Page.javascriptDialogOpening")
            && !idler.has_received("Page.javascriptDialogClosed")
    );
    // Now the other client drives the page.
    ask(&mut idler, &idlers).await;
    idler
        .call(
            Some(&idlers),
            "Page.handleJavaScriptDialog",
            json!({"accept": true}),
        )
        .await;
    browser.close().await;
}

/// Rule M14.
#[tokio::test]
async fn dialog_ends_with_its_client() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    // First alone, then with another client that listens.
    for others in [0, 1] {
        let mut observers = Vec::new();
        for _ in 0..others {
            observers.push(on_the_tab(&browser).await);
        }
        let (mut driver, drivers) = on_the_tab(&browser).await;
        ask(&mut driver, &drivers).await;
        drop(driver);
        let (mut next, session) = on_the_tab(&browser).await;
        assert_eq!(next.evaluate(&session, "answer").await, json!(false));
    }
    browser.close().await;
}

async fn behavior(client: &mut Connection, dir: &Path) {
    let params = json!({"behavior": "allow", "downloadPath": dir, "eventsEnabled": true});
    client
        .call(None, "Browser.setDownloadBehavior", params)
        .await;
}

/// Downloads `name` and waits for the file.
async fn download(client: &mut Connection, session: &str, name: &str) {
    let code = format!(
        "const a = document.createElement('a'); a.download = '{name}.txt'; a.href = 'data:,{name}'; a.click()"
    );
    client.evaluate(session, &format!("{{ {code} }}")).await;
    let is = |event: &Value, what: &str| {
        event["method"]
            .as_str()
            .is_some_and(|method| method.ends_with(what))
    };
    let file = format!("{name}.txt");
    let began = |event: &Value| {
        is(event, "downloadWillBegin") && event["params"]["suggestedFilename"] == file
    };
    let guid = client.first(began).await["params"]["guid"].take();
    let done = |event: &Value| {
        is(event, "downloadProgress")
            && event["params"]["guid"] == guid
            && event["params"]["state"] == "completed"
    };
    client.first(done).await;
}

fn content(dir: &Path, name: &str) -> String {
    std::fs::read_to_string(dir.join(format!("{name}.txt")))
        .unwrap_or_else(|error| format!("{name}: {error}"))
}

/// Rule M11.
#[tokio::test]
async fn every_client_has_its_download_dir() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let [one, two] = ["one", "two"].map(|name| fixture.dir().join(name));
    let (mut first, on_first) = on_the_tab(&browser).await;
    behavior(&mut first, &one).await;
    let (mut second, on_second) = on_the_tab(&browser).await;
    behavior(&mut second, &two).await;
    download(&mut first, &on_first, "a").await;
    assert_eq!(content(&one, "a"), "a");
    download(&mut second, &on_second, "b").await;
    assert_eq!(content(&two, "b"), "b");
    drop(second);
    download(&mut first, &on_first, "c").await;
    assert_eq!(content(&one, "c"), "c");
    drop(first);
    let (mut third, on_third) = on_the_tab(&browser).await;
    download(&mut third, &on_third, "d").await;
    assert_eq!(content(&fixture.dir().join("downloads"), "d"), "d");
    browser.close().await;
}

/// Rule M11.
#[tokio::test]
async fn download_dir_outside_the_session_stays_empty() {
    let fixture = BrowserFixture::new();
    let browser = fixture.browser().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let (mut client, session) = on_the_tab(&browser).await;
    behavior(&mut client, elsewhere.path()).await;
    download(&mut client, &session, "a").await;
    let params = json!({"behavior": "allow", "downloadPath": elsewhere.path()});
    client
        .call(Some(&session), "Page.setDownloadBehavior", params)
        .await;
    download(&mut client, &session, "b").await;
    for name in ["a", "b"] {
        assert_eq!(content(&fixture.dir().join("downloads"), name), name);
    }
    assert_eq!(elsewhere.path().read_dir().expect("readable").count(), 0);
    browser.close().await;
}

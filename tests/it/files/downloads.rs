//! Downloads, which appear in the response of the execution during which they ended.

use hearth_test_support::{Site, TestServer, attachment};
use serde_json::json;

use super::{get, list, remove};

#[tokio::test]
async fn a_download_of_the_code_is_in_its_response_and_can_be_read() {
    let (server, site) = tokio::join!(TestServer::start(), Site::start());
    let session = server.session().await;
    let download = |name: &str| {
        format!(
            "const coming = page.waitForEvent('download'); await page.goto('{}').catch(() => {{}}); \
             const download = await coming; await download.path(); download.suggestedFilename()",
            site.url(&format!("/download/{name}"))
        )
    };
    let body = json!({"language": "node", "code": download("small")});
    let reply = session.execute(&body).await.ok();
    let files = reply["files"].as_array().expect("the response has files");
    assert_eq!(files.len(), 1, "{reply}");
    assert_eq!(files[0]["name"], reply["result"]);
    let content = attachment("small");
    assert_eq!(files[0]["sizeBytes"], json!(content.len()));
    let path = files[0]["path"].as_str().expect("a path");
    let read = get(&server, &session, path).await;
    assert_eq!((read.status, read.text.len()), (200, content.len()));
    // Later executions do not repeat it.
    let next = session.execute(&json!({"code": "1 + 1"})).await.ok();
    assert_eq!((&next["result"], next.get("files")), (&json!("2"), None));
    server.stop().await;
}

#[tokio::test]
async fn downloads_outside_of_the_working_directory_have_paths_too() {
    let (server, site) = tokio::join!(TestServer::start(), Site::start());
    let session = server.session().await;
    let code = format!(
        "const cdp = await browser.newBrowserCDPSession();
         await cdp.send('Browser.setDownloadBehavior', {{ behavior: 'allow', downloadPath: '/nowhere', eventsEnabled: true }});
         const done = new Promise((then) => cdp.on('Browser.downloadProgress', ({{ state }}) => state === 'completed' && then()));
         await page.goto('{}').catch(() => {{}}); await done",
        site.url("/download/small")
    );
    let body = json!({"language": "node", "code": code});
    let reply = session.execute(&body).await.ok();
    let path = reply["files"][0]["path"].as_str().expect("a path");
    let name = path.strip_prefix(".downloads/").expect("no other place");
    let content = attachment("small");
    assert_eq!(get(&server, &session, path).await.text.len(), content.len());
    let listed = list(&server, &session, "?path=.downloads").await.ok();
    assert_eq!(
        listed["files"][0]["path"],
        json!(format!(".downloads/{name}"))
    );
    assert_eq!(listed["files"][0]["sizeBytes"], json!(content.len()));
    remove(&server, &session, path).await.ok();
    let gone = list(&server, &session, "?path=.downloads").await.ok();
    assert_eq!(gone["files"], json!([]));
    assert_eq!(remove(&server, &session, ".downloads").await.status, 409);
    server.stop().await;
}
